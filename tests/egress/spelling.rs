//! Header names on the wire: HTTP/1.1 has the spelling that is stored.

use futures_util::future::join_all;
use postrider::domain::{headers::AdditionalHeaders, subscription::Terms};
use serde_json::json;

use crate::{
    server::{Raw, Server},
    subject::{PAYLOAD, answer, client, terms, with_config, with_headers, with_secret},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

async fn seen(edit: impl FnOnce(Terms) -> Terms) -> Raw {
    let server = Server::answering(OK).await;
    answer(&client(), &edit(terms(&server.url("/")))).await;
    server.requests().pop().expect("a request")
}

fn names(raw: &Raw) -> Vec<String> {
    let mut names: Vec<String> = raw.headers().map(|(name, _)| name).collect();
    names.sort();
    names
}

#[actix_rt::test]
async fn names_are_sent_as_they_are_stored() {
    let headers = json!({
        "x-api-KEY": "1",
        "X_Under": "2",
        "ETag": "3",
        "X--Two": "4",
        "-odd-": "5",
        "X-Usual": "6",
        "hOST": "oms.example",
        "user-AGENT": "integrator/1",
        "CONTENT-TYPE": "text/plain",
        "x-whisperer-event": "mine",
        "connection": "close",
        "expect": "100-continue",
        "date": "today",
    });
    let raw = seen(|terms| with_headers(with_secret(terms, "s"), &headers)).await;
    for (name, value) in headers.as_object().expect("an object") {
        let sent: Vec<_> = raw.headers().filter(|(sent, _)| sent.eq_ignore_ascii_case(name)).collect();
        assert_eq!(sent, [(name.clone(), value.as_str().expect("text").to_owned())]);
    }
    for name in ["Accept", "Accept-Encoding", "Content-Length", "Webhook-Id", "X-Whisperer-Signature"] {
        assert!(names(&raw).contains(&name.to_owned()), "{name} is a default: {}", raw.head);
    }
}

#[actix_rt::test]
async fn only_names_are_respelled_and_only_in_the_head() {
    let raw = seen(|mut terms| {
        terms.target_url.push_str("Id:?X-A:");
        with_headers(
            terms,
            &json!({"x-a": "X-A: X-B: 1", "x-b": "X-A:", "iD": "Id: 73", "x-long": "Id: ".repeat(2_000)}),
        )
    })
    .await;
    assert_eq!(raw.line(), "POST /Id:?X-A: HTTP/1.1");
    assert_eq!(raw.header("x-a").as_deref(), Some("X-A: X-B: 1"));
    assert_eq!(raw.header("x-b").as_deref(), Some("X-A:"));
    assert_eq!(raw.header("x-long"), Some("Id: ".repeat(2_000)));
    assert!(raw.head.contains("\r\niD: Id: 73\r\n"), "{}", raw.head);
    assert!(raw.body.ends_with(format!("{PAYLOAD}}}").as_bytes()), "and the body is as it was");
}

#[actix_rt::test]
async fn of_two_spellings_the_last_one_is_sent() {
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let raw = seen(|mut terms| {
        let headers = vec![
            header("X-KEY", Some("first")),
            header("x-key", Some("second")),
            header("ACCEPT", Some("a/b")),
            header("accept", None),
        ];
        terms.additional_headers = AdditionalHeaders::new(headers).expect("valid headers");
        terms
    })
    .await;
    assert!(raw.head.contains("\r\nx-key: second\r\n"), "{}", raw.head);
    assert_eq!(raw.header("accept"), None);
}

#[actix_rt::test]
async fn credentials_bring_their_own_name() {
    let basic = json!({"auth": {"auth_type": "basic", "username": "u", "password": "p"}});
    let bearer = json!({"AUTHORIZATION": "Bearer token"});
    let raw = seen(|terms| with_config(with_headers(terms, &bearer), &basic)).await;
    assert!(raw.head.contains("\r\nAuthorization: Basic dTpw\r\n"), "{}", raw.head);
    let raw = seen(|terms| with_headers(terms, &bearer)).await;
    assert!(raw.head.contains("\r\nAUTHORIZATION: Bearer token\r\n"), "{}", raw.head);
}

#[actix_rt::test]
async fn subscriptions_of_one_origin_keep_their_spellings_at_the_same_time() {
    let server = Server::answering(OK).await;
    let client = client();
    let spellings = ["x-key", "X-KEY", "X-Key", "x-Key"];
    let subscriptions =
        spellings.map(|name| with_headers(terms(&server.url(&format!("/{name}"))), &json!({name: "1"})));
    for _ in 0..3 {
        let attempts = subscriptions.iter().flat_map(|terms| (0..5).map(|_| answer(&client, terms)));
        for answer in join_all(attempts).await {
            assert_eq!(answer.status, 200);
        }
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 60);
    for raw in requests {
        let (_, name) = raw.line().trim_end_matches(" HTTP/1.1").split_once('/').expect("a path");
        assert!(raw.head.contains(&format!("\r\n{name}: 1\r\n")), "{}", raw.head);
    }
    assert!(server.connections() <= 20, "a connection serves all rounds");
}

#[actix_rt::test]
async fn those_who_spell_alike_share_a_connection() {
    let server = Server::answering(OK).await;
    let client = client();
    for headers in [json!({"x-a": "1", "ETag": "2"}), json!({"ETag": "3", "X-More": "4", "x-a": "5"})] {
        answer(&client, &with_headers(terms(&server.url("/")), &headers)).await;
    }
    assert_eq!(server.connections(), 1);
}
