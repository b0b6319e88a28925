//! One endpoint cannot hurt another.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE, id_in},
    support::{
        database::{Database, on_both},
        eventually::eventually,
        process::{Standing, standing_of_thread},
        sink::Behaviour,
        waits::Waits,
    },
};

on_both! { blocking:
    a_healthy_endpoint_does_not_notice_fifty_that_hang,
    what_hangs_from_the_start_is_sent_one_attempt,
    endpoints_that_do_not_work_are_tried_in_the_background,
}

const HANGING: usize = 50;
/// Attempts of a subscription whose endpoint has just begun to work.
const FIRST_SLOTS: usize = 8;
/// More than each has slots.
const EVENTS_EACH: usize = 40;
const EVENTS: usize = 200;
/// From the answer to the publisher to the arrival at the healthy endpoint. Far below anything that hangs, far above what an
/// unoptimised engine needs on a busy machine.
const P99: Duration = Duration::from_millis(250);
const HANGS: &str = "stock_location.updated";

/// They work once, so that they are trusted with as many attempts as they have slots.
fn a_healthy_endpoint_does_not_notice_fifty_that_hang(database: &Database) {
    let scene = Scene::new(database, &[]);
    for endpoint in 0..HANGING {
        let path = format!("/hangs/{endpoint}");
        scene.sink.script(&path, [Behaviour::status(200), Behaviour::Hang]);
        scene.api.subscribe(HANGS, &scene.sink.url(&path), json!({}));
    }
    scene.subscribe("/healthy", json!({}));
    scene.api.publish(HANGS, &json!({"id": 0}));
    let requests = |count| {
        eventually("attempts everywhere", SOON, || match scene.sink.requests_in_all() {
            seen if seen >= count => Ok(()),
            seen => Err(format!("{seen} requests")),
        });
    };
    requests(HANGING);
    scene.api.publish_batch(&for_all_that_hang());
    requests(HANGING * (1 + FIRST_SLOTS));

    let mut answered = HashMap::new();
    for id in 0..EVENTS {
        scene.publish(id);
        answered.insert(id, Instant::now());
    }
    let requests = scene.sink.wait_for("/healthy", EVENTS, SOON);
    let mut waits = Waits::default();
    for request in requests {
        // Some overtake the answer.
        waits.add(request.arrived_at.saturating_duration_since(answered[&id_in(&request.json())]));
    }
    println!("from answer to arrival: {waits}");
    assert!(waits.percentile(99.0) <= P99, "{waits}");
}

/// Whether it works is known when that has ended.
fn what_hangs_from_the_start_is_sent_one_attempt(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.sink.script("/hangs", [Behaviour::Hang]);
    scene.api.subscribe(HANGS, &scene.sink.url("/hangs"), json!({"config": {"timeout": 60}}));
    scene.subscribe("/healthy", json!({}));
    scene.api.publish_batch(&for_all_that_hang());
    scene.sink.wait_for("/hangs", 1, SOON);
    for id in 0..EVENTS_EACH {
        scene.publish(id);
    }
    scene.sink.wait_for("/healthy", EVENTS_EACH, SOON);
    assert_eq!(scene.sink.count("/hangs"), 1);
}

fn for_all_that_hang() -> Vec<Value> {
    (0..EVENTS_EACH).map(|id| json!({"event_type": HANGS, "payload": {"id": id}})).collect()
}

/// By a thread that lets others have the processors first. It is woken for each attempt, and now and then to see how late it is.
fn endpoints_that_do_not_work_are_tried_in_the_background(database: &Database) {
    const ATTEMPTS: usize = 100;
    let scene = Scene::new(database, &[("POSTRIDER_BREAKER_THRESHOLD", "0"), ("POSTRIDER_DELIVERY_THREADS", "1")]);
    let background = || standing_of_thread(scene.engine.process_id(), "unproven-0").expect("it is there");
    let Standing { nice, .. } = background();
    assert!(nice > 0, "{nice}");
    scene.sink.script("/broken", [Behaviour::status(500)]);
    scene.api.subscribe(HANGS, &scene.sink.url("/broken"), json!({}));
    let healthy = scene.subscribe("/healthy", json!({}));
    // From now on it is known to work.
    scene.publish(0);
    scene.settle(healthy, SOON);

    let waits_for = |event_type: &str, path: &str| {
        let (before, seen) = (background().waits, scene.sink.count(path));
        for id in 0..ATTEMPTS {
            scene.api.publish(event_type, &json!({ "id": id }));
            scene.sink.wait_for(path, seen + id + 1, SOON);
        }
        background().waits - before
    };
    let (for_the_healthy, for_the_broken) = (waits_for(TYPE, "/healthy"), waits_for(HANGS, "/broken"));
    println!("woken {for_the_healthy} times for the healthy, {for_the_broken} for the broken");
    assert!(for_the_broken >= ATTEMPTS as u64, "each attempt wakes it");
    assert!(for_the_healthy < for_the_broken / 2, "{for_the_healthy} of {for_the_broken}");
}
