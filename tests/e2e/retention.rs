//! What becomes of the old: it expires, is cleared away, or is erased because somebody orders it; and nothing else is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        eventually::{eventually, pass, throughout},
        sink::Behaviour,
    },
};

on_both! { blocking:
    what_arrived_is_cleared_after_its_time_and_what_is_owed_stays,
    a_delivery_without_payload_is_shown_and_not_redelivered,
    what_waits_for_too_long_expires_whatever_it_waits_for,
    an_event_is_erased_with_all_that_belongs_to_it,
    an_erased_event_does_not_go_out_any_more,
    what_a_subscription_was_sent_is_erased_through_a_crash,
    how_deliveries_flow_is_set_and_checked,
    what_people_did_is_forgotten_in_the_end,
}

/// A second and a bit, in days.
const MOMENT: &str = "0.000015";

#[track_caller]
fn delivery_of(scene: &Scene, subscription: i64) -> Value {
    let all = scene.api.deliveries(&format!("subscription={subscription}"));
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

fn path_of(delivery: &Value) -> String {
    format!("/api/v1/deliveries/{}", delivery["id"])
}

#[track_caller]
fn status(scene: &Scene, path: &str) -> u16 {
    scene.api.get(path).expect("an answer").status
}

/// Waits until there is nothing at `path`.
#[track_caller]
fn is_gone(scene: &Scene, path: &str) {
    eventually(&format!("{path} to be gone"), SOON, || match status(scene, path) {
        404 => Ok(()),
        status => Err(status.to_string()),
    });
}

fn what_arrived_is_cleared_after_its_time_and_what_is_owed_stays(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_KEEP_DELIVERED", MOMENT), ("POSTRIDER_SWEEP", "0.1")]);
    let [open, held] = ["/open", "/held"].map(|path| scene.subscribe(path, json!({})));
    scene.api.pause(held, &json!({}));
    scene.publish(1);
    let (arrived, owed) = (delivery_of(&scene, open), delivery_of(&scene, held));
    is_gone(&scene, &path_of(&arrived));
    assert_eq!(scene.api.delivery(owed["id"].as_i64().expect("an id"))["state"], "pending");
    scene.api.resume(held);
    assert_eq!(scene.sink.wait_for("/held", 1, SOON).len(), 1);
    is_gone(&scene, &path_of(&owed));
    assert_eq!(scene.sink.count("/open"), 1);
}

fn a_delivery_without_payload_is_shown_and_not_redelivered(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_KEEP_PAYLOADS", MOMENT), ("POSTRIDER_SWEEP", "0.1")]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.api.publish(TYPE, &json!({"id": 1, "name": "Ayşe"}));
    scene.settle(subscription, SOON);
    let path = path_of(&delivery_of(&scene, subscription));
    let refused = eventually("the payload to be erased", SOON, || {
        let reply = scene.api.post(&format!("{path}/redeliver"), &json!({})).expect("an answer");
        if reply.status == 410 { Ok(reply.body) } else { Err(reply.body) }
    });
    assert_eq!(refused["type"], "urn:postrider:problem:erased");
    assert_eq!(scene.api.get_json(&path)["state"], "delivered");
    let listed = scene.api.get_json("/whisperer/hook_events/");
    assert_eq!(listed[0]["request_payload"]["payload"], Value::Null);
    let order = json!({"subscription": subscription, "states": ["delivered"], "dry_run": true});
    assert_eq!(scene.api.post_json("/api/v1/replays", &order, 200)["deliveries"], 0);
}

fn what_waits_for_too_long_expires_whatever_it_waits_for(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_SWEEP", "0.1")]);
    let short = json!({"config": {"timeout": 1}});
    let hour =
        json!({"config": {"timeout": 1}, "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}}});
    scene.sink.script("/failing", [500]);
    let [held, failing] =
        [("/held", &short), ("/failing", &hour)].map(|(path, more)| scene.subscribe(path, more.clone()));
    let young = scene.subscribe("/young", short.clone());
    for subscription in [held, failing] {
        assert_eq!(scene.change(subscription, &json!({"max_age_seconds": 1}))["max_age_seconds"], 1);
    }
    scene.change(young, &json!({"max_age_seconds": 3600}));
    for subscription in [held, young] {
        scene.api.pause(subscription, &json!({}));
    }
    scene.publish(1);
    for subscription in [held, failing] {
        eventually("the delivery to expire", SOON, || match delivery_of(&scene, subscription) {
            seen if seen["state"] == "expired" && seen["recorded_at"].is_string() => Ok(()),
            seen => Err(seen),
        });
    }
    assert_eq!(delivery_of(&scene, young)["state"], "pending");
    scene.api.resume(held);
    scene.api.resume(young);
    scene.settle(young, SOON);
    assert_eq!((scene.sink.count("/held"), scene.sink.count("/failing"), scene.sink.count("/young")), (0, 1, 1));

    // One that expires while there is no engine is not attempted by the next one. A replay makes it young again.
    scene.api.pause(held, &json!({}));
    scene.publish(2);
    scene.api.resume(failing);
    scene.engine.kill9();
    pass(Duration::from_millis(1_100));
    scene.engine.set("POSTRIDER_SWEEP", "3600");
    scene.engine.start_again();
    scene.api.resume(held);
    scene.settle(held, SOON);
    assert_eq!((scene.count(held, "expired"), scene.sink.count("/held")), (2, 0));
    scene.api.post_json("/api/v1/replays", &json!({"subscription": held}), 201);
    scene.sink.wait_for("/held", 2, SOON);
}

fn an_event_is_erased_with_all_that_belongs_to_it(database: &Database) {
    let scene = Scene::new(database, &[]);
    let [one, other] = ["/one", "/other"].map(|path| scene.subscribe(path, json!({})));
    let event = scene.api.publish(TYPE, &json!({"id": 1, "name": "Ayşe"}));
    let kept = scene.publish(2);
    for subscription in [one, other] {
        scene.settle(subscription, SOON);
    }
    let path = format!("/api/v1/events/{}", event["id"]);
    let publisher = scene.api.with_token(&scene.engine.add_user(&["publisher", "--publisher"]));
    publisher.delete(&path).expect("an answer").expect(403);
    scene.api.delete(&path).expect("an answer").expect(204);
    scene.api.delete(&path).expect("an answer").expect(404);
    for subscription in [one, other] {
        assert_eq!(delivery_of(&scene, subscription)["event"]["id"], kept["id"]);
    }
    let listed = scene.api.get_json("/whisperer/hook_events/").to_string();
    assert!(!listed.contains("Ay"), "{listed}");
}

fn an_erased_event_does_not_go_out_any_more(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.sink.script("/slow", [Behaviour::slow(Duration::from_secs(2)), Behaviour::status(200)]);
    scene.sink.script("/failing", [500]);
    let [slow, failing, held] = ["/slow", "/failing", "/held"].map(|path| scene.subscribe(path, json!({})));
    scene.change(slow, &json!({"max_in_flight": 1}));
    scene.api.pause(held, &json!({}));
    let first = scene.publish(1);
    scene.sink.wait_for("/slow", 1, SOON);
    let second = scene.publish(2);
    scene.publish(3);
    eventually("retries to be under way", SOON, || match scene.sink.count("/failing") {
        0..4 => Err("few requests"),
        _ => Ok(()),
    });

    // The second waits in memory; of the first an attempt is in flight, which is waited for.
    scene.api.delete(&format!("/api/v1/events/{}", second["id"])).expect("an answer").expect(204);
    scene.api.delete(&format!("/api/v1/events/{}", first["id"])).expect("an answer").expect(204);
    let failures = scene.sink.count("/failing");
    scene.api.resume(held);
    scene.sink.wait_for("/held", 1, SOON);
    scene.settle(slow, SOON);
    assert_eq!((scene.arrived("/slow"), scene.arrived("/held")), (vec![1, 3], vec![3]));
    let retries = scene.arrived("/failing").split_off(failures);
    assert!(retries.iter().all(|id| *id == 3), "{retries:?}");
    for subscription in [slow, failing, held] {
        delivery_of(&scene, subscription);
    }
}

fn what_a_subscription_was_sent_is_erased_through_a_crash(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let [one, other] = ["/one", "/other"].map(|path| scene.subscribe(path, json!({})));
    scene.publish_many(0..600);
    for subscription in [one, other] {
        scene.settle(subscription, SOON);
    }
    scene.api.pause(one, &json!({}));
    scene.publish_many(600..900);
    scene.settle(other, SOON);

    let path = format!("/api/v1/subscriptions/{one}/erase");
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.post_json(&path, &json!({}), 404);
    let some = scene.api.deliveries(&format!("subscription={one}"))[0].clone();
    scene.api.post_json(&path, &json!({}), 202);
    scene.api.post_json(&format!("{}/redeliver", path_of(&some)), &json!({}), 410);
    scene.crash();
    is_gone(&scene, &path);
    assert_eq!(scene.api.deliveries(&format!("subscription={one}")), Vec::<Value>::new());
    assert_eq!(scene.count(other, "delivered"), 900);

    // What comes later is delivered, and what others were sent can be sent again.
    scene.publish(900);
    scene.api.resume(one);
    scene.settle(one, SOON);
    assert_eq!(scene.arrived("/one").split_off(600), [900]);
    let shared = scene.api.deliveries(&format!("subscription={other}"))[5].clone();
    assert_eq!(scene.api.post_json(&format!("{}/redeliver", path_of(&shared)), &json!({}), 200)["success"], true);
    throughout("nothing of it comes", Duration::from_millis(500), || match scene.sink.count("/one") {
        601 => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
}

fn how_deliveries_flow_is_set_and_checked(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let flow = json!({
        "max_in_flight": 3, "ordering": "key", "rate": {"per_second": 50, "burst": 5}, "max_age_seconds": 86400
    });
    let shown = scene.change(subscription, &flow);
    for (name, value) in flow.as_object().expect("an object") {
        assert_eq!(&shown[name], value);
    }
    // By the contract nothing of it is seen or changed.
    let hook = format!("/whisperer/hooks/{subscription}/");
    scene.api.patch(&hook, &json!({"is_active": true})).expect("an answer").expect(200);
    let shown = scene.change(subscription, &json!({"rate": null}));
    assert_eq!((&shown["rate"], &shown["max_age_seconds"]), (&Value::Null, &json!(86400)));

    let path = format!("/api/v1/subscriptions/{subscription}");
    let refused = scene.api.patch(&path, &json!({"max_in_flight": 0})).expect("an answer").expect(422);
    assert_eq!(refused["detail"], "\"max_in_flight\" must be from 1 to 1000.");
    scene.api.patch(&path, &json!({"max_age": 1})).expect("an answer").expect(422);
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.patch(&path, &json!({"max_in_flight": 1})).expect("an answer").expect(404);
}

fn what_people_did_is_forgotten_in_the_end(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_KEEP_AUDIT", MOMENT), ("POSTRIDER_SWEEP", "0.1")]);
    let told = || scene.api.get_json("/api/v1/audit")["items"].as_array().map_or(0, Vec::len);
    scene.subscribe("/in", json!({}));
    assert_eq!(told(), 1);
    eventually("the entry to be gone", SOON, || match told() {
        0 => Ok(()),
        left => Err(format!("{left} entries")),
    });
}
