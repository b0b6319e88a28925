//! Addresses that webhooks must not reach, in every spelling: refused when written, and refused when dialled.

use postrider::{
    domain::{attempt::FailureClass, endpoint::Endpoint},
    egress::{Client, Reply},
};

use crate::{
    server::Server,
    subject::{answer, assert_fails, guard, terms},
};

/// Where each leads, in the words of the refusal.
const LITERALS: &[(&str, &str)] = &[
    ("127.0.0.1", "loopback"),
    ("127.1", "loopback"),
    ("127.0.1", "loopback"),
    ("2130706433", "loopback"),
    ("0x7f000001", "loopback"),
    ("0x7F.0x0.0x0.0x1", "loopback"),
    ("017700000001", "loopback"),
    ("0177.0.0.01", "loopback"),
    ("0177.0x0.1", "loopback"),
    ("127.0.0.1.", "loopback"),
    ("１２７.０.０.１", "loopback"),
    ("127。0。0。1", "loopback"),
    ("%31%32%37.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("[::1]", "loopback"),
    ("[0:0:0:0:0:0:0:1]", "loopback"),
    ("[::ffff:127.0.0.1]", "loopback"),
    ("[::ffff:7f00:1]", "loopback"),
    ("[0:0:0:0:0:FFFF:7F00:0001]", "loopback"),
    ("[::127.0.0.1]", "loopback"),
    ("[::7f00:1]", "loopback"),
    ("[64:ff9b::127.0.0.1]", "loopback"),
    ("[2002:7f00:1::]", "loopback"),
    ("[::ffff:0:127.0.0.1]", "loopback"),
    ("0.0.0.0", "unspecified"),
    ("0", "unspecified"),
    ("0x0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("[::]", "unspecified"),
    ("10.0.0.1", "private"),
    ("10.1", "private"),
    ("0xa000001", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.0.1", "private"),
    ("3232235521", "private"),
    ("[::ffff:192.168.0.1]", "private"),
    ("[64:ff9b::a00:1]", "private"),
    ("[2002:c0a8:1::1]", "private"),
    ("[64:ff9b:1::10.0.0.1]", "private"),
    ("[64:ff9b:1:a00:0:100::]", "local NAT64"),
    ("169.254.169.254", "metadata"),
    ("0xa9fea9fe", "metadata"),
    ("2852039166", "metadata"),
    ("[::ffff:a9fe:a9fe]", "metadata"),
    ("[64:ff9b::169.254.169.254]", "metadata"),
    ("[fd00:ec2::254]", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.192", "metadata"),
    ("169.254.0.1", "link-local"),
    ("[fe80::1]", "link-local"),
    ("100.64.0.1", "CGNAT"),
    ("192.0.0.8", "reserved for protocols"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("[2001:db8::1]", "documentation"),
    ("198.18.0.1", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("[ff02::1]", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("4294967295", "broadcast"),
    ("[fc00::1]", "unique local"),
    ("[fd12:3456::1]", "unique local"),
    ("[fec0::1]", "site-local"),
    ("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "Teredo"),
    ("[100::1]", "discard"),
];

#[actix_rt::test]
async fn every_spelling_is_refused_when_it_is_written() {
    let guard = guard(&[], []);
    for (host, rule) in LITERALS {
        for url in [format!("http://{host}/"), format!("https://user:pass@{host}:8443/x?y#z")] {
            let endpoint = Endpoint::parse(&url).unwrap_or_else(|_| panic!("{url} is a URL"));
            let refusal = guard.check(&endpoint).await.expect_err(&url).to_string();
            assert!(refusal.contains(rule), "{url}: {refusal}");
            assert!(refusal.contains("POSTRIDER_EGRESS_ALLOW"), "{url}: {refusal}");
        }
    }
}

#[actix_rt::test]
async fn every_spelling_is_refused_when_it_is_dialled() {
    let client = Client::new(guard(&[], []));
    for (host, rule) in LITERALS {
        let terms = terms(&format!("http://{host}:9/"));
        assert_fails(&client, &terms, FailureClass::Forbidden, rule).await;
    }
}

#[actix_rt::test]
async fn names_are_judged_by_all_their_addresses() {
    let guard = guard(
        &[],
        [
            ("inside.example", vec![Reply::addresses(&["10.0.0.1", "::1"])]),
            ("mixed.example", vec![Reply::addresses(&["10.0.0.1", "93.184.215.14"])]),
            ("public.example", vec![Reply::addresses(&["93.184.215.14"])]),
            ("mapped.example", vec![Reply::addresses(&["::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"])]),
        ],
    );
    let check = async |host: &str| {
        let endpoint = Endpoint::parse(&format!("https://{host}/")).expect("a URL");
        guard.check(&endpoint).await.map_err(|refusal| refusal.to_string())
    };
    let refused = check("inside.example").await.expect_err("both are inside");
    assert!(refused.starts_with("inside.example resolves to 10.0.0.1, a private address;"), "{refused}");
    check("mapped.example").await.expect_err("both lead inside");
    check("INSIDE.example").await.expect_err("names have no case");
    assert_eq!(check("mixed.example").await, Ok(()));
    assert_eq!(check("public.example").await, Ok(()));
    assert_eq!(check("not-yet.example").await, Ok(()), "it may come up later");
}

#[actix_rt::test]
async fn of_mixed_addresses_only_the_allowed_ones_are_dialled() {
    let inside = Server::on("127.0.0.2:0".parse().expect("an address"), |_| async {}).await;
    let port = inside.address.port();
    let outside = Server::on(format!("127.0.0.1:{port}").parse().expect("an address"), |mut peer| async move {
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let names = [("mixed.example", vec![Reply::addresses(&["127.0.0.2", "127.0.0.1"])])];
    let client = Client::new(guard(&["127.0.0.1/32"], names));
    answer(&client, &terms(&format!("http://mixed.example:{port}/"))).await;
    assert_eq!((inside.connections(), outside.connections()), (0, 1));
}

#[actix_rt::test]
async fn a_name_that_changes_its_answer_after_the_check_is_refused_when_dialled() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let replies = vec![Reply::addresses(&["93.184.215.14"]), Reply::addresses(&["127.0.0.1"])];
    let guard = guard(&[], [("rebind.example", replies)]);
    let url = format!("http://rebind.example:{}/", server.address.port());
    assert_eq!(guard.check(&Endpoint::parse(&url).expect("a URL")).await, Ok(()));
    assert_fails(&Client::new(guard), &terms(&url), FailureClass::Forbidden, "loopback").await;
    assert_eq!(server.connections(), 0);
}

#[actix_rt::test]
async fn each_connection_is_checked_anew() {
    let server = Server::answering_once("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let replies = vec![Reply::addresses(&["127.0.0.1"]), Reply::addresses(&["127.0.0.2"])];
    let client = Client::new(guard(&["127.0.0.1/32"], [("rebind.example", replies)]));
    let terms = terms(&format!("http://rebind.example:{}/", server.address.port()));
    answer(&client, &terms).await;
    server.all_closed().await;
    assert_fails(&client, &terms, FailureClass::Forbidden, "127.0.0.2").await;
}

#[actix_rt::test]
async fn a_redirect_into_the_inside_leads_nowhere() {
    let inside = Server::on("127.0.0.2:0".parse().expect("an address"), |_| async {}).await;
    let text = format!("HTTP/1.1 307 Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", inside.url("/"));
    let server = Server::answering(text).await;
    let client = Client::new(guard(&["127.0.0.1/32"], []));
    assert_eq!(answer(&client, &terms(&server.url("/"))).await.status, 307);
    assert_eq!(inside.connections(), 0);
}

#[actix_rt::test]
async fn a_host_header_does_not_lead_elsewhere() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let client = Client::new(guard(&["127.0.0.1/32"], []));
    let headers = serde_json::json!({"Host": "127.0.0.2:1"});
    let terms = crate::subject::with_headers(terms(&server.url("/")), &headers);
    assert_eq!(answer(&client, &terms).await.status, 200);
    assert_eq!(server.requests()[0].header("host").as_deref(), Some("127.0.0.2:1"));
}
