//! What the machine has too little of is no fault of the endpoints, and no reason to lose anything.

use std::time::Duration;

use serde_json::json;

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        engine::Engine,
        eventually::eventually,
        sink::{Behaviour, Sink},
    },
};

on_both! { blocking: too_few_file_descriptors_delay_and_count_against_nobody }

/// Enough for the engine itself, its database and a few connections.
const FILES: u32 = 90;
const ENDPOINTS: usize = 14;
const EVENTS: usize = 12;
/// Attempts of a subscription of which nothing is known yet.
const FIRST_SLOTS: usize = 8;

fn too_few_file_descriptors_delay_and_count_against_nobody(database: &Database) {
    let sink = Sink::start();
    let mut engine = Engine::not_started(&database.url(), &[]);
    engine.limit_files(FILES);
    engine.start_again();
    let scene = Scene { api: engine.api(), engine, sink };
    let paths: Vec<String> = (0..ENDPOINTS).map(|endpoint| format!("/{endpoint}")).collect();
    for path in &paths {
        // Longer than it takes to start all first attempts, which are more than there are descriptors.
        let mut seen = 0;
        scene.sink.decide(path, move |_| {
            seen += 1;
            if seen <= FIRST_SLOTS { Behaviour::slow(Duration::from_millis(1_500)) } else { Behaviour::status(200) }
        });
    }
    let subscriptions: Vec<i64> = paths.iter().map(|path| scene.subscribe(path, json!({}))).collect();
    scene.publish_many(0..EVENTS);
    // Publishers may be kept out for a moment, and no longer.
    eventually("an event to be accepted meanwhile", SOON, || {
        match scene.api.post("/api/v1/events", &json!({"event_type": TYPE, "payload": {"id": EVENTS}})) {
            Ok(reply) if reply.status == 202 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // Until then a question may find no descriptor for the database, either.
    for path in &paths {
        scene.sink.wait_for(path, EVENTS + 1, SOON * 4);
    }
    for (path, subscription) in paths.iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 2);
        let deliveries = scene.api.all_deliveries(&format!("subscription={subscription}"));
        let odd = deliveries.iter().find(|delivery| delivery["state"] != "delivered" || delivery["attempts"] != 1);
        assert_eq!(odd, None, "{path}: each arrives at its first attempt");
        let mut arrived = scene.arrived(path);
        arrived.sort_unstable();
        assert_eq!(arrived, (0..=EVENTS).collect::<Vec<_>>(), "{path}");
    }
    let most = scene.sink.most_in_progress();
    assert!(most < ENDPOINTS * FIRST_SLOTS, "there were descriptors for all: {most} at once");
}
