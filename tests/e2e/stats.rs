//! Statistics of a subscription: what became of its attempts, at once and after a restart.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        eventually::eventually,
    },
};

on_both! { blocking: attempts_are_added_up_and_outlive_a_restart }

fn attempts_are_added_up_and_outlive_a_restart(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    scene.sink.script("/in", [200, 200, 503, 200]);
    let subscription =
        scene.subscribe("/in", json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 0}}}));
    let path = format!("/api/v1/subscriptions/{subscription}/stats");
    let nothing = scene.api.get_json(&path);
    assert_eq!(
        (&nothing["attempts"], &nothing["success_share"], &nothing["latency_ms"]["p50"]),
        (&json!(0), &json!(null), &json!(null))
    );
    for id in 1..=3 {
        scene.publish(id);
        scene.settle(subscription, SOON);
    }
    let told = |stats: &Value| {
        ["attempts", "succeeded", "failed", "delivered", "dead"].map(|name| stats[name].as_u64().expect("a number"))
    };
    let stats = scene.api.get_json(&path);
    assert_eq!(told(&stats), [4, 3, 1, 3, 0]);
    assert_eq!((&stats["success_share"], &stats["window"]), (&json!(0.75), &json!("1h")));
    assert!(stats["latency_ms"]["p95"].as_f64().is_some_and(|millis| 0.0 < millis && millis < 10_000.0), "{stats}");

    // Written down when the engine ends in an orderly way, and added to what comes after.
    assert!(scene.engine.terminate(SOON).success());
    scene.engine.start_again();
    scene.publish(4);
    scene.settle(subscription, SOON);
    eventually("all attempts to be counted once", SOON, || {
        let stats = scene.api.get_json(&format!("{path}?window=24h"));
        if told(&stats) == [5, 4, 1, 4, 0] { Ok(()) } else { Err(stats.to_string()) }
    });
    scene.api.get(&format!("{path}?window=1w")).expect("an answer").expect(400);
}
