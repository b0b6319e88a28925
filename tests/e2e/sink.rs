//! The scripted receiver itself: a test that trusts it must be able to.

use std::time::Duration;

use crate::support::sink::{Answer, Behaviour, Sink};

fn post(sink: &Sink, path: &str, body: &str) -> Result<u16, ureq::Error> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_millis(500)))
        .build();
    let mut response = ureq::Agent::from(config).post(sink.url(path)).send(body)?;
    response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
    Ok(response.status().as_u16())
}

#[test]
fn behaviours_come_in_turn_and_the_last_is_repeated() {
    let sink = Sink::start();
    sink.script("/a", [503, 410, 200]);
    let statuses: Vec<u16> = (0..4).map(|_| post(&sink, "/a", "{}").expect("an answer")).collect();
    assert_eq!(statuses, [503, 410, 200, 200]);
    assert_eq!(post(&sink, "/other", "{}").expect("an answer"), 200);
}

#[test]
fn the_log_has_the_exact_bytes() {
    let sink = Sink::start();
    post(&sink, "/a?q=ş", "{ \"şehir\" :1e22}\r\n").expect("an answer");
    let requests = sink.requests("/a");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].body, "{ \"şehir\" :1e22}\r\n".as_bytes());
    assert_eq!(requests[0].header("content-LENGTH"), Some("19"));
}

#[test]
fn what_is_no_answer_fails_at_the_sender() {
    let sink = Sink::start();
    let ms = Duration::from_millis;
    let slow = Behaviour::Slow(ms(5_000), Answer::new(200));
    for behaviour in [Behaviour::Hang, Behaviour::Drip(1_000, ms(50)), Behaviour::Reset, Behaviour::Close, slow] {
        let told = format!("{behaviour:?}");
        sink.script("/a", [behaviour]);
        assert!(post(&sink, "/a", "{}").is_err(), "{told}");
    }
    assert_eq!(sink.count("/a"), 5);
}

#[test]
fn answers_can_be_large_redirect_or_ask_for_patience() {
    let sink = Sink::start();
    sink.script("/a", [Behaviour::Huge(3_000_000), Behaviour::redirect("/b"), Behaviour::retry_after(429, "7")]);
    let statuses: Vec<u16> = (0..3).map(|_| post(&sink, "/a", "{}").expect("an answer")).collect();
    assert_eq!(statuses, [200, 302, 429]);
}

#[test]
fn a_stopped_sink_refuses_and_comes_back() {
    let mut sink = Sink::start();
    sink.stop();
    assert!(post(&sink, "/a", "{}").is_err());
    sink.start_again();
    assert_eq!(post(&sink, "/a", "{}").expect("an answer"), 200);
}

#[test]
fn a_rule_sees_the_request() {
    let sink = Sink::start();
    sink.decide("/a", |request| Behaviour::status(if request.body == b"bad" { 500 } else { 200 }));
    assert_eq!(post(&sink, "/a", "bad").expect("an answer"), 500);
    assert_eq!(post(&sink, "/a", "good").expect("an answer"), 200);
    assert_eq!(sink.most_in_progress(), 1);
}
