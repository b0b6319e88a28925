//! What a person orders about deliveries: attempt this one, attempt all of those, call that one off.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
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
    any_delivery_is_redelivered_at_once_and_its_policy_goes_on,
    a_replay_that_is_killed_goes_on_where_it_was,
    a_replay_keeps_its_pace_and_is_called_off,
    a_replayed_delivery_is_retried_by_its_policy_from_the_beginning,
    only_what_is_meant_is_replayed,
    what_is_cancelled_never_goes_out,
    orders_that_cannot_be_carried_out_are_refused,
}

/// The one delivery of `subscription`, with its attempts.
#[track_caller]
fn delivery(scene: &Scene, subscription: i64) -> Value {
    let all = scene.api.deliveries(&format!("subscription={subscription}"));
    assert_eq!(all.len(), 1, "{all:#?}");
    scene.api.delivery(all[0]["id"].as_i64().expect("an id"))
}

#[track_caller]
fn redeliver(scene: &Scene, delivery: &Value, status: u16) -> Value {
    scene.api.post_json(&format!("/api/v1/deliveries/{}/redeliver", delivery["id"]), &json!({}), status)
}

/// Publishes these events while the subscription is paused, and has them cancelled.
#[track_caller]
fn give_up(scene: &Scene, subscription: i64, ids: impl IntoIterator<Item = usize>) {
    scene.api.pause(subscription, &json!({}));
    scene.publish_many(ids);
    pass(Duration::from_millis(5));
    let now = Timestamp::now().to_string();
    scene.api.post_json(&format!("/api/v1/subscriptions/{subscription}/resume"), &json!({"skip_older_than": now}), 200);
    assert_eq!(scene.api.owed(subscription), 0);
}

#[track_caller]
fn replay(scene: &Scene, order: &Value) -> String {
    let ordered = scene.api.post_json("/api/v1/replays", order, 201);
    assert_eq!(ordered["state"], "running");
    format!("/api/v1/replays/{}", ordered["id"])
}

/// Waits for the end of a replay.
#[track_caller]
fn ended(scene: &Scene, replay: &str, deadline: Duration) -> Value {
    eventually("the replay to end", deadline, || match scene.api.get_json(replay) {
        shown if shown["state"] == "running" => Err(shown),
        shown => Ok(shown),
    })
}

fn any_delivery_is_redelivered_at_once_and_its_policy_goes_on(database: &Database) {
    let scene = Scene::new(database, &[]);
    let hour = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}}});
    scene.sink.script("/in", [500, 503, 200, 500, 200]);
    let subscription = scene.subscribe("/in", hour);
    scene.publish(1);
    let waiting = eventually("the first attempt to be recorded", SOON, || match delivery(&scene, subscription) {
        seen if seen["attempts"] == 1 => Ok(seen),
        seen => Err(seen),
    });

    // It fails: what the policy owes stays owed, and when.
    let attempt = redeliver(&scene, &waiting, 200);
    assert_eq!((&attempt["number"], &attempt["status"], &attempt["success"]), (&json!(2), &json!(503), &json!(false)));
    let still_waiting = delivery(&scene, subscription);
    assert_eq!((&still_waiting["state"], &still_waiting["due_at"]), (&json!("pending"), &waiting["due_at"]));
    assert_eq!(still_waiting["attempts"], 2);

    // It arrives, also behind a pause.
    scene.api.pause(subscription, &json!({}));
    assert_eq!(redeliver(&scene, &waiting, 200)["success"], true);
    assert_eq!(delivery(&scene, subscription)["state"], "delivered");

    // What arrived stays delivered, whatever comes of a repetition, and each attempt is in the log.
    assert_eq!(redeliver(&scene, &waiting, 200)["success"], false);
    assert_eq!(redeliver(&scene, &waiting, 200)["success"], true);
    let shown = delivery(&scene, subscription);
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(5)));
    let statuses: Vec<_> =
        shown["attempt_log"].as_array().expect("a log").iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [500, 503, 200, 500, 200]);
    let ids: Vec<_> = scene.sink.requests("/in").iter().map(|r| r.header("webhook-id").map(str::to_owned)).collect();
    assert_eq!(ids.len(), 5);
    assert!(ids.iter().all(|id| id.is_some() && *id == ids[0]), "{ids:?}");
}

fn a_replay_that_is_killed_goes_on_where_it_was(database: &Database) {
    const COUNT: usize = 2_000;
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", "100")]);
    let subscription = scene.subscribe("/in", json!({}));
    give_up(&scene, subscription, 0..COUNT);
    let dry = json!({"subscription": subscription, "dry_run": true});
    let counted = scene.api.post_json("/api/v1/replays", &dry, 200);
    assert_eq!((&counted["deliveries"], &counted["is_exact"]), (&json!(COUNT), &json!(true)));
    assert_eq!(scene.sink.count("/in"), 0);

    let order = json!({"subscription": subscription, "per_second": 400});
    let replay = replay(&scene, &order);
    for arrived in [200, 700, 1_200] {
        scene.sink.wait_for("/in", arrived, SOON);
        scene.crash();
    }
    let ended = ended(&scene, &replay, SOON * 2);
    assert_eq!((&ended["state"], &ended["replayed"]), (&json!("done"), &json!(COUNT)));
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), COUNT);

    let mut attempts: HashMap<usize, usize> = HashMap::new();
    for id in scene.arrived("/in") {
        *attempts.entry(id).or_default() += 1;
    }
    assert_eq!(attempts.len(), COUNT);
    // Repeated is only what was in flight or not recorded at one of the kills.
    let repeated = attempts.values().filter(|count| **count > 1).count();
    assert!(repeated <= 3 * 100, "{repeated} deliveries were repeated");
}

fn a_replay_keeps_its_pace_and_is_called_off(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    give_up(&scene, subscription, 0..1_000);
    let ordered_at = Instant::now();
    let replay = replay(&scene, &json!({"subscription": subscription, "per_second": 50}));
    scene.sink.wait_for("/in", 100, SOON);
    let took = ordered_at.elapsed();
    assert!(took >= Duration::from_millis(1_500), "100 at 50 per second after {took:?}");

    let running = scene.api.post_json("/api/v1/replays", &json!({"subscription": subscription}), 409);
    assert_eq!(running["type"], "urn:postrider:problem:replay-runs");
    let cancelled = scene.api.post_json(&format!("{replay}/cancel"), &json!({}), 200);
    assert_eq!(cancelled["state"], "cancelled");
    let replayed = cancelled["replayed"].as_u64().expect("a number");
    scene.settle(subscription, SOON);
    throughout("no more are put back", Duration::from_millis(500), || match scene.sink.count("/in") as u64 {
        seen if seen == replayed => Ok(()),
        seen => Err(format!("{seen} requests, {replayed} replayed")),
    });
    assert_eq!(scene.api.get_json("/api/v1/replays")["items"][0], cancelled);
}

fn a_replayed_delivery_is_retried_by_its_policy_from_the_beginning(database: &Database) {
    let scene = Scene::new(database, &[]);
    let policy = json!({"choice": "linear", "kwargs": {"base": 1, "limit": null}});
    scene.sink.script("/in", [500, 500, 500, 500, 500, 200]);
    let subscription = scene.subscribe("/in", json!({"retry_countdown_config": policy}));
    scene.publish(1);
    // The waits are 0 s, 1 s, 2 s, …
    let failed = eventually("three attempts", SOON, || match delivery(&scene, subscription) {
        seen if seen["attempts"] == 3 => Ok(seen),
        seen => Err(seen),
    });
    scene.api.post_json(&format!("/api/v1/deliveries/{}/cancel", failed["id"]), &json!({}), 200);
    let replayed_at = Instant::now();
    ended(&scene, &replay(&scene, &json!({"subscription": subscription})), SOON);
    scene.settle(subscription, SOON);
    let shown = delivery(&scene, subscription);
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(6)));
    assert!(shown["replayed_at"].is_string(), "{shown}");
    // After a fourth and a fifth failure the policy would wait 3 s and 4 s; from its beginning it waits 0 s and 1 s.
    let took = replayed_at.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
}

fn only_what_is_meant_is_replayed(database: &Database) {
    let scene = Scene::new(database, &[]);
    let [one, other] = ["/one", "/other"].map(|path| scene.subscribe(path, json!({})));
    scene.api.pause(one, &json!({}));
    scene.publish(1);
    scene.settle(other, SOON);
    let between = Timestamp::now().to_string();
    pass(Duration::from_millis(5));
    scene.api.resume(one);
    scene.settle(one, SOON);
    give_up(&scene, one, [2, 3]);
    scene.settle(other, SOON);

    let none = json!({"subscription": one, "to": between, "dry_run": true});
    assert_eq!(scene.api.post_json("/api/v1/replays", &none, 200)["deliveries"], 0);
    let of_type = json!({"subscription": one, "event_type": "package.updated", "dry_run": true});
    assert_eq!(scene.api.post_json("/api/v1/replays", &of_type, 200)["deliveries"], 0);

    ended(&scene, &replay(&scene, &json!({"subscription": one, "from": between, "event_type": TYPE})), SOON);
    scene.sink.wait_for("/one", 3, SOON);
    let delivered = json!({"subscription": one, "states": ["delivered"], "to": between});
    ended(&scene, &replay(&scene, &delivered), SOON);
    scene.sink.wait_for("/one", 4, SOON);
    scene.settle(one, SOON);
    let mut arrived = scene.arrived("/one");
    assert_eq!(arrived.pop(), Some(1));
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3]);
    assert_eq!(scene.sink.count("/other"), 3);
}

fn what_is_cancelled_never_goes_out(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.sink.script("/in", [Behaviour::slow(Duration::from_millis(1_500)), Behaviour::status(200)]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.change(subscription, &json!({"max_in_flight": 1}));
    scene.publish_many(1..=3);
    scene.sink.wait_for("/in", 1, SOON);

    // The first is in flight, the others wait in memory.
    let mut ids: Vec<i64> = scene
        .api
        .deliveries(&format!("subscription={subscription}"))
        .iter()
        .filter_map(|delivery| delivery["id"].as_i64())
        .collect();
    ids.sort_unstable();
    let cancel = |id: i64, status| scene.api.post_json(&format!("/api/v1/deliveries/{id}/cancel"), &json!({}), status);
    for id in &ids[..2] {
        assert_eq!(cancel(*id, 200)["state"], "cancelled");
    }
    assert_eq!(cancel(ids[1], 409)["state"], "cancelled");
    scene.settle(subscription, SOON);
    eventually("the attempt in flight to be recorded", SOON, || match scene.api.delivery(ids[0]) {
        shown if shown["state"] == "delivered" => Ok(()),
        shown => Err(shown),
    });
    assert_eq!(scene.arrived("/in"), [1, 3]);
    assert_eq!(scene.api.delivery(ids[1])["state"], "cancelled");
    assert_eq!(cancel(ids[2], 409)["type"], "urn:postrider:problem:settled");
}

fn orders_that_cannot_be_carried_out_are_refused(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.publish(1);
    scene.settle(subscription, SOON);
    let shown = delivery(&scene, subscription);
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.post_json(&format!("/api/v1/deliveries/{}/redeliver", shown["id"]), &json!({}), 404);
    stranger.post_json(&format!("/api/v1/deliveries/{}/cancel", shown["id"]), &json!({}), 404);
    stranger.post_json("/api/v1/replays", &json!({"subscription": subscription}), 404);
    let replay = replay(&scene, &json!({"subscription": subscription}));
    assert_eq!(stranger.get(&replay).expect("an answer").status, 404);
    assert_eq!(stranger.get_json("/api/v1/replays")["items"], json!([]));
    stranger.post_json(&format!("{replay}/cancel"), &json!({}), 404);
    assert_eq!(ended(&scene, &replay, SOON)["replayed"], 0);

    scene.api.post_json("/api/v1/replays", &json!({"subscription": subscription, "states": ["pending"]}), 422);
    scene.api.post_json("/api/v1/deliveries/7/redeliver", &json!({}), 404);
    let hook = format!("/whisperer/hooks/{subscription}/");
    scene.api.patch(&hook, &json!({"is_active": false})).expect("an answer").expect(200);
    let inactive = scene.api.post_json("/api/v1/replays", &json!({"subscription": subscription}), 409);
    assert_eq!(inactive["type"], "urn:postrider:problem:inactive");
    // A single one goes out all the same, as by the contract.
    assert_eq!(redeliver(&scene, &shown, 200)["success"], true);
}
