//! A `kill -9` at any moment loses nothing that was answered with 202.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    api::Api,
    database::{Database, on_both},
    engine::Engine,
    eventually::eventually,
    sink::Sink,
};

on_both! { blocking: kills_at_full_speed_lose_nothing }

const EVENTS: usize = 5_000;
const KILLS: usize = 10;
/// Each publishes one batch after the other.
const PUBLISHERS: usize = 4;
const PER_BATCH: usize = 25;
/// Each with a subscription of its own.
const PATHS: [&str; 3] = ["/a", "/b", "/c"];
const DEADLINE: Duration = Duration::from_secs(90);

fn kills_at_full_speed_lose_nothing(database: &Database) {
    let (sink, mut engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let api = engine.api();
    let subscriptions = PATHS.map(|path| api.subscribe("package.created", &sink.url(path), json!({})));

    let accepted = Arc::new(AtomicUsize::new(0));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (api, accepted) = (api.clone(), Arc::clone(&accepted));
            thread::spawn(move || {
                for batch in (publisher..EVENTS / PER_BATCH).step_by(PUBLISHERS) {
                    accepted.fetch_add(publish_until_accepted(&api, batch), Ordering::Relaxed);
                }
            })
        })
        .collect();

    // Each kill comes when the engine has accepted its share more, and so is at work.
    for kill in 1..=KILLS {
        let enough = EVENTS * kill / (KILLS + 1);
        eventually("the next share to be accepted", DEADLINE, || match accepted.load(Ordering::Relaxed) {
            seen if seen >= enough => Ok(()),
            seen => Err(format!("{seen} of {enough} events accepted\n{}", engine.log())),
        });
        engine.kill9();
        engine.start_again();
    }
    for publisher in publishers {
        publisher.join().expect("every event is accepted in the end");
    }

    for (path, subscription) in PATHS.into_iter().zip(subscriptions) {
        eventually("everything owed to be settled", DEADLINE, || match api.owed(subscription) {
            0 => Ok(()),
            owed => Err(format!("{owed} owed, {} requests to {path}", sink.count(path))),
        });
        let requests = sink.requests(path);
        let arrived: HashSet<i64> =
            requests.iter().filter_map(|request| request.json()["payload"]["id"].as_i64()).collect();
        assert_eq!(arrived.len(), EVENTS, "{path} got {} requests", requests.len());
    }
}

/// With idempotency keys, so that a batch whose answer was lost with the engine may be published again. Gives how many.
fn publish_until_accepted(api: &Api, batch: usize) -> usize {
    let event = |number: usize| {
        let key = format!("event {number}");
        json!({"event_type": "package.created", "payload": {"id": number}, "idempotency_key": key})
    };
    let events: Vec<Value> = (batch * PER_BATCH..(batch + 1) * PER_BATCH).map(event).collect();
    eventually("a batch to be accepted", DEADLINE, || match api.post("/api/v1/events/batch", &json!(events)) {
        Ok(reply) if reply.status == 202 => Ok(()),
        Ok(reply) => Err(format!("{reply:?}")),
        Err(error) => Err(error.to_string()),
    });
    PER_BATCH
}
