//! Events after their acceptance: found again, with whom they reached and whom not, and sent again.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::database::{Database, on_both},
};

on_both! { blocking:
    an_event_tells_whom_it_reached_and_whom_not_and_why,
    an_event_is_sent_again_to_all_or_to_one,
    events_are_found_by_key_type_and_time,
    events_are_seen_by_those_they_concern,
}

fn path(event: &Value) -> String {
    format!("/api/v1/events/{}", event["id"])
}

fn an_event_tells_whom_it_reached_and_whom_not_and_why(database: &Database) {
    let scene = Scene::new(database, &[]);
    let [reached, dropping, ended] = ["/reached", "/dropping", "/ended"].map(|path| scene.subscribe(path, json!({})));
    scene.api.pause(dropping, &json!({"mode": "drop"}));
    scene.api.delete(&format!("/api/v1/subscriptions/{ended}")).expect("an answer");
    let payload = r#"{ "id" : 1, "n": 1e2,"ş":"\u0130" }"#;
    let body = format!(r#"{{"event_type": "{TYPE}", "payload": {payload}}}"#);
    let event = scene.api.send("POST", "/api/v1/events", &[], body.as_bytes()).expect("an answer").expect(202);
    scene.settle(reached, SOON);
    let later = scene.subscribe("/later", json!({}));

    let shown = scene.api.get_json(&path(&event));
    assert_eq!((&shown["deliveries"], &shown["ordering_key"]), (&json!(1), &json!("package:1")));
    let delivery = &shown["reached"][0];
    assert_eq!((&delivery["subscription_id"], &delivery["state"]), (&json!(reached), &json!("delivered")));
    assert_eq!(delivery["last_status"], 200);
    let missed: Vec<_> = shown["missed"].as_array().expect("a list").iter().collect();
    let why: Vec<_> =
        missed.iter().map(|missed| (missed["subscription_id"].as_i64(), missed["why"].as_str())).collect();
    assert_eq!(
        why,
        [(Some(dropping), Some("dropped")), (Some(ended), Some("inactive")), (Some(later), Some("created_later"))]
    );
    let raw = scene.api.text(&path(&event));
    assert!(raw.contains(&format!(r#""payload":{payload}"#)), "{raw}");
}

fn an_event_is_sent_again_to_all_or_to_one(database: &Database) {
    let scene = Scene::new(database, &[]);
    let [one, two] = ["/one", "/two"].map(|path| scene.subscribe(path, json!({})));
    let event = scene.publish(1);
    scene.settle(one, SOON);
    scene.settle(two, SOON);
    scene.sink.script("/two", [503]);
    let again = format!("{}/redeliver", path(&event));
    let answer = scene.api.post_json(&again, &json!({}), 200);
    let mut came: Vec<_> = answer["attempts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attempt| (attempt["subscription_id"].as_i64(), attempt["status"].as_i64()))
        .collect();
    came.sort_unstable();
    assert_eq!(came, [(Some(one), Some(200)), (Some(two), Some(503))]);
    scene.api.post_json(&again, &json!({"subscription": two}), 200);
    assert_eq!((scene.sink.count("/one"), scene.sink.count("/two")), (2, 3));
    scene.api.post_json(&again, &json!({"subscription": 404}), 404);
    scene.api.post_json("/api/v1/events/404/redeliver", &json!({}), 404);
}

fn events_are_found_by_key_type_and_time(database: &Database) {
    let scene = Scene::new(database, &[]);
    let order = json!({"event_type": "package.status.shipped", "payload": {"id": 7}, "idempotency_key": "k-7"});
    let keyed = scene.api.post_json("/api/v1/events", &order, 202);
    scene.publish_many(1..=5);
    let found = |query: &str| -> Vec<Value> {
        let page = scene.api.get_json(&format!("/api/v1/events?{query}"));
        page["items"].as_array().expect("a list").iter().map(|event| event["id"].clone()).collect()
    };
    assert_eq!(found("idempotency_key=k-7"), [keyed["id"].clone()]);
    assert_eq!(found("idempotency_key=k-8").len(), 0);
    assert_eq!(found("event_type=package.status.shipped"), [keyed["id"].clone()]);
    assert_eq!(found("ordering_key=package:7"), [keyed["id"].clone()]);
    assert_eq!(found("").len(), 6);
    assert_eq!(found("to=2020-01-01T00:00:00Z").len(), 0);
    assert_eq!(found("from=2020-01-01T00:00:00Z&publisher=admin").len(), 6);
    let first = scene.api.get_json("/api/v1/events?limit=4");
    scene.publish(9);
    let rest = found(&format!("limit=4&before={}", first["next"]));
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[1], keyed["id"]);
    scene.api.get("/api/v1/events?type=x").expect("an answer").expect(400);
}

fn events_are_seen_by_those_they_concern(database: &Database) {
    let scene = Scene::new(database, &[]);
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    let other = scene.api.with_token(&scene.engine.add_user(&["other", "--publisher"]));
    scene.subscribe("/admin", json!({}));
    let mine = shop.subscribe(TYPE, &scene.sink.url("/shop"), json!({}));
    let event = scene.publish(1);
    let seen = shop.get_json(&path(&event));
    let reached: Vec<_> = seen["reached"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|delivery| delivery["subscription_id"].as_i64())
        .collect();
    assert_eq!(reached, [Some(mine)]);
    other.get(&path(&event)).expect("an answer").expect(404);
    assert_eq!(other.get_json("/api/v1/events")["items"], json!([]));
    shop.get("/api/v1/events").expect("an answer").expect(403);
    other.get("/api/v1/events?publisher=admin").expect("an answer").expect(403);
}
