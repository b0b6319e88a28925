//! Attempts tell what really went over the wire, and no secret.

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use postrider::store::AnyConnection;
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        eventually::eventually,
        port::free_port,
        sink::{Answer, Behaviour},
    },
};

on_both! { blocking:
    attempts_tell_what_went_over_the_wire,
    no_attempt_shows_a_secret,
    a_refused_connection_tells_its_address,
}

/// The attempt log of the newest delivery to `subscription`, once it has `count` entries.
fn log_of(scene: &Scene, subscription: i64, count: usize) -> Vec<Value> {
    eventually("the attempts", SOON, || {
        let deliveries = scene.api.deliveries(&format!("subscription={subscription}"));
        let Some(id) = deliveries.first().and_then(|delivery| delivery["id"].as_i64()) else {
            return Err("no delivery".to_owned());
        };
        let shown = scene.api.delivery(id);
        match shown["attempt_log"].as_array() {
            Some(log) if log.len() >= count => Ok(log.clone()),
            _ => Err(shown.to_string()),
        }
    })
}

fn header<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
    let pairs = headers.as_array()?;
    pairs.iter().find(|pair| pair[0].as_str().is_some_and(|given| given.eq_ignore_ascii_case(name)))?[1].as_str()
}

fn attempts_tell_what_went_over_the_wire(database: &Database) {
    // A second thread would have a connection of its own.
    let scene = Scene::new(database, &[]);
    let answer = |status| Answer::new(status).with_header("X-Request-Id", "r-7").with_header("Set-Cookie", "s=hunter2");
    let huge = answer(200).with_body(vec![b'x'; 20_000]);
    scene.sink.script("/in", [Behaviour::Answer(answer(503)), Behaviour::Answer(huge)]);
    let subscription = scene.subscribe("/in", json!({"secret_key": "gizli"}));
    scene.publish(7);
    let log = log_of(&scene, subscription, 2);
    let requests = scene.sink.requests("/in");
    for (attempt, request) in log.iter().zip(&requests) {
        assert_eq!(format!("http://{}", attempt["remote_address"].as_str().expect("an address")), scene.sink.url(""));
        assert_eq!(attempt["request"]["url"], scene.sink.url("/in"));
        let headers = &attempt["request"]["headers"];
        for name in ["host", "webhook-id", "webhook-timestamp", "x-whisperer-event"] {
            assert_eq!(header(headers, name), request.header(name), "{name}: {attempt}");
        }
        for name in ["webhook-signature", "x-whisperer-signature"] {
            assert_eq!(header(headers, name), Some("[not kept]"), "{attempt}");
        }
        assert_eq!(header(&attempt["response_headers"], "x-request-id"), Some("r-7"));
        assert_eq!(header(&attempt["response_headers"], "set-cookie"), Some("[redacted]"));
        assert_eq!(attempt["response_headers_cut"], false);
        assert!(attempt["timings"]["first_byte_ms"].as_f64() <= attempt["timings"]["total_ms"].as_f64(), "{attempt}");
        assert!(attempt["timings"]["first_byte_ms"].is_f64(), "{attempt}");
    }
    assert_eq!(requests[0].connection, requests[1].connection);
    assert!(log[0]["timings"]["connect_ms"].is_f64(), "{}", log[0]);
    assert_eq!(log[1]["timings"]["connect_ms"], Value::Null);
    assert_eq!((&log[0]["body"], &log[0]["body_cut"]), (&json!("ok"), &json!(false)));
    assert_eq!((log[1]["body"].as_str().map(str::len), &log[1]["body_cut"]), (Some(16 * 1024), &json!(true)));
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    value: String,
}

/// All texts of the two tables that attempts are kept in.
fn stored(database: &Database) -> String {
    let mut connection = database.database_url().connect().expect("the database is there");
    let mut all = String::new();
    for query in [
        "SELECT COALESCE(response_headers, '') AS value FROM attempts",
        "SELECT COALESCE(message, '') AS value FROM attempts",
        "SELECT url AS value FROM request_heads",
        "SELECT headers AS value FROM request_heads",
    ] {
        let rows: Vec<Row> = match &mut connection {
            #[cfg(feature = "mysql")]
            AnyConnection::Mysql(connection) => sql_query(query).load(connection),
            #[cfg(feature = "sqlite")]
            AnyConnection::Sqlite(connection) => sql_query(query).load(connection),
        }
        .expect("it answers");
        assert!(!rows.is_empty(), "{query}");
        all.extend(rows.into_iter().map(|row| row.value + "\n"));
    }
    all
}

fn no_attempt_shows_a_secret(database: &Database) {
    let scene = Scene::new(database, &[]);
    let echo = Answer::new(200).with_header("Authorization", "hunter2").with_header("X-Session-Token", "hunter2");
    scene.sink.script("/in", [Behaviour::Answer(echo)]);
    let auth = json!({"auth_type": "basic", "username": "u", "password": "hunter2"});
    let headers = json!({"X-Api-Key": "hunter2", "Cookie": "hunter2", "X-Tenant": "hunter2"});
    let fields = json!({"secret_key": "hunter2", "additional_headers": headers, "config": {"auth": auth}});
    let with_config = scene.subscribe("/in", fields);
    let in_url = scene.sink.url("/in").replace("http://", "http://ali:hunter2@");
    let with_url = scene.api.subscribe("shipment.created", &in_url, json!({}));
    scene.publish(7);
    scene.api.publish("shipment.created", &json!({"id": 8}));
    let mut told = String::new();
    for subscription in [with_config, with_url] {
        let log = log_of(&scene, subscription, 1);
        assert_eq!(header(&log[0]["request"]["headers"], "authorization"), Some("[redacted]"), "{}", log[0]);
        told += &Value::from(log).to_string();
        let delivery = scene.api.deliveries(&format!("subscription={subscription}"))[0]["id"].clone();
        told += &scene.api.post_json(&format!("/api/v1/deliveries/{delivery}/redeliver"), &json!({}), 200).to_string();
        told += &scene.api.subscription(subscription)["backlog"].to_string();
        let trial = scene.api.post_json(&format!("/api/v1/subscriptions/{subscription}/test"), &json!({}), 200);
        assert_eq!(header(&trial["request"]["headers"], "x-postrider-test"), Some("true"), "{trial}");
        assert!(trial["timings"]["connect_ms"].is_f64() && trial["remote_address"].is_string(), "{trial}");
        told += &trial.to_string();
    }
    assert!(!told.contains("hunter2"), "{told}");
    let stored = stored(database);
    assert!(!stored.contains("hunter2"), "{stored}");
    let encoded = "dTpodW50ZXIy";
    assert!(!told.contains(encoded) && !stored.contains(encoded), "basic auth, encoded");
}

fn a_refused_connection_tells_its_address(database: &Database) {
    let scene = Scene::new(database, &[]);
    let address = format!("127.0.0.1:{}", free_port());
    let hour = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3_600}}});
    let subscription = scene.api.subscribe("package.created", &format!("http://{address}/in"), hour);
    scene.publish(7);
    let attempt = log_of(&scene, subscription, 1).remove(0);
    assert_eq!((&attempt["error"]["class"], &attempt["remote_address"]), (&json!("connect"), &json!(address)));
    assert!(attempt["timings"]["connect_ms"].is_f64(), "{attempt}");
    assert_eq!((&attempt["timings"]["first_byte_ms"], &attempt["response_headers"]), (&Value::Null, &Value::Null));
}
