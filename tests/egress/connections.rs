//! Connections: kept, shared, given up, and never in each other's way.

use std::{rc::Rc, time::Duration};

use futures_util::future::join_all;
use postrider::{
    domain::attempt::{FailureClass, Outcome},
    egress::{Client, Reply},
};
use tokio::time::{Instant, timeout};

use crate::{
    server::{Peer, Server, eventually},
    subject::{answer, assert_fails, client, guard, hasty, send, terms},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[actix_rt::test]
async fn a_connection_is_used_again() {
    let server = Server::answering(OK).await;
    let client = client();
    for _ in 0..5 {
        answer(&client, &terms(&server.url("/"))).await;
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[actix_rt::test]
async fn a_connection_that_the_endpoint_closed_is_noticed_before_it_is_used() {
    let server = Server::answering_once(OK).await;
    let client = client();
    for _ in 0..3 {
        answer(&client, &terms(&server.url("/"))).await;
        server.all_closed().await;
    }
    assert_eq!((server.connections(), server.requests().len()), (3, 3));
}

#[actix_rt::test]
async fn a_connection_that_ends_under_the_next_request_does_not_cost_an_attempt() {
    for is_reset in [false, true] {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.request().await;
            peer.write(OK).await;
            // As a load balancer that has forgotten the connection.
            peer.request().await;
            if is_reset {
                peer.socket.set_zero_linger().expect("a socket");
            }
        })
        .await;
        let client = client();
        answer(&client, &terms(&server.url("/"))).await;
        answer(&client, &terms(&server.url("/"))).await;
        assert_eq!((server.connections(), server.requests().len()), (2, 3));
    }
}

#[actix_rt::test]
async fn a_fresh_connection_that_ends_without_an_answer_is_not_tried_twice() {
    let server = Server::start(|mut peer: Peer| async move { drop(peer.request().await) }).await;
    assert_fails(&client(), &terms(&server.url("/")), FailureClass::Protocol, "without an answer").await;
    assert_eq!(server.requests().len(), 1);
}

#[actix_rt::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write(OK).await;
        peer.request().await;
        peer.write("HTTP/1.1 200").await;
    })
    .await;
    let client = client();
    answer(&client, &terms(&server.url("/"))).await;
    assert_fails(&client, &terms(&server.url("/")), FailureClass::Protocol, "in the middle").await;
    assert_eq!(server.requests().len(), 2);
}

#[actix_rt::test]
async fn dead_endpoints_do_not_delay_a_healthy_one() {
    let silent = Server::start(|mut peer: Peer| async move { peer.closed().await }).await;
    let healthy = Server::answering(OK).await;
    let names = [("silent.example", vec![Reply::Silence])];
    let client = Rc::new(Client::new(guard(&["127.0.0.0/8"], names)));
    let dead: Vec<String> = (0..150)
        .map(|number| match number % 3 {
            0 => silent.url(&format!("/{number}")),
            1 => format!("http://silent.example/{number}"),
            _ => format!("http://127.0.1.{number}:9/"),
        })
        .collect();
    let attempts: Vec<_> = dead
        .into_iter()
        .map(|url| {
            let client = Rc::clone(&client);
            actix_rt::spawn(async move { send(&client, &hasty(&url)).await })
        })
        .collect();
    eventually("the dead ones are under way", || silent.connections() == 50).await;
    let started = Instant::now();
    for _ in 0..20 {
        answer(&client, &terms(&healthy.url("/"))).await;
    }
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    for outcome in join_all(attempts).await {
        assert!(matches!(outcome.expect("no panic"), Outcome::Failed(_)));
    }
    silent.all_closed().await;
}

#[actix_rt::test]
async fn an_attempt_that_is_dropped_closes_its_connection() {
    let server = Server::start(|mut peer: Peer| async move { peer.closed().await }).await;
    let client = client();
    let attempt = timeout(Duration::from_millis(200), send(&client, &terms(&server.url("/")))).await;
    assert!(attempt.is_err());
    assert_eq!(server.connections(), 1);
    server.all_closed().await;
}

#[actix_rt::test]
async fn idle_connections_are_closed_after_a_while_and_busy_ones_are_not() {
    let server = Server::answering(OK).await;
    let client = client();
    answer(&client, &terms(&server.url("/"))).await;
    for _ in 0..2 {
        client.reap();
    }
    answer(&client, &terms(&server.url("/"))).await;
    assert_eq!(server.connections(), 1, "still kept");
    for _ in 0..3 {
        client.reap();
    }
    server.all_closed().await;
    answer(&client, &terms(&server.url("/"))).await;
    assert_eq!(server.connections(), 2);
}

#[actix_rt::test]
async fn an_attempt_survives_that_its_origin_is_forgotten() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.write(OK).await;
    })
    .await;
    let client = Rc::new(client());
    let attempt = {
        let (client, terms) = (Rc::clone(&client), terms(&server.url("/")));
        actix_rt::spawn(async move { answer(&client, &terms).await })
    };
    eventually("the request is there", || server.requests().len() == 1).await;
    for _ in 0..3 {
        client.reap();
    }
    assert_eq!(attempt.await.expect("no panic").status, 200);
}

#[actix_rt::test]
async fn the_next_address_is_tried_when_one_takes_no_connection() {
    let server = Server::answering(OK).await;
    let names = [("two.example", vec![Reply::addresses(&["127.0.0.99", "127.0.0.1"])])];
    let client = Client::new(guard(&["127.0.0.0/8"], names));
    let url = format!("http://two.example:{}/", server.address.port());
    assert_eq!(answer(&client, &terms(&url)).await.status, 200);
    assert_eq!(server.requests()[0].header("host"), Some(format!("two.example:{}", server.address.port())));
}

#[actix_rt::test]
async fn one_that_cannot_be_reached_says_why() {
    let names = [("gone.example", vec![Reply::Missing]), ("silent.example", vec![Reply::Silence])];
    let client = Client::new(guard(&["127.0.0.0/8"], names));
    let free = {
        let server = Server::answering(OK).await;
        server.address
    };
    eventually("the port is free", || std::net::TcpListener::bind(free).is_ok()).await;
    let refused = format!("http://{free}/");
    assert_fails(&client, &terms(&refused), FailureClass::Connect, &format!("connection refused by {free}")).await;
    assert_fails(&client, &terms("http://gone.example/"), FailureClass::Dns, "gone.example").await;
    assert_fails(&client, &hasty("http://silent.example/"), FailureClass::Timeout, "within 1 s").await;
}
