//! Webhooks go nowhere inside unless an operator said so, whoever writes the address and whenever.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        eventually::{eventually, throughout},
    },
};

on_both! { blocking:
    an_address_inside_is_refused_when_it_is_written,
    an_address_that_was_good_once_is_checked_again_at_every_attempt,
}

/// A network that the tests never go to, so that loopback is closed.
const ELSEWHERE: &[(&str, &str)] = &[("POSTRIDER_EGRESS_ALLOW", "10.99.0.0/16")];

fn an_address_inside_is_refused_when_it_is_written(database: &Database) {
    let scene = Scene::new(database, ELSEWHERE);
    let port = scene.sink.url("").rsplit(':').next().expect("a port").to_owned();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "224.0.0.1",
    ] {
        let hook = |url: &str| json!({"event_type": TYPE, "target_url": url, "is_active": true});
        let refused =
            scene.api.post("/whisperer/hooks/", &hook(&format!("http://{host}:{port}/in"))).expect("an answer");
        let texts = refused.clone().expect(400)["target_url"].clone();
        assert!(texts[0].as_str().is_some_and(|text| !text.is_empty()), "{host}: {refused:?}");
    }
    let allowed = scene.api.subscribe(TYPE, "http://10.99.0.1/in", json!({}));
    let change = json!({"target_url": scene.sink.url("/in")});
    let changed = scene.api.patch(&format!("/whisperer/hooks/{allowed}/"), &change).expect("an answer").expect(400);
    assert!(changed["target_url"].is_array(), "{changed}");
    assert_eq!(scene.sink.connections(), 0);
}

fn an_address_that_was_good_once_is_checked_again_at_every_attempt(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let hour = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3_600}}});
    let narrowed = scene.subscribe("/narrowed", hour.clone());
    let rewritten = scene.api.subscribe("shipment.created", "http://10.99.0.1/in", {
        scene.engine.kill9();
        scene.engine.set("POSTRIDER_EGRESS_ALLOW", "10.99.0.0/16");
        scene.engine.start_again();
        hour
    });
    scene.engine.kill9();
    let url = scene.sink.url("/rewritten");
    let statement = format!("UPDATE subscriptions SET target_url = '{url}' WHERE id = {rewritten}");
    let mut connection = database.database_url().connect().expect("the database is there");
    connection.batch_execute(&statement).expect("the row can be changed");
    drop(connection);
    scene.engine.start_again();

    scene.publish(1);
    scene.api.publish("shipment.created", &json!({"id": 2}));
    for subscription in [narrowed, rewritten] {
        let attempt = eventually("the attempt to be recorded", SOON, || first_attempt(&scene, subscription));
        assert_eq!(attempt["error"]["class"], "forbidden", "{attempt}");
        assert!(attempt["error"]["message"].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{attempt}");
    }
    throughout("nobody knocks", Duration::from_millis(500), || match scene.sink.connections() {
        0 => Ok(()),
        seen => Err(format!("{seen} connections")),
    });
}

fn first_attempt(scene: &Scene, subscription: i64) -> Result<Value, String> {
    let deliveries = scene.api.deliveries(&format!("subscription={subscription}"));
    let id = deliveries.first().and_then(|delivery| delivery["id"].as_i64()).ok_or("no delivery")?;
    let shown = scene.api.delivery(id);
    shown["attempt_log"].get(0).cloned().ok_or_else(|| shown.to_string())
}
