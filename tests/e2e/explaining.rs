//! Answers to a person who asks why: why a delivery waits or ended, and whether an endpoint takes what it is sent.

use serde_json::json;

use crate::{
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        eventually::eventually,
    },
};

on_both! { blocking:
    a_delivery_says_why_it_waits_and_what_happens_next,
    a_trial_is_sent_now_and_is_no_delivery,
    a_trial_tells_what_went_wrong,
}

fn a_delivery_says_why_it_waits_and_what_happens_next(database: &Database) {
    let scene = Scene::new(database, &[]);
    let slow = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}}});
    scene.sink.script("/in", [503]);
    let subscription = scene.subscribe("/in", slow);
    let path = format!("/api/v1/subscriptions/{subscription}");
    scene.api.patch(&path, &json!({"ordering": "key"})).expect("an answer").expect(200);
    scene.publish(1);
    scene.publish(1);
    scene.sink.wait_for("/in", 1, SOON);
    let explained = |place: usize| {
        let deliveries = scene.api.deliveries(&format!("subscription={subscription}"));
        scene.api.delivery(deliveries[place]["id"].as_i64().expect("an id"))["explanation"].clone()
    };
    eventually("the first to wait for its retry", SOON, || {
        let told = explained(1);
        if told["reason"] == "backoff" { Ok(()) } else { Err(told.to_string()) }
    });
    let first = explained(1);
    assert!(first["why"].as_str().is_some_and(|why| why.contains("status 503")), "{first}");
    assert!(first["next"]["at"].is_string(), "{first}");
    let second = explained(0);
    assert_eq!((&second["reason"], &second["next"]["at"]), (&json!("order_key"), &first["next"]["at"]));

    scene.api.pause(subscription, &json!({"reason": "works", "until": "2099-01-01T00:00:00Z"}));
    let held = explained(1);
    assert_eq!((&held["reason"], &held["next"]["at"]), (&json!("hold"), &json!("2099-01-01T00:00:00.000000Z")));
    assert_eq!(held["why"], "Its subscription is paused by admin: works.");
    scene.api.delete(&path).expect("an answer");
    eventually("it to be called off", SOON, || {
        let told = explained(1);
        if told["reason"] == "called_off" { Ok(()) } else { Err(told.to_string()) }
    });
    assert_eq!(explained(1)["next"], json!(null));
}

fn a_trial_is_sent_now_and_is_no_delivery(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({"secret_key": "s3cret", "additional_headers": {"X-A": "1"}}));
    scene.api.pause(subscription, &json!({}));
    let trial = scene.api.post_json(&format!("/api/v1/subscriptions/{subscription}/test"), &json!({}), 200);
    assert_eq!((&trial["status"], &trial["success"]), (&json!(200), &json!(true)));
    let request = scene.sink.wait_for("/in", 1, SOON).remove(0);
    assert_eq!((request.header("x-postrider-test"), request.header("x-a")), (Some("true"), Some("1")));
    let body = request.json();
    assert_eq!((&body["event"]["test"], &body["event"]["type"]), (&json!(true), &json!("package.created")));
    assert!(body["payload"]["id"].is_u64(), "{body}");
    let signature = format!("sha256={}", hex(&hmac_sha256::HMAC::mac(&request.body, b"s3cret")));
    assert_eq!(request.header("x-whisperer-signature"), Some(&*signature));
    assert_eq!(scene.api.deliveries("").len(), 0);
    assert_eq!(scene.api.subscription(subscription)["backlog"]["owed"], 0);

    scene.api.resume(subscription);
    scene.publish(1);
    let delivery = scene.sink.wait_for("/in", 2, SOON).remove(1);
    assert_eq!((delivery.header("x-postrider-test"), &delivery.json()["event"]["test"]), (None, &json!(null)));
}

fn a_trial_tells_what_went_wrong(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.sink.script("/in", [418]);
    let refusing = scene.subscribe("/in", json!({}));
    let absent = scene.api.subscribe("package.created", "http://127.0.0.1:1/", json!({}));
    let trial = |id: i64| scene.api.post_json(&format!("/api/v1/subscriptions/{id}/test"), &json!({}), 200);
    let refused = trial(refusing);
    assert_eq!((&refused["status"], &refused["success"]), (&json!(418), &json!(false)));
    let lost = trial(absent);
    assert_eq!((&lost["error"]["class"], &lost["success"]), (&json!("connect"), &json!(false)));
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.post_json(&format!("/api/v1/subscriptions/{refusing}/test"), &json!({}), 404);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
