//! Who changed what: every administrative change is written down, whichever way it came, and no secret with it.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        api::Api,
        database::{Database, on_both},
        eventually::eventually,
        sink::Behaviour,
    },
};

on_both! { blocking:
    every_change_is_written_down_without_secrets,
    owners_see_what_concerns_them,
    owners_see_who_had_their_deliveries_attempted,
    users_and_tokens_come_and_go,
}

/// Actions and subjects, the oldest first.
fn told(scene: &Scene, query: &str) -> Vec<(String, String)> {
    let page = scene.api.get_json(&format!("/api/v1/audit?limit=200&{query}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let items = page["items"].as_array().expect("a list");
    items.iter().rev().map(|entry| (text(&entry["action"]), text(&entry["subject"]))).collect()
}

fn every_change_is_written_down_without_secrets(database: &Database) {
    let scene = Scene::new(database, &[]);
    let order = json!({"event_type": TYPE, "endpoint": scene.sink.url("/in"), "secret": "hush-1", "headers": {"X-Key": "hush-2"}});
    let id = scene.api.post_json("/api/v1/subscriptions", &order, 201)["id"].as_i64().expect("an id");
    let path = format!("/api/v1/subscriptions/{id}");
    scene.api.patch(&path, &json!({"max_in_flight": 3, "secret": "hush-3"})).expect("an answer").expect(200);
    // What changes nothing is no change.
    scene.api.patch(&path, &json!({"max_in_flight": 3})).expect("an answer").expect(200);
    let hook = format!("/whisperer/hooks/{id}/");
    scene.api.patch(&hook, &json!({"secret_key": "hush-4"})).expect("an answer").expect(200);
    scene.api.post_json(&format!("{path}/rotate-secret"), &json!({"secret": "hush-5"}), 200);
    scene.api.pause(id, &json!({"reason": "works"}));
    scene.publish(1);
    let delivery = scene.api.deliveries("")[0]["id"].clone();
    scene.api.post_json(&format!("/api/v1/deliveries/{delivery}/cancel"), &json!({}), 200);
    scene.api.post_json("/api/v1/holds/release", &json!({"filter": {"event_type": TYPE}}), 200);
    let replay = scene.api.post_json("/api/v1/replays", &json!({"subscription": id}), 201)["id"].clone();
    scene.sink.wait_for("/in", 1, SOON);
    let event = scene.api.get_json("/api/v1/events")["items"][0]["id"].clone();
    scene.settle(id, SOON);
    let delivery_again = format!("/api/v1/deliveries/{delivery}/redeliver");
    let attempt = scene.api.post_json(&delivery_again, &json!({}), 200);
    scene.api.post_json(&format!("/api/v1/events/{event}/redeliver"), &json!({}), 200);
    scene.api.post_json(&format!("{path}/test"), &json!({}), 200);
    scene.api.post_json(&format!("{path}/erase"), &json!({}), 202);
    assert_eq!(scene.api.delete(&format!("/api/v1/events/{event}")).expect("an answer").status, 204);
    scene.api.delete(&hook).expect("an answer");

    let of = format!("subscription:{id}");
    let expected = [
        ("subscription.create", &of),
        ("subscription.change", &of),
        ("subscription.change", &of),
        ("subscription.rotate-secret", &of),
        ("subscription.pause", &of),
        ("delivery.cancel", &format!("delivery:{delivery}")),
        ("subscription.resume", &of),
        ("replay.order", &format!("replay:{replay}")),
        ("delivery.redeliver", &format!("delivery:{delivery}")),
        ("delivery.redeliver", &format!("delivery:{delivery}")),
        ("subscription.test", &of),
        ("subscription.erase", &of),
        ("event.erase", &format!("event:{event}")),
        ("subscription.delete", &of),
    ];
    assert_eq!(told(&scene, "actor=admin"), expected.map(|(action, subject)| (action.to_owned(), subject.clone())));
    let all = scene.api.text("/api/v1/audit?limit=200");
    assert!(!all.contains("hush"), "{all}");
    let change = scene.api.get_json("/api/v1/audit?action=subscription.change")["items"][1].clone();
    assert_eq!((&change["before"], &change["actor"]), (&json!({"max_in_flight": 32}), &json!("admin")));
    assert_eq!(change["after"], json!({"max_in_flight": 3, "secret": "(another)"}));
    let again = scene.api.get_json("/api/v1/audit?action=delivery.redeliver")["items"][1]["after"].clone();
    assert_eq!(again, json!({"status": 200, "subscription": id, "attempt": attempt["number"]}));
    let pages = scene.api.get_json("/api/v1/audit?limit=1");
    let next = scene.api.get_json(&format!("/api/v1/audit?limit=1&before={}", pages["next"]));
    assert_eq!(
        (&pages["items"][0]["action"], &next["items"][0]["action"]),
        (&json!("subscription.delete"), &json!("event.erase"))
    );
}

fn owners_see_what_concerns_them(database: &Database) {
    let scene = Scene::new(database, &[]);
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    scene.subscribe("/admin", json!({}));
    let mine = shop.subscribe(TYPE, &scene.sink.url("/shop"), json!({}));
    scene.api.pause(mine, &json!({}));
    let page = shop.get_json("/api/v1/audit");
    let actions: Vec<_> =
        page["items"].as_array().expect("a list").iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["subscription.pause", "subscription.create", "user.add"]);
    // The command that added the user has no owner.
    assert_eq!((&page["items"][2]["actor"], &page["items"][2]["actor_id"]), (&json!("(command line)"), &json!(null)));
}

fn owners_see_who_had_their_deliveries_attempted(database: &Database) {
    let scene = Scene::new(database, &[]);
    let [shop, other] = ["shop", "other"].map(|name| scene.api.with_token(&scene.engine.add_user(&[name])));
    let mine = shop.subscribe(TYPE, &scene.sink.url("/shop"), json!({}));
    scene.publish(1);
    scene.settle(mine, SOON);
    let delivery = shop.deliveries("")[0]["id"].clone();
    scene.api.post_json(&format!("/api/v1/deliveries/{delivery}/redeliver"), &json!({}), 200);
    scene.sink.script("/shop", [Behaviour::status(503)]);
    shop.post_json(&format!("/api/v1/subscriptions/{mine}/test"), &json!({}), 200);
    let told = |api: &Api, action: &str| {
        let page = api.get_json(&format!("/api/v1/audit?action={action}"));
        let items = page["items"].as_array().expect("a list").clone();
        items.iter().map(|entry| (entry["actor"].clone(), entry["after"].clone())).collect::<Vec<_>>()
    };
    let ordered = json!({"status": 200, "subscription": mine, "attempt": 2});
    assert_eq!(told(&shop, "delivery.redeliver"), [(json!("admin"), ordered)]);
    assert_eq!(told(&shop, "subscription.test"), [(json!("shop"), json!({"status": 503}))]);
    assert_eq!((told(&other, "delivery.redeliver"), told(&other, "subscription.test")), (vec![], vec![]));

    // And by the contract.
    scene.publish(1);
    let events = eventually("the first attempt", SOON, || {
        let events = shop.get_json("/whisperer/hook_events/?delivered=false");
        if events[0]["id"].is_i64() { Ok(events) } else { Err(events.to_string()) }
    });
    let path = format!("/whisperer/hook_events/{}/retry/", events[0]["id"]);
    shop.post_json(&path, &json!({"force": true}), 406);
    let latest = told(&shop, "delivery.redeliver")[0].clone();
    assert_eq!((&latest.0, &latest.1["status"]), (&json!("shop"), &json!(503)));
}

fn users_and_tokens_come_and_go(database: &Database) {
    let scene = Scene::new(database, &[]);
    let made = scene.api.post_json("/api/v1/users", &json!({"name": "shop", "role": "publisher"}), 201);
    let (path, token) = (format!("/api/v1/users/{}", made["id"]), made["token"].as_str().expect("shown once"));
    let shop = scene.api.with_token(token);
    shop.publish(TYPE, &json!({}));
    shop.get("/api/v1/users").expect("an answer").expect(403);
    scene.api.post_json("/api/v1/users", &json!({"name": "shop"}), 409);
    scene.api.post_json("/api/v1/users", &json!({"name": "x", "role": "boss"}), 422);

    let second = scene.api.post_json(&format!("{path}/tokens"), &json!({"token": "of-our-own"}), 201);
    assert_eq!(second["token"], json!(null));
    let tokens = scene.api.get_json(&format!("{path}/tokens"))["items"].as_array().expect("a list").clone();
    assert_eq!(tokens.len(), 2);
    let revoked = format!("{path}/tokens/{}", tokens[0]["id"]);
    assert_eq!(scene.api.delete(&revoked).expect("an answer").status, 204);
    assert_eq!(scene.api.delete(&revoked).expect("an answer").status, 404);
    shop.get("/api/v1/subscriptions").expect("an answer").expect(401);
    let shop = scene.api.with_token("of-our-own");
    shop.get("/api/v1/subscriptions").expect("an answer").expect(200);

    let changed = scene.api.patch(&path, &json!({"role": "subscriber"})).expect("an answer").expect(200);
    assert_eq!((&changed["role"], &changed["is_active"]), (&json!("subscriber"), &json!(true)));
    shop.post_json("/api/v1/events", &json!({"event_type": TYPE, "payload": {}}), 403);
    scene.api.patch(&path, &json!({"is_active": false})).expect("an answer").expect(200);
    shop.get("/api/v1/subscriptions").expect("an answer").expect(401);
    let me = scene.api.get_json("/api/v1/users?limit=1");
    assert_eq!((&me["items"][0]["name"], &me["items"][0]["tokens"]), (&json!("admin"), &json!(1)));
    let own = format!("/api/v1/users/{}", me["items"][0]["id"]);
    scene.api.patch(&own, &json!({"is_active": false})).expect("an answer").expect(422);
    scene.api.patch("/api/v1/users/404", &json!({})).expect("an answer").expect(404);
    let all = scene.api.text("/api/v1/audit");
    assert!(!all.contains(token) && !all.contains("of-our-own"), "{all}");
    assert_eq!(told(&scene, &format!("subject=user:{}", made["id"])).len(), 5);
}
