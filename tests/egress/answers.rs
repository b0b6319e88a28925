//! What is made of answers, good and bad.

use std::{io::Write, time::Duration};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use postrider::domain::attempt::{FailureClass, KEPT_BODY_BYTES};
use tokio::time::{Instant, sleep};

use crate::{
    server::{Peer, Server},
    subject::{answer, assert_fails, client, hasty, send, terms},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[actix_rt::test]
async fn an_answer_is_its_status_its_type_and_its_body() {
    for status in [200, 204, 299, 300, 304, 400, 404, 410, 500, 599, 600, 999] {
        let body = if matches!(status, 204 | 304) { "" } else { "done" };
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Type: text/plain; charset=x\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let server = Server::answering(text).await;
        let answer = answer(&client(), &hasty(&server.url("/"))).await;
        assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()));
        assert_eq!(answer.content_type.as_deref(), Some("text/plain; charset=x"));
        assert_eq!(answer.retry_after, None);
    }
}

#[actix_rt::test]
async fn retry_after_is_passed_on() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n").await;
    let answer = answer(&client(), &terms(&server.url("/"))).await;
    assert_eq!(answer.retry_after, Some(Duration::from_mins(2)));
}

#[actix_rt::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Server::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        let location = other.url("/");
        let text = format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::answering(text).await;
        assert_eq!(answer(&client(), &terms(&server.url("/"))).await.status, status);
    }
    assert_eq!(other.connections(), 0);
}

#[actix_rt::test]
async fn a_body_that_ends_with_the_connection_is_read() {
    for version in ["1.0", "1.1"] {
        let server = Server::answering_once(format!("HTTP/{version} 200 OK\r\n\r\nto the end")).await;
        assert_eq!(answer(&client(), &terms(&server.url("/"))).await.body, "to the end");
    }
}

#[actix_rt::test]
async fn a_chunked_body_is_put_together_and_its_connection_used_again() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nput\r\na;ext=1\r\n together!\r\n0\r\n\r\n";
    let server = Server::answering(text).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(answer(&client, &terms(&server.url("/"))).await.body, "put together!");
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn interim_answers_are_not_the_answer_whether_they_come_alone_or_together() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let server = Server::start(move |mut peer: Peer| async move {
        let mut number = 0;
        while peer.request().await.is_some() {
            number += 1;
            let body = format!("answer {number}");
            let text = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if number % 2 == 0 {
                peer.write(&text).await;
            } else {
                // In pieces that cut heads and lines anywhere.
                for piece in text.as_bytes().chunks(7) {
                    peer.write(piece).await;
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    let client = client();
    for number in 1..=4 {
        let answer = answer(&client, &terms(&server.url("/"))).await;
        assert_eq!((answer.status, answer.body), (200, format!("answer {number}").into()));
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn a_switch_of_protocols_is_an_answer_that_does_not_hold_the_attempt() {
    let server = Server::answering("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    assert_eq!(answer(&client(), &terms(&server.url("/"))).await.status, 101);
}

#[actix_rt::test]
async fn a_304_that_announces_a_body_is_complete_without_it() {
    let server = Server::answering("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").await;
    let client = client();
    assert_eq!(answer(&client, &hasty(&server.url("/"))).await.status, 304);
    assert_eq!(answer(&client, &hasty(&server.url("/"))).await.status, 304);
}

/// `KEPT_BODY_BYTES` of `a` are the beginning of what is compressed.
fn compressed(length: usize) -> [(&'static str, Vec<u8>); 3] {
    let plain = vec![b'a'; length];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
    for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
        encoder.write_all(&plain).expect("in memory");
    }
    let finish = "in memory";
    [
        ("gzip", gzip.finish().expect(finish)),
        ("deflate", zlib.finish().expect(finish)),
        ("deflate", bare.finish().expect(finish)),
    ]
}

#[actix_rt::test]
async fn compressed_bodies_are_decoded_and_bombs_do_not_go_off() {
    for length in [5, 4 * 1024 * 1024] {
        for (coding, body) in compressed(length) {
            let mut text =
                format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len())
                    .into_bytes();
            text.extend_from_slice(&body);
            let server = Server::answering(text).await;
            let answer = answer(&client(), &terms(&server.url("/"))).await;
            assert_eq!(answer.body, vec![b'a'; length.min(KEPT_BODY_BYTES)], "{coding}, {length}");
        }
    }
}

#[actix_rt::test]
async fn a_body_that_lies_about_its_coding_is_kept_as_it_came() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain").await;
    assert_eq!(answer(&client(), &terms(&server.url("/"))).await.body, "plain");
}

#[actix_rt::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n").await;
        let mut written = 0;
        while tokio::io::AsyncWriteExt::write_all(&mut peer.socket, &[b'x'; 4096]).await.is_ok() {
            written += 4096;
            assert!(written < 64 * 1024 * 1024, "somebody reads on");
        }
    })
    .await;
    let answer = answer(&client(), &terms(&server.url("/"))).await;
    assert_eq!((answer.status, answer.body.len()), (200, KEPT_BODY_BYTES));
    server.all_closed().await;
}

#[actix_rt::test]
async fn a_body_within_the_bound_is_read_to_its_end_and_kept_in_part() {
    let body = "y".repeat(64 * 1024);
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(answer(&client, &terms(&server.url("/"))).await.body.len(), KEPT_BODY_BYTES);
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn a_body_that_drips_past_the_deadline_is_a_timeout() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
        for _ in 0..1000 {
            peer.write("d").await;
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let started = Instant::now();
    assert_fails(&client(), &hasty(&server.url("/")), FailureClass::Timeout, "within 1 s").await;
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[actix_rt::test]
async fn an_endpoint_that_says_nothing_is_a_timeout_and_sees_the_connection_close() {
    let server = Server::start(|mut peer: Peer| async move { peer.closed().await }).await;
    assert_fails(&client(), &hasty(&server.url("/?token=hunter2")), FailureClass::Timeout, "within 1 s").await;
    server.all_closed().await;
}

#[actix_rt::test]
async fn what_breaks_or_is_no_http_is_a_protocol_failure() {
    for (text, words) in [
        ("", "without an answer"),
        ("HTTP/1.1 200 OK\r\nContent-Len", "in the middle"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "in the middle"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "in the middle"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", "not valid"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "in the middle"),
        ("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "does not speak HTTP"),
        ("HTTP/1.1 two hundred\r\n\r\n", "does not speak HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "does not speak HTTP"),
    ] {
        let server = Server::answering_once(text).await;
        assert_fails(&client(), &terms(&server.url("/")), FailureClass::Protocol, words).await;
    }
}

#[actix_rt::test]
async fn a_reset_is_a_protocol_failure() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.socket.set_zero_linger().expect("a socket");
    })
    .await;
    assert_fails(&client(), &terms(&server.url("/")), FailureClass::Protocol, "reset").await;
}

#[actix_rt::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\n").await;
        while tokio::io::AsyncWriteExt::write_all(&mut peer.socket, b"X-Filler: yes\r\n").await.is_ok() {}
    })
    .await;
    let started = Instant::now();
    assert_fails(&client(), &terms(&server.url("/")), FailureClass::Protocol, "").await;
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[actix_rt::test]
async fn an_answer_that_comes_before_the_body_was_read_counts() {
    let server = Server::start(|mut peer: Peer| async move {
        tokio::io::AsyncReadExt::read_u8(&mut peer.socket).await.ok();
        peer.write("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    assert!(!send(&client(), &terms(&server.url("/"))).await.is_success());
    assert_eq!(answer(&client(), &terms(&server.url("/"))).await.status, 401);
}
