//! TLS: whom we trust, and which protocol is spoken inside.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use futures_util::future::join_all;
use postrider::{
    domain::{attempt::FailureClass, event::wire_uuid},
    egress::{Client, Reply},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::{
    server::{Peer, Server, eventually},
    subject::{DELIVERY, answer, assert_fails, client, guard, hasty, terms, with_headers, with_secret},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A certificate authority of one test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// What a server for `name` needs that offers `protocols`.
    pub(crate) fn acceptor(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }

    /// A client that trusts this authority, and finds every server of the test under `secure.example`.
    pub(crate) fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        let names = [("secure.example", vec![Reply::addresses(&["127.0.0.1"])])];
        Client::trusting(guard(&["127.0.0.0/8"], names), roots)
    }
}

pub(crate) async fn http1_server(acceptor: TlsAcceptor) -> Server {
    Server::start(move |peer: Peer| {
        let acceptor = acceptor.clone();
        async move {
            let Some(mut peer) = peer.secured(&acceptor).await else { return };
            while peer.request().await.is_some() {
                peer.write("HTTP/1.1 103 Early Hints\r\n\r\n").await;
                peer.write(OK).await;
            }
        }
    })
    .await
}

/// Answers with the name of the pseudo-header `:authority` and what came in `webhook-id`. After `requests` requests a
/// connection ends.
pub(crate) async fn http2_server(acceptor: TlsAcceptor, requests: Option<usize>) -> Server {
    Server::start(move |peer: Peer| {
        let acceptor = acceptor.clone();
        async move {
            let Some(peer) = peer.secured(&acceptor).await else { return };
            let mut connection = h2::server::handshake(peer.socket).await.expect("HTTP/2");
            let mut served = 0;
            while requests != Some(served)
                && let Some(Ok((request, mut respond))) = connection.accept().await
            {
                served += 1;
                let id = request.headers().get("webhook-id").expect("an id").to_str().expect("text").to_owned();
                let seen = format!("{} {id}", request.uri().authority().expect("an authority"));
                let mut response = respond.send_response(ok(), false).expect("a stream");
                response.send_data(seen.into(), true).expect("a stream");
            }
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    })
    .await
}

/// 200 without headers, in a type that h2 does not name.
fn ok<T: Default>() -> T {
    T::default()
}

pub(crate) fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/", server.address.port())
}

#[actix_rt::test]
async fn a_trusted_endpoint_is_delivered_to_over_one_connection() {
    let authority = Authority::new();
    let client = authority.client();
    for (host, protocols) in [("secure.example", &["http/1.1"][..]), ("secure.example", &[]), ("127.0.0.1", &[])] {
        let server = http1_server(authority.acceptor(host, protocols)).await;
        for _ in 0..3 {
            let answer = answer(&client, &with_secret(terms(&url(&server, host)), "s")).await;
            assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
        }
        assert_eq!((server.connections(), server.requests().len()), (1, 3));
        assert_eq!(server.requests()[0].header("host"), Some(format!("{host}:{}", server.address.port())));
    }
}

#[actix_rt::test]
async fn one_that_is_not_trusted_gets_nothing() {
    let authority = Authority::new();
    let server = http1_server(authority.acceptor("secure.example", &[])).await;
    let strange = Authority::new().client();
    assert_fails(&strange, &terms(&url(&server, "secure.example")), FailureClass::Tls, "certificate").await;
    let client = authority.client();
    assert_fails(&client, &terms(&url(&server, "127.0.0.1")), FailureClass::Tls, "certificate").await;
    assert!(server.requests().is_empty());
}

#[actix_rt::test]
async fn a_server_without_tls_is_a_tls_failure() {
    let server = Server::answering(OK).await;
    let plain = Server::start(|mut peer: Peer| async move {
        peer.write("HTTP/1.1 400 This is no TLS\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    assert_fails(&client(), &terms(&url(&plain, "127.0.0.1")), FailureClass::Tls, "TLS").await;
    drop(server);
    let silent = Server::start(|mut peer: Peer| async move { peer.closed().await }).await;
    assert_fails(&client(), &hasty(&url(&silent, "127.0.0.1")), FailureClass::Timeout, "within 1 s").await;
    silent.all_closed().await;
}

#[actix_rt::test]
async fn http2_is_spoken_where_it_is_offered_and_many_requests_share_a_connection() {
    let authority = Authority::new();
    let server = http2_server(authority.acceptor("secure.example", &["h2", "http/1.1"]), None).await;
    let client = authority.client();
    let terms = terms(&url(&server, "secure.example"));
    let first = answer(&client, &terms).await;
    let seen = format!("secure.example:{} {}", server.address.port(), wire_uuid(DELIVERY));
    assert_eq!((first.status, String::from_utf8_lossy(&first.body).into_owned()), (200, seen));
    let attempts = (0..10).map(|_| answer(&client, &terms));
    for answer in join_all(attempts).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn attempts_that_find_http2_at_the_same_time_all_arrive() {
    let authority = Authority::new();
    let server = http2_server(authority.acceptor("secure.example", &["h2", "http/1.1"]), None).await;
    let client = authority.client();
    let terms = terms(&url(&server, "secure.example"));
    for answer in join_all((0..20).map(|_| answer(&client, &terms))).await {
        assert_eq!(answer.status, 200);
    }
    assert!(server.connections() <= 20, "no handshake is thrown away");
}

#[actix_rt::test]
async fn headers_that_http2_does_not_know_do_not_hinder_it() {
    let authority = Authority::new();
    let server = http2_server(authority.acceptor("secure.example", &["h2"]), None).await;
    let headers = serde_json::json!({
        "Host": "oms.example", "Connection": "close", "Keep-Alive": "timeout=5", "TE": "gzip", "Upgrade": "x",
        "Proxy-Connection": "close", "Expect": "100-continue"
    });
    let terms = with_headers(terms(&url(&server, "secure.example")), &headers);
    let answer = answer(&authority.client(), &terms).await;
    assert!(answer.body.starts_with(b"oms.example "), "{:?}", answer.body);
}

#[actix_rt::test]
async fn names_are_sent_as_they_are_stored_where_the_protocol_lets_them() {
    let authority = Authority::new();
    let client = authority.client();
    let unusual = serde_json::json!({"hOST": "oms.example", "WEBHOOK-id": "mine", "X_Under": "1"});
    let server = http2_server(authority.acceptor("secure.example", &["h2"]), None).await;
    for _ in 0..2 {
        let terms = with_headers(terms(&url(&server, "secure.example")), &unusual);
        assert_eq!(answer(&client, &terms).await.body, "oms.example mine", "HTTP/2 would refuse capitals");
    }
    assert_eq!(server.connections(), 1);
    let server = http1_server(authority.acceptor("secure.example", &["http/1.1"])).await;
    answer(&client, &with_headers(terms(&url(&server, "secure.example")), &unusual)).await;
    let head = server.requests().pop().expect("a request").head;
    for line in ["hOST: oms.example", "WEBHOOK-id: mine", "X_Under: 1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
}

#[actix_rt::test]
async fn an_http2_connection_that_ended_does_not_cost_an_attempt() {
    let authority = Authority::new();
    let server = http2_server(authority.acceptor("secure.example", &["h2"]), Some(2)).await;
    let client = authority.client();
    for _ in 0..6 {
        assert_eq!(answer(&client, &terms(&url(&server, "secure.example"))).await.status, 200);
    }
    assert!(server.connections() >= 3);
}

#[actix_rt::test]
async fn an_http2_connection_with_nobody_at_its_end_is_left_after_one_timeout() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("secure.example", &["h2"]);
    let is_first = Rc::new(Cell::new(true));
    let server = Server::start(move |peer: Peer| {
        let (acceptor, is_first) = (acceptor.clone(), is_first.replace(false));
        async move {
            let Some(peer) = peer.secured(&acceptor).await else { return };
            let mut connection = h2::server::handshake(peer.socket).await.expect("HTTP/2");
            let mut waiting = Vec::new();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if is_first {
                    waiting.push(respond);
                } else {
                    respond.send_response(ok(), true).expect("a stream");
                }
            }
        }
    })
    .await;
    let client = authority.client();
    let terms = hasty(&url(&server, "secure.example"));
    assert_fails(&client, &terms, FailureClass::Timeout, "within 1 s").await;
    assert_eq!(answer(&client, &terms).await.status, 200);
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn an_idle_http2_connection_is_closed_and_nothing_else_is_sent_on_it() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("secure.example", &["h2"]);
    let methods: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = Rc::clone(&methods);
    let server = Server::start(move |peer: Peer| {
        let (acceptor, seen) = (acceptor.clone(), Rc::clone(&seen));
        async move {
            let Some(peer) = peer.secured(&acceptor).await else { return };
            let mut connection = h2::server::handshake(peer.socket).await.expect("HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                seen.borrow_mut().push(request.method().to_string());
                respond.send_response(ok(), true).expect("a stream");
            }
            seen.borrow_mut().push("closed".to_owned());
        }
    })
    .await;
    let client = authority.client();
    answer(&client, &terms(&url(&server, "secure.example"))).await;
    for _ in 0..3 {
        client.reap();
    }
    eventually("the connection is closed", || methods.borrow().last().is_some_and(|last| last == "closed")).await;
    assert_eq!(*methods.borrow(), ["POST", "closed"]);
}

#[actix_rt::test]
async fn an_endpoint_may_give_http2_up() {
    let authority = Authority::new();
    let client = authority.client();
    let server = http2_server(authority.acceptor("secure.example", &["h2"]), Some(1)).await;
    let terms = terms(&url(&server, "secure.example"));
    assert_eq!(answer(&client, &terms).await.status, 200);
    let address = server.address;
    drop(server);
    let acceptor = authority.acceptor("secure.example", &["http/1.1"]);
    eventually("the port is free", || std::net::TcpListener::bind(address).is_ok()).await;
    let server = Server::on(address, move |peer: Peer| {
        let acceptor = acceptor.clone();
        async move {
            let mut peer = peer.secured(&acceptor).await.expect("a handshake");
            peer.request().await;
            peer.write(OK).await;
        }
    })
    .await;
    assert_eq!(answer(&client, &terms).await.body, "ok");
    assert_eq!(server.requests().len(), 1);
}
