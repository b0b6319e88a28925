//! Pauses by filter, pauses that lose what comes, and what a resumption may leave out.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        eventually::eventually,
    },
};

on_both! { blocking:
    all_subscriptions_of_a_host_are_paused_and_resumed_at_once,
    a_pause_of_many_reaches_no_further_than_its_owner,
    a_pause_that_drops_says_so_and_loses_what_comes,
    a_resumption_skips_what_is_old,
    what_is_not_paused_cannot_be_resumed_in_a_special_way,
    what_cannot_be_asked_is_refused,
}

fn all_subscriptions_of_a_host_are_paused_and_resumed_at_once(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let [one, two] = ["/one", "/two"].map(|path| scene.subscribe(path, json!({})));
    let elsewhere = scene.sink.url("/three").replace("127.0.0.1", "localhost");
    let three = scene.api.subscribe(TYPE, &elsewhere, json!({}));
    scene.api.pause(two, &json!({"reason": "by hand"}));

    let order = json!({"filter": {"host": "127.0.0.1"}, "reason": "incident 7"});
    let dry = scene.api.post_json("/api/v1/holds", &with(&order, "dry_run", json!(true)), 200);
    assert_eq!(numbers(&dry), (2, 1, vec![one]));
    assert_eq!(scene.api.subscription(one)["state"], "active");
    let done = scene.api.post_json("/api/v1/holds", &order, 200);
    assert_eq!(numbers(&done), (2, 1, vec![one]));
    let again = scene.api.post_json("/api/v1/holds", &order, 200);
    assert_eq!(numbers(&again), (2, 0, vec![]));

    scene.crash();
    scene.publish(1);
    scene.settle(three, SOON);
    assert_eq!(scene.sink.requests_in_all(), 1);
    let reasons = [one, two].map(|id| scene.api.subscription(id)["hold"]["reason"].clone());
    assert_eq!(reasons, [json!("incident 7"), json!("by hand")]);

    // What was paused for another reason stays.
    let released = scene.api.post_json("/api/v1/holds/release", &order, 200);
    assert_eq!(numbers(&released), (1, 1, vec![one]));
    scene.settle(one, SOON);
    assert_eq!(scene.api.subscription(two)["state"], "paused");
    let released = scene.api.post_json("/api/v1/holds/release", &json!({"filter": {"event_type": TYPE}}), 200);
    assert_eq!(numbers(&released), (3, 1, vec![two]));
    scene.settle(two, SOON);
    assert_eq!((scene.arrived("/one"), scene.arrived("/two")), (vec![1], vec![1]));
}

fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

/// Matched, changed, and the ids of those that were changed.
fn numbers(summary: &Value) -> (u64, u64, Vec<i64>) {
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name}: {summary}"));
    let ids = summary["subscription_ids"].as_array().expect("a list").iter().filter_map(Value::as_i64).collect();
    assert_eq!(summary["ids_left_out"], 0);
    (number("matched"), number("changed"), ids)
}

fn a_pause_of_many_reaches_no_further_than_its_owner(database: &Database) {
    let scene = Scene::new(database, &[]);
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    let admins = scene.subscribe("/admin", json!({}));
    let shops = shop.subscribe(TYPE, &scene.sink.url("/shop"), json!({}));
    let by_type = json!({"filter": {"event_type": TYPE}});
    assert_eq!(numbers(&shop.post_json("/api/v1/holds", &by_type, 200)), (1, 1, vec![shops]));
    assert_eq!(scene.api.subscription(admins)["state"], "active");
    shop.post_json("/api/v1/holds", &json!({"filter": {"owner": "admin"}}), 403);
    let own = json!({"filter": {"owner": "shop"}});
    assert_eq!(numbers(&shop.post_json("/api/v1/holds/release", &own, 200)), (1, 1, vec![shops]));
    assert_eq!(numbers(&scene.api.post_json("/api/v1/holds", &own, 200)), (1, 1, vec![shops]));
    let owner = scene.api.subscription(shops)["owner_id"].clone();
    let by_id = json!({"filter": {"owner": owner}});
    assert_eq!(numbers(&scene.api.post_json("/api/v1/holds/release", &by_id, 200)), (1, 1, vec![shops]));
}

fn a_pause_that_drops_says_so_and_loses_what_comes(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let kept = scene.api.pause(subscription, &json!({}));
    assert_eq!((&kept["hold"]["mode"], kept["hold"].get("notice")), (&json!("hold"), None));
    assert_eq!(scene.publish(1)["deliveries"], 1);
    let dropping = scene.api.pause(subscription, &json!({"mode": "drop"}));
    assert_eq!((&dropping["state"], &dropping["hold"]["mode"]), (&json!("paused"), &json!("drop")));
    assert!(dropping["hold"]["notice"].as_str().is_some_and(|notice| notice.contains("lost")), "{dropping}");
    assert_eq!(scene.publish(2)["deliveries"], 0);
    scene.api.resume(subscription);
    assert_eq!(scene.publish(3)["deliveries"], 1);
    scene.settle(subscription, SOON);
    let mut arrived = scene.arrived("/in");
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 3]);
}

fn a_resumption_skips_what_is_old(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.api.pause(subscription, &json!({}));
    scene.publish_many(0..1_500);
    // A batch runs ahead of the clock by some milliseconds.
    let border = eventually("the clock to go on", SOON, || {
        let newest = scene.api.deliveries(&format!("subscription={subscription}"))[0].clone();
        let accepted: Timestamp = newest["event"]["accepted_at"].as_str().expect("a time").parse().expect("RFC 3339");
        let now = Timestamp::now();
        if now.duration_since(accepted).as_millis() > 100 { Ok(now) } else { Err("too early") }
    });
    scene.publish_many(2_000..2_010);
    let order = json!({"skip_older_than": border.to_string(), "per_second": 1_000});
    let path = format!("/api/v1/subscriptions/{subscription}/resume");
    let answer = scene.api.post_json(&path, &order, 200);
    assert_eq!((&answer["skipped"], &answer["state"]), (&json!(1_500), &json!("active")));
    assert_eq!(answer["ramp"]["per_second"], 1_000);
    scene.settle(subscription, SOON);
    let mut arrived = scene.arrived("/in");
    arrived.sort_unstable();
    assert_eq!(arrived, (2_000..2_010).collect::<Vec<_>>());
    assert_eq!(scene.count(subscription, "cancelled"), 1_500);
    eventually("the pace to be lifted", SOON, || {
        let ramp = scene.api.subscription(subscription)["ramp"].clone();
        if ramp.is_null() { Ok(()) } else { Err(ramp.to_string()) }
    });
}

fn what_is_not_paused_cannot_be_resumed_in_a_special_way(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let path = format!("/api/v1/subscriptions/{subscription}/resume");
    scene.api.post_json(&path, &json!({}), 200);
    for body in [json!({"per_second": 5}), json!({"skip_older_than": "2026-01-01T00:00:00Z"})] {
        let problem = scene.api.post_json(&path, &body, 409);
        assert_eq!(problem["type"], "urn:postrider:problem:not-paused");
    }
}

fn what_cannot_be_asked_is_refused(database: &Database) {
    let scene = Scene::new(database, &[]);
    for filter in [
        json!({}),
        json!({"host": "a.example:80"}),
        json!({"host": "https://a.example"}),
        json!({"event_type": "?"}),
        json!({"owner": "nobody"}),
    ] {
        scene.api.post_json("/api/v1/holds", &json!({"filter": filter}), 422);
        scene.api.post_json("/api/v1/holds/release", &json!({"filter": filter}), 422);
    }
    for body in [json!({}), json!({"filter": {"url": "x"}}), json!({"filter": {"host": 1}})] {
        scene.api.post_json("/api/v1/holds", &body, 400);
    }
    let of_type = json!({"filter": {"event_type": TYPE}});
    scene.api.post_json("/api/v1/holds", &with(&of_type, "mode", json!("lose")), 422);
    scene.api.post_json("/api/v1/holds/release", &with(&of_type, "per_second", json!(0)), 422);
    scene.api.get("/api/v1/holds").expect("an answer").expect(405);
}
