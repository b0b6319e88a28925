//! What an attempt tells of its way.

use postrider::{
    clock::Clock,
    domain::trace::REDACTED,
    egress::{Client, Reply, Template},
};
use serde_json::json;

use crate::{
    server::{Peer, Server, eventually},
    subject::{DELIVERY, client, event, guard, hasty, terms, trace, with_config, with_headers, with_secret},
    tls::{Authority, http1_server, http2_server, url},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-B: 1\r\nSet-Cookie: hunter2\r\nx-a: 2\r\n\r\nok";

#[actix_rt::test]
async fn a_connection_is_timed_once_and_its_address_told_each_time() {
    let server = Server::answering(OK).await;
    let client = client();
    let (first, second) =
        (trace(&client, &terms(&server.url("/"))).await, trace(&client, &terms(&server.url("/"))).await);
    assert_eq!(server.connections(), 1);
    assert_eq!((first.remote, second.remote), (Some(server.address), Some(server.address)));
    assert_eq!((first.dns, first.tls, second.dns, second.connect), (None, None, None, None));
    assert!(first.connect.is_some() && first.connect < first.first_byte, "{first:?}");
    assert!(second.first_byte.is_some(), "{second:?}");
}

#[actix_rt::test]
async fn an_answer_tells_its_headers_in_their_order() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        // In pieces, behind an interim answer whose headers are not the answer's.
        peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n").await;
        peer.write(&OK["HTTP/1.1 200 OK\r\n".len()..]).await;
        peer.closed().await;
    })
    .await;
    let kept = trace(&client(), &terms(&server.url("/"))).await.response.expect("an answer");
    assert_eq!(kept.json(), r#"[["Content-Length","2"],["X-B","1"],["Set-Cookie","[redacted]"],["x-a","2"]]"#);
    assert!(!kept.is_cut());
}

#[actix_rt::test]
async fn a_secret_is_in_no_head_and_each_header_that_was_sent_is() {
    let server = Server::answering(OK).await;
    let headers =
        json!({"X-Api-Key": "hunter2", "Cookie": "hunter2", "Accept": "text/plain", "Expect": "100-continue"});
    let auth = json!({"auth": {"auth_type": "basic", "username": "u", "password": "hunter2"}});
    let url = server.url("/in?a=1").replace("http://", "http://ali:hunter2@");
    let terms = with_config(with_headers(with_secret(terms(&url), "hunter2"), &headers), &auth);
    let head = trace(&client(), &terms).await.request.expect("a head");
    assert!(!format!("{head:?}").contains("hunter2"), "{head:?}");
    assert_eq!(head.url(), server.url("/in?a=1"));
    let mut sent: Vec<String> = server.requests()[0].headers().map(|(name, _)| name.to_lowercase()).collect();
    sent.retain(|name| !["content-length", "date"].contains(&name.as_str()));
    sent.sort();
    let told: Vec<&str> = head.headers().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(told, sent);
    let value =
        |name: &str| head.headers().iter().find(|(given, _)| given == name).and_then(|(_, value)| value.as_deref());
    assert_eq!((value("accept"), value("host")), (Some("text/plain"), Some(server.address.to_string().as_str())));
    assert_eq!((value("authorization"), value("webhook-signature")), (Some(REDACTED), None));
}

#[actix_rt::test]
async fn a_trial_and_an_event_of_another_type_are_told_as_they_are_sent() {
    let server = Server::answering(OK).await;
    let template =
        Template::new(&with_headers(terms(&server.url("/")), &json!({"Connection": "close"}))).expect("terms");
    let now = Clock::system().now();
    let requests = [
        template.request(DELIVERY, &event("order.created"), now),
        template.trial(DELIVERY, &event("package.created"), now),
    ];
    for (place, request) in requests.into_iter().enumerate() {
        let head = client().send(request).await.trace.request.expect("a head");
        let raw = &server.requests()[place];
        for (name, value) in head.headers().iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            assert_eq!(raw.header(name).as_ref(), Some(value), "{name}");
        }
    }
}

#[actix_rt::test]
async fn a_failure_tells_how_far_it_came() {
    let silent = Server::start(|mut peer: Peer| async move { peer.closed().await }).await;
    let names = [
        ("silent.example", vec![Reply::Silence]),
        ("gone.example", vec![Reply::Missing]),
        ("two.example", vec![Reply::addresses(&["127.0.0.98", "127.0.0.99"])]),
    ];
    let client = Client::new(guard(&["127.0.0.0/8"], names));
    let free = {
        let server = Server::answering(OK).await;
        server.address
    };
    eventually("the port is free", || std::net::TcpListener::bind(free).is_ok()).await;

    let refused = trace(&client, &terms(&format!("http://{free}/"))).await;
    assert_eq!((refused.remote, refused.connect.is_some(), refused.first_byte), (Some(free), true, None));
    let second = trace(&client, &terms(&format!("http://two.example:{}/", free.port()))).await;
    assert_eq!(second.remote.map(|remote| remote.ip().to_string()).as_deref(), Some("127.0.0.99"));
    assert!(second.dns.is_some(), "{second:?}");
    let late = trace(&client, &hasty(&silent.url("/"))).await;
    assert_eq!((late.remote, late.connect.is_some(), late.first_byte), (Some(silent.address), true, None));
    let gone = trace(&client, &terms("http://gone.example/")).await;
    assert_eq!((gone.remote, gone.dns.is_some(), gone.connect), (None, true, None));
    let unanswered = trace(&client, &hasty("http://silent.example/")).await;
    assert_eq!((unanswered.remote, unanswered.dns), (None, None), "the look-up never ended");
}

#[actix_rt::test]
async fn tls_is_timed_over_either_protocol() {
    let authority = Authority::new();
    let client = authority.client();
    for protocol in ["http/1.1", "h2"] {
        let acceptor = authority.acceptor("secure.example", &[protocol]);
        let server = if protocol == "h2" { http2_server(acceptor, None).await } else { http1_server(acceptor).await };
        let terms = terms(&url(&server, "secure.example"));
        let (first, second) = (trace(&client, &terms).await, trace(&client, &terms).await);
        assert_eq!(server.connections(), 1);
        assert!(first.dns.is_some() && first.connect.is_some() && first.tls.is_some(), "{protocol}: {first:?}");
        assert_eq!((second.dns, second.connect, second.tls), (None, None, None), "{protocol}");
        assert_eq!((first.remote, second.remote), (Some(server.address), Some(server.address)), "{protocol}");
        assert!(first.response.is_some() && second.first_byte.is_some(), "{protocol}: {first:?}, {second:?}");
    }
}
