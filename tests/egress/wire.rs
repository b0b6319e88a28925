//! The bytes of a request.

use postrider::{
    clock::Clock,
    domain::{
        event::wire_uuid,
        headers::AdditionalHeaders,
        secret::Secret,
        signature::{Signer, hex},
        subscription::Terms,
    },
    egress::Template,
};
use serde_json::json;

use crate::{
    server::{Raw, Server},
    subject::{DELIVERY, PAYLOAD, answer, client, event, terms, with_config, with_headers, with_secret},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the endpoint sees of one delivery by `terms`, whose URL is completed with the server's.
async fn seen(path: &str, edit: impl FnOnce(Terms) -> Terms) -> Raw {
    let server = Server::answering(OK).await;
    answer(&client(), &edit(terms(&server.url(path)))).await;
    server.requests().pop().expect("a request")
}

#[actix_rt::test]
async fn a_request_is_what_the_contract_shows() {
    let server = Server::answering(OK).await;
    answer(&client(), &with_secret(terms(&server.url("/hooks/oms?a=1&b=%C5%9F")), "gizli")).await;
    let raw = server.requests().pop().expect("a request");
    assert_eq!(raw.line(), "POST /hooks/oms?a=1&b=%C5%9F HTTP/1.1");
    let mut names: Vec<String> = raw.headers().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "Accept",
            "Accept-Encoding",
            "Content-Length",
            "Content-Type",
            "Date",
            "Host",
            "User-Agent",
            "Webhook-Id",
            "Webhook-Signature",
            "Webhook-Timestamp",
            "X-Whisperer-Event",
            "X-Whisperer-Signature",
        ]
    );
    assert_eq!(raw.header("host"), Some(server.address.to_string()));
    assert_eq!(raw.header("user-agent"), Some(format!("postrider/{}", env!("CARGO_PKG_VERSION"))));
    assert_eq!(raw.header("accept").as_deref(), Some("*/*"));
    assert_eq!(raw.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(raw.header("x-whisperer-event").as_deref(), Some("package.created"));
    assert_eq!(raw.header("webhook-id"), Some(wire_uuid(DELIVERY)));
    let uuid = wire_uuid(DELIVERY);
    let body = format!(r#"{{"event": {{"type": "package.created", "uuid": "{uuid}"}}, "payload": {PAYLOAD}}}"#);
    assert_eq!(String::from_utf8(raw.body).expect("text"), body);
}

#[actix_rt::test]
async fn both_signatures_stand_before_an_independent_verifier() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let raw = seen("/", |terms| with_secret(terms, secret)).await;
    let header = |name| raw.header(name).expect(name);
    let timestamp: i64 = header("webhook-timestamp").parse().expect("seconds");
    assert!((Clock::system().now().as_secs() - timestamp).abs() < 60);
    let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
    let theirs = verifier.sign(&header("webhook-id"), timestamp, &raw.body).expect("a signature");
    assert_eq!(header("webhook-signature"), theirs);
    let mac = hmac_sha256::HMAC::mac(&raw.body, secret.as_bytes());
    assert_eq!(header("x-whisperer-signature"), format!("sha256={}", hex(&mac)));
}

#[actix_rt::test]
async fn without_a_secret_nothing_is_signed() {
    let raw = seen("/", |terms| terms).await;
    assert_eq!(raw.header("x-whisperer-signature"), None);
    assert_eq!(raw.header("webhook-signature"), None);
    assert!(raw.header("webhook-id").is_some());
}

#[actix_rt::test]
async fn additional_headers_replace_the_defaults_in_any_spelling() {
    let headers = json!({
        "hOST": "oms.example",
        "user-AGENT": "integrator/1",
        "CONTENT-TYPE": "application/vnd.oms+json",
        "x-whisperer-EVENT": "custom",
        "X-Whisperer-Signature": "mine",
        "Webhook-Id": "their id",
        "webhook-timestamp": "0",
        "WEBHOOK-SIGNATURE": "v0,x",
        "X-Api-Key": "kapı".replace('ı', "é"),
        "X-Trailing": "blank ",
        "X-Empty": "",
    });
    let raw = seen("/", |terms| with_headers(with_secret(terms, "s"), &headers)).await;
    for (name, value) in [
        ("Host", "oms.example"),
        ("User-Agent", "integrator/1"),
        ("Content-Type", "application/vnd.oms+json"),
        ("X-Whisperer-Event", "custom"),
        ("X-Whisperer-Signature", "mine"),
        ("Webhook-Id", "their id"),
        ("Webhook-Timestamp", "0"),
        ("Webhook-Signature", "v0,x"),
        ("X-Api-Key", "kap\u{e9}"),
        ("X-Trailing", "blank "),
        ("X-Empty", ""),
    ] {
        assert_eq!(raw.header(name).as_deref(), Some(value), "{name}");
    }
}

#[actix_rt::test]
async fn of_a_header_in_two_spellings_the_last_one_is_sent() {
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    let raw = seen("/", |mut terms| {
        let headers = vec![header("X-Key", "first"), header("x-key", "second")];
        terms.additional_headers = AdditionalHeaders::new(headers).expect("valid headers");
        terms
    });
    assert_eq!(raw.await.header("x-key").as_deref(), Some("second"));
}

#[actix_rt::test]
async fn null_removes_a_default_and_nothing_takes_its_place() {
    let removed = [
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Content-Type",
        "X-Whisperer-Event",
        "X-Whisperer-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    let mut headers = serde_json::Map::new();
    headers.extend(removed.iter().map(|name| ((*name).to_owned(), json!(null))));
    headers.insert("Host".to_owned(), json!(null));
    let raw = seen("/", |terms| with_headers(with_secret(terms, "s"), &headers.into())).await;
    for name in removed {
        assert_eq!(raw.header(name), None, "{name}");
    }
    assert!(raw.header("host").is_some(), "HTTP/1.1 cannot do without it");
}

#[actix_rt::test]
async fn basic_auth_of_the_config_is_stronger_than_that_of_the_url_and_both_than_a_header() {
    let server = Server::answering(OK).await;
    let with_user = server.url("/").replace("http://", "http://ali:gizli%21@");
    let bearer = json!({"Authorization": "Bearer token"});
    let config = json!({"auth": {"auth_type": "basic", "username": "u", "password": "é"}});
    let client = client();
    for terms in [
        with_headers(terms(&server.url("/")), &bearer),
        with_headers(terms(&with_user), &bearer),
        with_config(with_headers(terms(&with_user), &bearer), &config),
    ] {
        answer(&client, &terms).await;
    }
    let sent: Vec<_> = server.requests().iter().map(|raw| raw.header("authorization").expect("sent")).collect();
    assert_eq!(sent, ["Bearer token", "Basic YWxpOmdpemxpIQ==", "Basic dTrp"]);
    assert!(server.requests().iter().all(|raw| !raw.head.contains("gizli")), "no credentials in the request line");
}

#[actix_rt::test]
async fn an_event_accepted_under_another_type_is_sent_under_it() {
    let server = Server::answering(OK).await;
    let template = Template::new(&terms(&server.url("/"))).expect("usable");
    let client = client();
    for event_type in ["package.created", "stock_location.updated"] {
        client.send(template.request(DELIVERY, &event(event_type), Clock::system().now())).await;
    }
    let sent: Vec<_> = server.requests().iter().map(|raw| raw.header("x-whisperer-event").expect("sent")).collect();
    assert_eq!(sent, ["package.created", "stock_location.updated"]);
}

#[actix_rt::test]
async fn subscriptions_of_one_origin_do_not_mix_their_headers() {
    let server = Server::answering(OK).await;
    let client = client();
    let first = with_headers(terms(&server.url("/first")), &json!({"X-Key": "first"}));
    let second = with_headers(terms(&server.url("/second")), &json!({"X-Key": "second"}));
    for terms in [&first, &second, &first] {
        answer(&client, terms).await;
    }
    let sent: Vec<_> =
        server.requests().iter().map(|raw| (raw.line().to_owned(), raw.header("x-key").expect("sent"))).collect();
    assert!(sent.iter().all(|(line, key)| line.contains(key.as_str())), "{sent:?}");
    assert_eq!(server.connections(), 1, "but they share the connection");
}

#[actix_rt::test]
async fn an_expectation_does_not_hold_the_body_back() {
    let raw = seen("/", |terms| with_headers(terms, &json!({"Expect": "100-continue"}))).await;
    assert_eq!(raw.header("expect").as_deref(), Some("100-continue"));
    assert!(!raw.body.is_empty());
}

#[actix_rt::test]
async fn connection_close_is_kept_to() {
    let server = Server::answering(OK).await;
    let terms = with_headers(terms(&server.url("/")), &json!({"Connection": "Close, TE"}));
    let client = client();
    answer(&client, &terms).await;
    answer(&client, &terms).await;
    assert_eq!(server.requests()[0].header("connection").as_deref(), Some("close"));
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn a_large_payload_arrives_whole() {
    let server = Server::answering(OK).await;
    let template = Template::new(&with_secret(terms(&server.url("/")), "s")).expect("usable");
    let mut event = event("package.created");
    event.payload = format!("[{}1]", "123456789,".repeat(100_000)).into();
    client().send(template.request(DELIVERY, &event, Clock::system().now())).await;
    let raw = server.requests().pop().expect("a request");
    assert!(raw.body.windows(event.payload.len()).any(|part| part == event.payload));
    let signature = Signer::new(&Secret::new("s"), &[]).whisperer(&raw.body);
    assert_eq!(raw.header("x-whisperer-signature"), Some(signature));
}

#[test]
fn what_cannot_be_sent_is_a_failure_and_no_panic() {
    for url in ["", "ftp://a.example/", "https://a..example/", "http://exa mple/"] {
        let failure = Template::new(&terms(url)).err();
        assert!(failure.is_some_and(|failure| failure.class.as_str() == "request"), "{url:?}");
    }
}
