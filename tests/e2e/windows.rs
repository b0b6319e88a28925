//! What does not fit into memory waits in the store, arrives all the same, and can be called off.

use std::{collections::HashMap, time::Duration};

use serde_json::json;

use crate::{
    scene::{SOON, Scene, TYPE},
    signatures::whisperer_signature,
    support::{
        database::{Database, on_both},
        eventually::{eventually, throughout},
        sink::Behaviour,
    },
};

on_both! { blocking:
    thousands_of_events_pass_through_a_window_of_ten,
    a_backlog_larger_than_memory_survives_a_crash,
    the_end_of_a_subscription_cancels_what_it_is_owed,
    heavy_payloads_pass_through_a_small_budget,
    a_changed_subscription_is_changed_for_what_it_is_already_owed,
}

const EVENTS: usize = 2_000;
/// Attempts of a subscription of which nothing is known yet.
const FIRST_SLOTS: usize = 8;

fn thousands_of_events_pass_through_a_window_of_ten(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_WINDOW", "10")]);
    scene.sink.script("/slow", [Behaviour::slow(Duration::from_millis(25))]);
    // Each twentieth first attempt fails, so that retries pass through the window, too.
    let mut attempts: HashMap<Vec<u8>, usize> = HashMap::new();
    scene.sink.decide("/failing", move |request| {
        let attempt = attempts.entry(request.body.clone()).or_default();
        *attempt += 1;
        Behaviour::status(if request.number % 20 == 0 && *attempt == 1 { 500 } else { 200 })
    });
    let paths = ["/slow", "/failing", "/quick"];
    let subscriptions = paths.map(|path| scene.subscribe(path, json!({})));
    scene.publish_many(0..EVENTS);
    for (path, subscription) in paths.into_iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 3);
        let mut arrived = scene.arrived(path);
        let requests = arrived.len();
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, (0..EVENTS).collect::<Vec<_>>(), "{path}");
        // Nothing crashed, so nothing is repeated that has arrived.
        let deliveries = scene.api.all_deliveries(&format!("subscription={subscription}"));
        let recorded: u64 = deliveries.iter().filter_map(|delivery| delivery["attempts"].as_u64()).sum();
        assert_eq!(u64::try_from(requests).expect("a few"), recorded, "{path}");
    }
}

fn a_backlog_larger_than_memory_survives_a_crash(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", "10")]);
    let paths = ["/a", "/b", "/c", "/d"];
    let subscriptions = paths.map(|path| scene.subscribe(path, json!({})));
    for subscription in subscriptions {
        scene.api.pause(subscription, &json!({}));
    }
    scene.publish_many(0..EVENTS / 4);
    for subscription in subscriptions {
        scene.api.resume(subscription);
    }
    for part in 1..=3 {
        eventually("a part to arrive", SOON * 2, || match scene.sink.requests_in_all() {
            seen if seen >= part * EVENTS / 4 => Ok(()),
            seen => Err(format!("{seen} requests")),
        });
        scene.crash();
    }
    for (path, subscription) in paths.into_iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 2);
        let mut arrived = scene.arrived(path);
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, (0..EVENTS / 4).collect::<Vec<_>>(), "{path}");
    }
}

fn the_end_of_a_subscription_cancels_what_it_is_owed(database: &Database) {
    const OWED: usize = 100;
    let scene = Scene::new(database, &[("POSTRIDER_WINDOW", "50"), ("POSTRIDER_BREAKER_THRESHOLD", "0")]);
    let slow = Behaviour::slow(Duration::from_secs(2));
    scene.sink.script("/deactivated", [slow.clone()]);
    scene.sink.script("/deleted", [slow]);
    // Waiting for a retry is being owed, too.
    scene.sink.script("/failing", [500]);
    let minute = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 60}}});
    let [deactivated, deleted, failing, other] =
        ["/deactivated", "/deleted", "/failing", "/other"].map(|path| scene.subscribe(path, minute.clone()));
    scene.publish_many(0..OWED);
    for path in ["/deactivated", "/deleted"] {
        scene.sink.wait_for(path, FIRST_SLOTS, SOON);
    }

    let hook = |id: i64| format!("/whisperer/hooks/{id}/");
    scene.api.patch(&hook(deactivated), &json!({"is_active": false})).expect("an answer").expect(200);
    scene.api.delete(&hook(deleted)).expect("an answer").expect(204);
    let in_flight = ["/deactivated", "/deleted"].map(|path| scene.sink.count(path));
    scene.sink.wait_for("/failing", OWED, SOON);
    scene.api.delete(&hook(failing)).expect("an answer").expect(204);
    let accepted = scene.publish(OWED);
    assert_eq!(accepted["deliveries"], 1, "only the other one is still there");

    for subscription in [deactivated, deleted, failing, other] {
        scene.settle(subscription, SOON);
    }
    for ((path, subscription), in_flight) in
        [("/deactivated", deactivated), ("/deleted", deleted)].into_iter().zip(in_flight)
    {
        // An attempt in flight finishes, and when it arrives that is what counts.
        eventually("what was in flight to be recorded", SOON, || match scene.count(subscription, "delivered") {
            seen if seen == in_flight => Ok(()),
            seen => Err(format!("{path}: {seen} of {in_flight} delivered")),
        });
        assert_eq!(scene.count(subscription, "cancelled"), OWED - in_flight, "{path}");
        assert_eq!(scene.sink.count(path), in_flight, "{path}");
    }
    assert_eq!(scene.count(failing, "cancelled"), OWED);
    assert_eq!(scene.count(other, "delivered"), OWED + 1);

    // Coming back means new events; what was called off stays so.
    scene.api.patch(&hook(deactivated), &json!({"is_active": true})).expect("an answer").expect(200);
    scene.publish(OWED + 1);
    let all = in_flight[0] + 1;
    scene.sink.wait_for("/deactivated", all, SOON);
    throughout("nothing cancelled goes out", Duration::from_secs(1), || match scene.sink.count("/deactivated") {
        seen if seen == all => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
}

fn heavy_payloads_pass_through_a_small_budget(database: &Database) {
    const HEAVY: usize = 60;
    let scene = Scene::new(database, &[("POSTRIDER_PAYLOAD_BUDGET", "1")]);
    let paths = ["/a", "/b", "/c"];
    for path in paths {
        scene.sink.script(path, [Behaviour::slow(Duration::from_millis(20))]);
    }
    let subscriptions = paths.map(|path| scene.subscribe(path, json!({})));
    for id in 0..HEAVY {
        scene.api.publish(TYPE, &json!({"id": id, "text": "x".repeat(200 * 1024)}));
    }
    for (path, subscription) in paths.into_iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 2);
        let mut arrived = scene.arrived(path);
        arrived.sort_unstable();
        assert_eq!(arrived, (0..HEAVY).collect::<Vec<_>>(), "{path}");
    }
}

/// In memory, in the store, or waiting for a retry: the next attempt is made by the new terms, and soon, although the breaker
/// is open: it was about the old endpoint.
fn a_changed_subscription_is_changed_for_what_it_is_already_owed(database: &Database) {
    const OWED: usize = 100;
    let scene = Scene::new(database, &[("POSTRIDER_WINDOW", "50"), ("POSTRIDER_BREAKER_WAIT", "60")]);
    scene.sink.script("/old", [500]);
    let subscription = scene.subscribe("/old", json!({"secret_key": "old"}));
    scene.publish_many(0..OWED);
    scene.sink.wait_for("/old", 10, SOON);
    let mut seen = 0;
    eventually("the breaker to open", SOON, || {
        let before = std::mem::replace(&mut seen, scene.sink.count("/old"));
        let deliveries = scene.api.deliveries(&format!("subscription={subscription}"));
        let recorded = deliveries.iter().filter(|delivery| delivery["attempts"] == 1).count();
        if before == seen && recorded == seen { Ok(()) } else { Err(format!("{recorded} of {seen} recorded")) }
    });
    let change = json!({
        "target_url": scene.sink.url("/new"),
        "secret_key": "new",
        "additional_headers": {"X-Shop": "7"},
        "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 0}},
    });
    scene.api.patch(&format!("/whisperer/hooks/{subscription}/"), &change).expect("an answer").expect(200);
    scene.settle(subscription, SOON);
    assert_eq!(scene.sink.count("/old"), seen, "nothing goes to the old endpoint any more");
    let mut arrived = scene.arrived("/new");
    arrived.sort_unstable();
    assert_eq!(arrived, (0..OWED).collect::<Vec<_>>());
    for request in scene.sink.requests("/new") {
        let signature = whisperer_signature(&request, "new");
        assert_eq!(request.header("X-Whisperer-Signature"), Some(signature.as_str()));
        assert_eq!(request.header("X-Shop"), Some("7"));
    }
}
