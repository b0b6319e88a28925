//! `hook_events`, `event_queues`, and the retry that somebody orders.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both},
    eventually::eventually,
    sink::{Answer, Behaviour, Sink},
};
use crate::{
    client::Client,
    scene::{add_owner, start},
};

on_both! {
    an_event_moves_from_the_queue_to_the_events,
    a_retry_is_made_only_when_it_makes_sense,
    a_retry_brings_the_same_body_to_where_the_hook_points_now,
}

const DEADLINE: Duration = Duration::from_secs(10);

/// A hook of the admin for `package.created` that waits an hour between attempts.
fn subscribe(client: &Client, url: &str) -> Value {
    let retry = json!({"choice": "fixed", "kwargs": {"seconds": 3600}});
    let body = json!({"event_type": "package.created", "target_url": url, "retry_countdown_config": retry});
    client.post("/whisperer/hooks/", &body).json()["id"].clone()
}

fn publish(client: &Client, payload: &Value) {
    let reply = client.post("/api/v1/events", &json!({"event_type": "package.created", "payload": payload}));
    assert_eq!(reply.status, 202, "{}", reply.body);
}

/// The one event of a hook, once it was attempted so often.
fn attempted(client: &Client, hook: &Value, attempts: u64) -> Value {
    eventually(&format!("{attempts} attempts"), DEADLINE, || {
        let list = client.get(&format!("/whisperer/hook_events/?webhook={hook}"));
        let event = list.get(0).filter(|event| event["retry_count"].as_u64() >= Some(attempts)).cloned();
        event.ok_or_else(|| list.to_string())
    })
}

async fn an_event_moves_from_the_queue_to_the_events(database: Database) {
    let (engine, admin) = start(&database, &[]);
    let alice = Client::new(engine.base(), &add_owner(&database, "alice", &[]));
    let sink = Sink::start();
    sink.script("/a", [Behaviour::Slow(Duration::from_secs(1), Answer::new(500).with_body("it's"))]);
    let hook = subscribe(&admin, &sink.url("/a"));
    publish(&admin, &json!({"id": 7, "b": ["ş \u{2028}"]}));
    sink.wait_for("/a", 1, DEADLINE);

    let queue = admin.get("/whisperer/event_queues/");
    let row = &queue[0];
    let keys: Vec<&String> = row.as_object().expect("a row").keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "created_date",
            "modified_date",
            "uuid",
            "hook_id",
            "event_type",
            "app_label",
            "model_name",
            "object_id",
            "instance_dict"
        ]
    );
    assert_eq!((&row["hook_id"], &row["object_id"]), (&hook, &Value::Null));
    assert_eq!(row["instance_dict"], json!({"id": 7, "b": ["ş \u{2028}"]}));
    let path = format!("/whisperer/event_queues/{}/", row["id"]);
    assert_eq!(admin.get(&path), *row);
    assert_eq!(alice.get("/whisperer/event_queues/"), json!([]));
    assert_eq!(alice.send("GET", &path, None, "").status, 404);
    assert_eq!(admin.get(&format!("/whisperer/hook_events/?webhook={hook}")), json!([]));

    let event = attempted(&admin, &hook, 1);
    let keys: Vec<&String> = event.as_object().expect("an event").keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "webhook",
            "created_date",
            "modified_date",
            "uuid",
            "request_payload",
            "response_content",
            "response_http_status",
            "response_time",
            "delivered",
            "request_datetimes",
            "retry_count",
            "object_id",
            "content_type"
        ]
    );
    assert_eq!(event["id"], row["id"]);
    assert_eq!((&event["response_content"], &event["response_http_status"]), (&json!("b\"it's\""), &json!(500)));
    assert_eq!((&event["delivered"], &event["retry_count"]), (&json!(false), &json!(1)));
    assert_eq!(event["request_payload"], sink.requests("/a")[0].json());
    assert_ne!(event["uuid"], row["uuid"]);
    let hex = event["uuid"].as_str().expect("a uuid").replace('-', "");
    assert_eq!(event["request_payload"]["event"]["uuid"], json!(hex));
    assert_eq!(admin.get("/whisperer/event_queues/"), json!([]));
    let created = event["created_date"].as_str().expect("a date");
    for (query, found) in [
        (format!("uuid={}", hex.to_uppercase()), 1),
        (format!("created_date={created}"), 1),
        (format!("created_date__gt={created}"), 0),
        ("response_http_status=500.9&delivered=false&event_type=Package.Created".to_owned(), 1),
        ("delivered=True".to_owned(), 0),
        ("object_id=7".to_owned(), 0),
        ("response_http_status=99999999999".to_owned(), 0),
    ] {
        let list = admin.get(&format!("/whisperer/hook_events/?{query}"));
        assert_eq!(list.as_array().map(Vec::len), Some(found), "{query}");
    }
}

async fn a_retry_is_made_only_when_it_makes_sense(database: Database) {
    let (engine, admin) = start(&database, &[]);
    let alice = Client::new(engine.base(), &add_owner(&database, "alice", &[]));
    let sink = Sink::start();
    sink.script("/a", [500, 503, 200]);
    let hook = subscribe(&admin, &sink.url("/a"));
    publish(&admin, &json!({"id": 1}));
    let path = format!("/whisperer/hook_events/{}/retry/", attempted(&admin, &hook, 1)["id"]);
    let retry = |body: &str| admin.send("POST", &path, Some("application/json"), body);

    for body in ["", "{}", r#"{"force":false}"#, r#"{"force":""}"#] {
        let reply = retry(body);
        assert_eq!(reply.body, r#"{"code":"event_100_6","en":"Event is still in retry process"}"#);
        assert_eq!(reply.status, 406);
    }
    assert_eq!(retry("[]").status, 400);
    assert_eq!(retry("{bad").status, 400);
    assert_eq!(admin.send("POST", &path, Some("text/plain"), "force").status, 415);
    assert_eq!(alice.send("POST", &path, None, "").status, 404);

    let failed = retry(r#"{"force":"false"}"#);
    assert_eq!((failed.status, &failed.json()["response_status"]), (406, &json!(503)));
    let arrived = retry(r#"{"force":1}"#);
    let told = arrived.json();
    assert_eq!((arrived.status, &told["detail"]), (200, &json!("Webhook event delivered successfully")));
    assert_eq!((&told["response_content"], &told["delivered"]), (&json!("ok"), &json!(true)));
    let seconds: f64 = told["response_time"].as_str().and_then(|text| text.parse().ok()).expect("seconds as text");
    assert!((0.0..10.0).contains(&seconds));
    let again = retry(r#"{"force":true}"#);
    assert_eq!(again.body, r#"{"code":"event_100_3","en":"Event already delivered"}"#);

    let event = attempted(&admin, &hook, 3);
    assert_eq!((&event["retry_count"], &event["delivered"]), (&json!(3), &json!(true)));
    let dates = event["request_datetimes"].as_array().expect("dates");
    assert!(dates.len() == 3 && dates.is_sorted_by_key(|date| std::cmp::Reverse(date.as_str())), "{dates:?}");
    assert_eq!(sink.count("/a"), 3);
}

async fn a_retry_brings_the_same_body_to_where_the_hook_points_now(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    let sink = Sink::start();
    sink.script("/old", [500]);
    let hook = subscribe(&admin, &sink.url("/old"));
    publish(&admin, &json!({"id": 1}));
    let path = format!("/whisperer/hook_events/{}/retry/", attempted(&admin, &hook, 1)["id"]);
    let change = json!({"target_url": sink.url("/new"), "is_active": false}).to_string();
    let moved = admin.send("PATCH", &format!("/whisperer/hooks/{hook}/"), Some("application/json"), &change);
    assert_eq!(moved.status, 200, "{}", moved.body);
    assert_eq!(admin.post(&path, &json!({"force": true})).json()["delivered"], json!(true));
    assert_eq!(sink.requests("/new")[0].body, sink.requests("/old")[0].body);
}
