//! A delivery that holds up its ordering key, and what a person can do about it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE, id_in},
    support::{
        database::{Database, on_both},
        eventually::{eventually, throughout},
        sink::Behaviour,
    },
};

on_both! { blocking:
    a_key_flows_again_when_its_blocker_is_skipped,
    a_key_flows_again_when_its_blocker_is_set_aside_which_waits_through_a_crash,
}

/// A subscription in order that refuses what has the number 1, and has three events of one package waiting behind it. Gives the
/// subscription and the deliveries, oldest first.
fn blocked(scene: &Scene) -> (i64, Vec<i64>) {
    let subscription = scene.subscribe(
        "/in",
        json!({
            "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}},
        }),
    );
    let path = format!("/api/v1/subscriptions/{subscription}");
    scene.api.patch(&path, &json!({"ordering": "key"})).expect("the engine answers").expect(200);
    scene.sink.decide("/in", |request| Behaviour::status(if number(&request.json()) == 1 { 500 } else { 200 }));
    let events: Vec<Value> = (1..=4).map(|n| json!({"event_type": TYPE, "payload": {"id": 73, "number": n}})).collect();
    scene.api.publish_batch(&events);
    let deliveries = eventually("the first to be refused", SOON, || {
        let mut all = scene.api.deliveries(&format!("subscription={subscription}"));
        all.reverse();
        if all.len() == 4 && all[0]["attempts"] == 1 { Ok(all) } else { Err(format!("{all:?}")) }
    });
    let ids: Vec<i64> = deliveries.iter().filter_map(|delivery| delivery["id"].as_i64()).collect();
    assert_eq!(scene.api.delivery(ids[1])["waits_for"]["delivery"], ids[0]);
    (subscription, ids)
}

fn number(body: &Value) -> u64 {
    assert_eq!(id_in(body), 73);
    body["payload"]["number"].as_u64().unwrap_or_default()
}

fn arrived(scene: &Scene) -> Vec<u64> {
    scene.sink.requests("/in").iter().map(|request| number(&request.json())).collect()
}

#[track_caller]
fn order(scene: &Scene, delivery: i64, what: &str) -> Value {
    let body = if what == "release" { json!({}) } else { json!({"reason": "poison"}) };
    scene.api.post_json(&format!("/api/v1/deliveries/{delivery}/{what}"), &body, 200)
}

fn a_key_flows_again_when_its_blocker_is_skipped(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.api.subscribe("postrider.delivery.dead", &scene.sink.url("/dead"), json!({}));
    let (subscription, ids) = blocked(&scene);
    let skipped = order(&scene, ids[0], "skip");
    assert_eq!((&skipped["state"], &skipped["intervention"]["by"]), (&json!("dead"), &json!("admin")));
    scene.settle(subscription, SOON);
    assert_eq!(arrived(&scene), [1, 2, 3, 4]);
    let shown = scene.api.delivery(ids[0]);
    assert_eq!((&shown["state"], &shown["intervention"]["reason"]), (&json!("dead"), &json!("poison")));
    let dead = scene.sink.wait_for("/dead", 1, SOON)[0].json();
    assert_eq!((&dead["payload"]["delivery_id"], &dead["payload"]["skipped_by"]), (&json!(ids[0]), &json!("admin")));
    let again = scene.api.post(&format!("/api/v1/deliveries/{}/skip", ids[0]), &json!({})).expect("it answers");
    assert_eq!((again.status, &again.body["state"]), (409, &json!("dead")));
}

fn a_key_flows_again_when_its_blocker_is_set_aside_which_waits_through_a_crash(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let (subscription, ids) = blocked(&scene);
    assert_eq!(order(&scene, ids[0], "set-aside")["state"], "set_aside");
    assert_eq!(scene.api.delivery(ids[0])["explanation"]["reason"], "set_aside");
    assert_eq!(scene.api.get_json("/api/v1/audit")["items"][0]["action"], "delivery.set-aside");
    scene.settle(subscription, SOON);
    assert_eq!(arrived(&scene), [1, 2, 3, 4]);
    scene.crash();
    scene.publish_many([73]);
    scene.settle(subscription, SOON);
    throughout("nobody attempts it", Duration::from_secs(1), || match arrived(&scene).len() {
        5 => Ok(()),
        arrived => Err(format!("{arrived} requests")),
    });
    let aside = scene.api.deliveries(&format!("subscription={subscription}&state=set_aside"));
    assert_eq!(aside.iter().map(|delivery| delivery["id"].as_i64()).collect::<Vec<_>>(), [Some(ids[0])]);
    assert_eq!(scene.api.subscription(subscription)["backlog"]["set_aside"], 1);

    // An attempt by hand that fails leaves it where it is; one that arrives settles it.
    let redeliver = format!("/api/v1/deliveries/{}/redeliver", ids[0]);
    assert_eq!(scene.api.post_json(&redeliver, &json!({}), 200)["success"], false);
    assert_eq!(scene.api.delivery(ids[0])["state"], "set_aside");
    scene.sink.script("/in", [Behaviour::status(200)]);
    assert_eq!(order(&scene, ids[0], "release")["state"], "pending");
    scene.settle(subscription, SOON);
    assert_eq!(scene.api.delivery(ids[0])["state"], "delivered");
    let again = scene.api.post(&format!("/api/v1/deliveries/{}/release", ids[0]), &json!({})).expect("it answers");
    assert_eq!(again.status, 409);
}
