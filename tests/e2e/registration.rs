//! Subscriptions written by the native API: made, changed without lost updates, ended.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        api::Reply,
        database::{Database, on_both},
    },
};

on_both! { blocking:
    a_subscription_is_made_delivers_signed_and_ends,
    two_changes_do_not_undo_each_other,
    what_is_wrong_is_told_by_field,
    subscriptions_belong_to_who_makes_them,
}

const ALL: &str = "/api/v1/subscriptions";

fn one(id: &Value) -> String {
    format!("{ALL}/{id}")
}

fn patch_if(scene: &Scene, path: &str, tag: &str, change: &Value) -> Reply {
    scene.api.send("PATCH", path, &[("If-Match", tag)], change.to_string().as_bytes()).expect("an answer")
}

fn a_subscription_is_made_delivers_signed_and_ends(database: &Database) {
    let scene = Scene::new(database, &[]);
    let order = json!({
        "event_type": TYPE,
        "endpoint": scene.sink.url("/in"),
        "headers": {"X-Api-Key": "hush"},
        "basic_auth": {"username": "u", "password": "hush"},
        "retry": {"choice": "fixed", "kwargs": {"seconds": 1}},
        "ordering": "key",
        "max_age_seconds": 3600,
    });
    let made = scene.api.post(ALL, &order).expect("an answer");
    let path = made.header("location").expect("where it is").to_owned();
    assert_eq!(made.header("etag"), Some("\"1\""));
    let made = made.expect(201);
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{made}");
    assert_eq!(path, one(&made["id"]));

    let shown = scene.api.get_json(&path);
    assert_eq!(
        (&shown["ordering"], &shown["max_age_seconds"], &shown["is_signed"]),
        (&json!("key"), &json!(3600), &json!(true))
    );
    assert_eq!((&shown["header_names"], &shown["basic_auth"]), (&json!(["X-Api-Key"]), &json!({"username": "u"})));
    assert!(!shown.to_string().contains("hush") && shown.get("secret").is_none(), "{shown}");

    scene.publish(1);
    let request = scene.sink.wait_for("/in", 1, SOON).remove(0);
    assert_eq!(request.header("x-api-key"), Some("hush"));
    let (id, stamp) =
        (request.header("webhook-id").expect("an id"), request.header("webhook-timestamp").expect("a time"));
    let verifier = standardwebhooks::Webhook::new(made["secret"].as_str().expect("a text")).expect("a secret");
    let signed = verifier.sign(id, stamp.parse().expect("seconds"), &request.body).expect("it signs");
    assert_eq!(request.header("webhook-signature"), Some(&*signed));

    scene.settle(made["id"].as_i64().expect("an id"), SOON);
    assert_eq!(scene.api.delete(&path).expect("an answer").status, 204);
    assert_eq!(scene.api.get_json(&path)["state"], "inactive");
    assert_eq!(scene.publish(2)["deliveries"], 0);
    // What ended stands in the way of its like, and can be taken up again.
    let again = scene.api.post_json(ALL, &order, 409);
    assert_eq!(
        (&again["type"], &again["subscription"]),
        (&json!("urn:postrider:problem:already-registered"), &made["id"])
    );
    assert_eq!(scene.api.patch(&path, &json!({"is_active": true})).expect("an answer").expect(200)["state"], "active");
    assert_eq!(scene.publish(3)["deliveries"], 1);
}

fn two_changes_do_not_undo_each_other(database: &Database) {
    let scene = Scene::new(database, &[]);
    let id = json!(scene.subscribe("/in", json!({})));
    let path = one(&id);
    let read = scene.api.get(&path).expect("an answer");
    let tag = read.header("etag").expect("a tag").to_owned();
    let first = patch_if(&scene, &path, &tag, &json!({"max_in_flight": 3}));
    assert_ne!(first.header("etag"), Some(&*tag));
    assert_eq!(first.expect(200)["max_in_flight"], 3);
    let refused = patch_if(&scene, &path, &tag, &json!({"max_in_flight": 4})).expect(412);
    assert_eq!((&refused["type"], &refused["version"]), (&json!("urn:postrider:problem:outdated"), &json!(2)));
    // Also when it would change nothing, and for a deletion.
    patch_if(&scene, &path, &tag, &json!({"max_in_flight": 3})).expect(412);
    let deleted = scene.api.send("DELETE", &path, &[("If-Match", &tag)], b"").expect("an answer");
    assert_eq!(deleted.status, 412);
    assert_eq!(scene.api.get_json(&path)["max_in_flight"], 3);
    patch_if(&scene, &path, "\"2\"", &json!({"ordering": "subscription", "timeout_seconds": 3})).expect(200);
    let shown = scene.api.get_json(&path);
    assert_eq!(
        (&shown["ordering"], &shown["timeout_seconds"], &shown["max_in_flight"]),
        (&json!("subscription"), &json!(3.0), &json!(3))
    );
}

fn what_is_wrong_is_told_by_field(database: &Database) {
    let scene = Scene::new(database, &[]);
    let wrong = json!({"event_type": "package.exploded", "endpoint": "http://10.0.0.1/", "rate": 5, "sercet": "x"});
    let refused = scene.api.post_json(ALL, &wrong, 422);
    let fields: Vec<&str> =
        refused["errors"].as_array().expect("a list").iter().filter_map(|error| error["field"].as_str()).collect();
    assert_eq!(fields, ["rate", "sercet", "event_type", "endpoint"]);
    scene.api.post_json(ALL, &json!([]), 400);

    // Two subscriptions cannot become the same one.
    let [one_id, other] = ["/one", "/other"].map(|path| scene.subscribe(path, json!({})));
    let change = json!({"endpoint": scene.sink.url("/one")});
    let refused = scene.api.patch(&one(&json!(other)), &change).expect("an answer").expect(409);
    assert_eq!(refused["subscription"], one_id);
}

fn subscriptions_belong_to_who_makes_them(database: &Database) {
    let scene = Scene::new(database, &[]);
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    let order = |owner: Value| json!({"event_type": TYPE, "endpoint": scene.sink.url("/in"), "owner": owner});
    let made = scene.api.post_json(ALL, &order(json!("shop")), 201);
    assert_eq!(shop.get_json(&one(&made["id"]))["owner_id"], made["owner_id"]);
    shop.post_json(ALL, &order(json!("admin")), 403);
    scene.api.post_json(ALL, &order(json!("nobody")), 422);
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    assert_eq!(stranger.delete(&one(&made["id"])).expect("an answer").status, 404);
    assert_eq!(stranger.patch(&one(&made["id"]), &json!({"is_active": false})).expect("an answer").status, 404);
    assert_eq!(shop.delete(&one(&made["id"])).expect("an answer").status, 204);
}
