//! An event's way, from the publisher to the receiver.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    database::{Database, on_both},
    engine::Engine,
    eventually::eventually,
    sink::Sink,
};

on_both! { blocking:
    an_accepted_event_arrives_as_it_was_published,
    a_failed_delivery_is_attempted_again,
    sigterm_ends_the_engine_in_order,
}

const SOON: Duration = Duration::from_secs(20);

fn an_accepted_event_arrives_as_it_was_published(database: &Database) {
    let (sink, engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let api = engine.api();
    let subscription = api.subscribe("package.created", &sink.url("/in"), json!({"secret_key": "sır"}));
    let accepted = api.publish("package.created", &json!({"şehir": "İstanbul", "n": 1}));
    assert_eq!(accepted["deliveries"], 1);

    let request = sink.wait_for("/in", 1, SOON).remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.json()["payload"], json!({"şehir": "İstanbul", "n": 1}));
    assert_eq!(request.json()["event"]["type"], "package.created");
    assert_eq!(request.header("X-Whisperer-Event"), Some("package.created"));
    eventually("the delivery to be recorded", SOON, || {
        let deliveries = api.deliveries(&format!("subscription={subscription}&state=delivered"));
        if deliveries.len() == 1 { Ok(()) } else { Err(format!("{deliveries:?}")) }
    });
}

fn a_failed_delivery_is_attempted_again(database: &Database) {
    let (sink, engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let api = engine.api();
    sink.script("/in", [503, 500, 200]);
    api.subscribe("package.created", &sink.url("/in"), json!({}));
    api.publish("package.created", &json!({"id": 1}));
    let requests = sink.wait_for("/in", 3, SOON);
    // A repeat can be recognised: body and id are the same.
    for request in &requests[1..] {
        assert_eq!(request.body, requests[0].body);
        assert_eq!(request.header("webhook-id"), requests[0].header("webhook-id"));
    }
    eventually("the third attempt to be recorded", SOON, || {
        let deliveries = api.deliveries("state=delivered");
        match deliveries.first().map(|delivery| &delivery["attempts"]) {
            Some(attempts) if *attempts == 3 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn sigterm_ends_the_engine_in_order(database: &Database) {
    let mut engine = Engine::start(&database.url(), &[]);
    let status = engine.terminate(SOON);
    assert_eq!(status.code(), Some(0), "{status}");
}
