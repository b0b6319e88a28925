//! SIGTERM: what is under way finishes, what is owed waits in the store, and the engine ends in time.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;

#[cfg(feature = "mysql")]
use crate::support::mariadb::{Durability, PrivateMariaDb};
use crate::{
    load::Load,
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        sink::Behaviour,
    },
};

on_both! { blocking:
    sigterm_under_load_loses_nothing_and_repeats_nothing,
    an_endpoint_that_hangs_does_not_keep_the_engine,
    whoever_sends_slowly_does_not_spoil_the_end,
    a_second_sigterm_ends_at_once,
}

fn sigterm_under_load_loses_nothing_and_repeats_nothing(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_DRAIN", "20")]);
    let paths = ["/a", "/b"];
    for path in paths {
        // Slower than events come, so that attempts are in flight whenever the signal comes.
        scene.sink.script(path, [Behaviour::slow(Duration::from_millis(200))]);
    }
    let subscriptions = paths.map(|path| scene.subscribe(path, json!({})));
    let load = Load::start(&scene.api, 8, usize::MAX);
    for round in 1..=3 {
        load.wait_for(round * 200);
        let status = scene.engine.terminate(SOON);
        assert_eq!(status.code(), Some(0), "{status}");
        scene.engine.start_again();
    }
    let accepted = load.stop();
    for (path, subscription) in paths.into_iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 2);
        let deliveries = scene.api.all_deliveries(&format!("subscription={subscription}&state=delivered"));
        assert!(deliveries.iter().all(|delivery| delivery["attempts"] == 1), "{path}");
        let mut arrived = scene.arrived(path);
        arrived.sort_unstable();
        let requests = arrived.len();
        arrived.dedup();
        assert_eq!(requests, arrived.len(), "{path}: what had finished is not attempted again");
        assert_eq!(requests, deliveries.len(), "{path}");
        for event in &accepted {
            assert!(arrived.binary_search(&event.number).is_ok(), "{path}: {event:?} was answered with 202");
        }
    }
}

fn an_endpoint_that_hangs_does_not_keep_the_engine(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_DRAIN", "1")]);
    scene.sink.script("/in", [Behaviour::Hang, Behaviour::status(200)]);
    let subscription = scene.subscribe("/in", json!({"config": {"timeout": 60}}));
    scene.publish(1);
    scene.sink.wait_for("/in", 1, SOON);
    let asked = Instant::now();
    let status = scene.engine.terminate(SOON);
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took >= Duration::from_millis(900), "it had a second to finish: {took:?}");
    assert!(took <= Duration::from_secs(4), "{took:?}");

    scene.engine.start_again();
    scene.settle(subscription, SOON);
    assert_eq!(scene.arrived("/in"), [1, 1]);
    let delivery = scene.api.deliveries("").remove(0);
    assert_eq!(
        (&delivery["state"], &delivery["attempts"]),
        (&json!("delivered"), &json!(1)),
        "the lost one is no attempt"
    );
}

/// Somebody who is not even known keeps a request open that never ends.
fn whoever_sends_slowly_does_not_spoil_the_end(database: &Database) {
    const EVENTS: usize = 200;
    let mut scene = Scene::new(database, &[("POSTRIDER_DRAIN", "4")]);
    scene.sink.script("/in", [Behaviour::slow(Duration::from_millis(300))]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.change(subscription, &json!({"max_in_flight": 8}));
    let address = scene.engine.base().trim_start_matches("http://");
    let mut slow = TcpStream::connect(address).expect("the engine listens");
    slow.write_all(b"POST /login HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\ntoken=").expect("it is taken");
    scene.publish_many(0..EVENTS);
    scene.sink.wait_for("/in", 20, SOON);
    let status = scene.engine.terminate(SOON);
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(scene.sink.count("/in") < EVENTS, "or nothing was under way");

    scene.engine.start_again();
    scene.settle(subscription, SOON * 2);
    assert_eq!(scene.sink.count("/in"), EVENTS, "what was under way had time to finish, and nothing is repeated");
}

fn a_second_sigterm_ends_at_once(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_DRAIN", "60")]);
    scene.sink.script("/in", [Behaviour::Hang, Behaviour::status(200)]);
    let subscription = scene.subscribe("/in", json!({"config": {"timeout": 60}}));
    scene.publish(1);
    scene.sink.wait_for("/in", 1, SOON);
    scene.engine.ask_to_end();
    // The door closes first; by then the first signal has been taken.
    crate::support::eventually::eventually("the door to close", SOON, || match scene.api.get("/healthz") {
        Err(_) => Ok(()),
        Ok(reply) => Err(format!("{reply:?}")),
    });
    let asked = Instant::now();
    let status = scene.engine.terminate(SOON);
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took <= Duration::from_secs(3), "{took:?}");
    scene.engine.start_again();
    scene.settle(subscription, SOON);
}

/// A server that stands still answers nothing, and closes nothing.
#[cfg(feature = "mysql")]
#[test]
fn a_database_that_stands_still_does_not_keep_the_engine() {
    let server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let mut scene = Scene::new(&database, &[("POSTRIDER_DRAIN", "1")]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.publish_many(0..20);
    scene.settle(subscription, SOON);
    server.stall();
    let asked = Instant::now();
    let status = scene.engine.terminate(SOON);
    let took = asked.elapsed();
    server.go_on();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took <= Duration::from_secs(9), "{took:?}");
    assert!(scene.engine.log().contains("the statistics of the last minute are lost"), "{}", scene.engine.log());
}
