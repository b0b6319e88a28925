//! Event types: listed, registered, and used for what is published and subscribed to.

use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene},
    support::database::{Database, on_both},
};

on_both! { blocking:
    a_registered_type_is_published_and_held_to_its_schema,
    a_description_that_contradicts_itself_is_refused,
    a_type_goes_when_no_subscription_has_it,
}

fn put(scene: &Scene, name: &str, body: &Value, status: u16) -> Value {
    let path = format!("/api/v1/event-types/{name}");
    scene.api.send("PUT", &path, &[], body.to_string().as_bytes()).expect("an answer").expect(status)
}

fn a_registered_type_is_published_and_held_to_its_schema(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let order = json!({"event_type": "order.placed", "payload": {"id": 1}});
    let refused = scene.api.post_json("/api/v1/events", &order, 422);
    assert_eq!(refused["type"], "urn:postrider:problem:unknown-event-type");
    let subscription = json!({"event_type": "order.placed", "endpoint": scene.sink.url("/in")});
    scene.api.post_json("/api/v1/subscriptions", &subscription, 422);

    let schema = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}});
    let described =
        json!({"description": "Somebody bought something", "schema": schema, "example": {"id": 7}, "validate": true});
    put(&scene, "order.placed", &described, 201);
    let made = scene.api.post_json("/api/v1/subscriptions", &subscription, 201);
    scene.api.post_json("/api/v1/events", &order, 202);
    // The description is stored.
    scene.crash();
    let wrong = json!({"event_type": "order.placed", "payload": {"id": "x"}});
    let refused = scene.api.post_json("/api/v1/events", &wrong, 422);
    assert_eq!(
        (&refused["type"], &refused["errors"][0]["path"]),
        (&json!("urn:postrider:problem:schema-violation"), &json!("/id"))
    );
    let batch = scene.api.post_json("/api/v1/events/batch", &json!([order, wrong]), 207);
    assert_eq!((&batch["results"][0]["status"], &batch["results"][1]["status"]), (&json!(202), &json!(422)));
    scene.sink.wait_for("/in", 2, SOON);
    // A trial sends the example.
    scene.api.post_json(&format!("/api/v1/subscriptions/{}/test", made["id"]), &json!({}), 200);
    let trials =
        scene.sink.wait_for("/in", 3, SOON).into_iter().filter(|request| request.header("x-postrider-test").is_some());
    assert_eq!(trials.map(|request| request.json()["payload"].clone()).collect::<Vec<_>>(), [json!({"id": 7})]);

    let listed = scene.api.get_json("/api/v1/event-types");
    let listed = listed["items"].as_array().expect("a list");
    assert_eq!(listed.len(), 19);
    assert!(listed.iter().all(|one| one["example"]["id"].is_u64()), "each has an example: {listed:?}");
    let shown = scene.api.get_json("/api/v1/event-types/order.placed");
    assert_eq!((&shown["built_in"], &shown["schema"], &shown["validate"]), (&json!(false), &schema, &json!(true)));
    put(&scene, "order.placed", &json!({}), 200);
    scene.api.post_json("/api/v1/events", &wrong, 202);
    // The contract's registry is what it was.
    assert_eq!(scene.api.get_json("/whisperer/hooks/registry/").as_array().map(Vec::len), Some(18));
}

fn a_description_that_contradicts_itself_is_refused(database: &Database) {
    let scene = Scene::new(database, &[]);
    let field = |body: &Value| put(&scene, "order.placed", body, 422)["errors"][0]["field"].clone();
    assert_eq!(field(&json!({"validate": true})), "validate");
    assert_eq!(field(&json!({"schema": {"type": "objekt"}})), "schema");
    assert_eq!(field(&json!({"schema": {"type": "object"}, "example": 5, "validate": true})), "example");
    put(&scene, "order%20placed", &json!({}), 422);
    scene.api.get("/api/v1/event-types/order.placed").expect("an answer").expect(404);
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    shop.send("PUT", "/api/v1/event-types/a.b", &[], b"{}").expect("an answer").expect(403);
    assert_eq!(shop.get("/api/v1/event-types").expect("an answer").status, 200);
}

fn a_type_goes_when_no_subscription_has_it(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let delete =
        |scene: &Scene, name: &str| scene.api.delete(&format!("/api/v1/event-types/{name}")).expect("an answer");
    put(&scene, "order.placed", &json!({}), 201);
    let described = json!({"description": "Somebody bought something"});
    // The second one changes nothing.
    (0..2).for_each(|_| drop(put(&scene, "order.placed", &described, 200)));
    let shop = scene.api.with_token(&scene.engine.add_user(&["shop"]));
    shop.delete("/api/v1/event-types/order.placed").expect("an answer").expect(403);
    let subscription = json!({"event_type": "order.placed", "endpoint": scene.sink.url("/in")});
    let id = scene.api.post_json("/api/v1/subscriptions", &subscription, 201)["id"].as_i64().expect("an id");
    let event = scene.api.publish("order.placed", &json!({"id": 1}));
    scene.sink.wait_for("/in", 1, SOON);

    let refused = delete(&scene, "order.placed").expect(409);
    assert_eq!(
        (&refused["type"], &refused["subscription"]),
        (&json!("urn:postrider:problem:event-type-in-use"), &json!(id))
    );
    let refused = delete(&scene, "package.created").expect(409);
    assert_eq!(refused["type"], "urn:postrider:problem:event-type-built-in");
    delete(&scene, "order.unknown").expect(404);
    scene.settle(id, SOON);
    assert_eq!(scene.api.delete(&format!("/api/v1/subscriptions/{id}")).expect("an answer").status, 204);
    assert_eq!(delete(&scene, "order.placed").status, 204);
    delete(&scene, "order.placed").expect(404);
    let order = json!({"event_type": "order.placed", "payload": {}});
    scene.api.post_json("/api/v1/events", &order, 422);
    let change = |fields: &Value| scene.api.patch(&format!("/api/v1/subscriptions/{id}"), fields).expect("an answer");
    let refused = change(&json!({"is_active": true})).expect(422);
    assert_eq!(refused["errors"][0]["field"], "event_type", "it would wait for ever: {refused}");
    change(&json!({"is_active": true, "event_type": "package.created"})).expect(200);
    let shown = scene.api.get_json(&format!("/api/v1/events/{}", event["id"]));
    assert_eq!(shown["event_type"], "order.placed", "what was published stays");
    let told = scene.api.get_json("/api/v1/audit?subject=event-type:order.placed");
    let told: Vec<_> = told["items"].as_array().expect("a list").iter().rev().collect();
    let (actions, nothing) = (["event-type.add", "event-type.change", "event-type.delete"], json!(null));
    assert_eq!(told.iter().map(|entry| entry["action"].as_str()).collect::<Vec<_>>(), actions.map(Some));
    assert_eq!((&told[0]["before"], &told[2]["after"]), (&nothing, &nothing));
    assert_eq!((&told[1]["before"], &told[2]["before"]), (&told[0]["after"], &told[1]["after"]));
    assert_eq!(told[1]["after"]["description"], "Somebody bought something");
    // The store forgot it, too.
    scene.crash();
    scene.api.post_json("/api/v1/events", &order, 422);
}
