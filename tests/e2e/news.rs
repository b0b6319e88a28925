//! What the engine tells of itself, as events like any other.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        eventually::eventually,
        sink::Behaviour,
    },
};

on_both! { blocking:
    a_pause_and_an_outage_are_told_to_who_asked,
    an_endpoint_that_fails_for_too_long_is_paused_although_the_engine_was_killed_meanwhile,
    the_engines_own_types_are_not_for_others,
}

fn payloads(scene: &Scene, path: &str) -> Vec<Value> {
    scene.sink.requests(path).iter().map(|request| request.json()["payload"].clone()).collect()
}

fn a_pause_and_an_outage_are_told_to_who_asked(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_BREAKER_THRESHOLD", "3"), ("POSTRIDER_BREAKER_WAIT", "0.2")]);
    let token = scene.engine.add_user(&["shop"]);
    let shop = scene.api.with_token(&token);
    for kind in ["paused", "failing", "recovered"] {
        let more = json!({"secret_key": "s3cret"});
        shop.subscribe(&format!("postrider.subscription.{kind}"), &scene.sink.url(&format!("/{kind}")), more);
        scene.api.subscribe(
            &format!("postrider.subscription.{kind}"),
            &scene.sink.url(&format!("/admin/{kind}")),
            json!({}),
        );
    }
    let others = scene.subscribe("/others", json!({}));
    let own = shop.subscribe(TYPE, &scene.sink.url("/in"), json!({}));
    scene.sink.script("/in", [503; 3].map(Behaviour::status).into_iter().chain([Behaviour::status(200)]));
    scene.publish_many(1..=5);
    scene.settle(own, SOON);
    scene.sink.wait_for("/recovered", 1, SOON);
    scene.sink.wait_for("/admin/recovered", 1, SOON);
    let failing = payloads(&scene, "/failing").remove(0);
    assert_eq!((&failing["subscription_id"], &failing["last_error"]), (&json!(own), &json!("HTTP 503")));
    assert_eq!(failing["endpoint_host"], "127.0.0.1");
    let request = scene.sink.requests("/failing").remove(0);
    assert_eq!(request.header("x-whisperer-event"), Some("postrider.subscription.failing"));
    assert!(request.header("webhook-signature").is_some(), "signed like any other");

    scene.api.pause(others, &json!({"reason": "not theirs"}));
    shop.pause(own, &json!({"reason": "stocktaking"}));
    scene.sink.wait_for("/admin/paused", 2, SOON);
    scene.sink.wait_for("/paused", 1, SOON);
    let paused = payloads(&scene, "/paused");
    assert_eq!(paused.len(), 1);
    assert_eq!((&paused[0]["reason"], &paused[0]["by"]), (&json!("stocktaking"), &json!("shop")));
}

fn an_endpoint_that_fails_for_too_long_is_paused_although_the_engine_was_killed_meanwhile(database: &Database) {
    // Six seconds, in days.
    let mut scene = Scene::new(database, &[("POSTRIDER_PAUSE_FAILING", "0.00007")]);
    scene.api.subscribe("postrider.subscription.paused", &scene.sink.url("/paused"), json!({}));
    let subscription = scene.subscribe("/in", json!({}));
    scene.sink.script("/in", [Behaviour::status(500)]);
    scene.publish(1);
    let since = eventually("the beginning to be stored", SOON, || {
        let health = &scene.api.subscription(subscription)["endpoint_health"];
        health["no_success_since"].as_str().map(str::to_owned).ok_or_else(|| health.to_string())
    });
    scene.crash();
    let shown = eventually("the pause", SOON, || {
        let shown = scene.api.subscription(subscription);
        if shown["state"] == "paused" { Ok(shown) } else { Err(shown.to_string()) }
    });
    assert_eq!((&shown["hold"]["by"], &shown["hold"]["mode"]), (&json!("postrider"), &json!("hold")));
    assert_eq!(shown["hold"]["reason"], format!("the endpoint has failed since {since}"));
    assert_eq!(shown["backlog"]["owed"], 1, "nothing is dropped");
    scene.sink.wait_for("/paused", 1, SOON);
    scene.sink.script("/in", [Behaviour::status(200)]);
    scene.api.resume(subscription);
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), 1);
}

fn the_engines_own_types_are_not_for_others(database: &Database) {
    let scene = Scene::new(database, &[]);
    let event = json!({"event_type": "postrider.delivery.dead", "payload": {}});
    let refused = scene.api.post_json("/api/v1/events", &event, 422);
    assert_eq!(refused["type"], "urn:postrider:problem:reserved-event-type");
    let registry = scene.api.get_json("/whisperer/hooks/registry/");
    assert_eq!(registry.as_array().map(Vec::len), Some(18));
}
