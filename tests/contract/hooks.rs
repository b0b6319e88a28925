//! Writing hooks.

use std::thread;

use serde_json::{Value, json};

use crate::support::database::{Database, on_both};
use crate::{
    client::Client,
    scene::{add_owner, hook, start},
};

on_both! {
    a_hook_comes_back_as_it_was_written,
    a_registration_is_made_once_however_many_ask,
    a_change_into_another_registration_is_refused,
    an_address_that_is_not_open_is_refused_when_it_is_written,
}

async fn a_hook_comes_back_as_it_was_written(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    let body = r#"{"retry_countdown_config":{"choice":"exponential","kwargs":{"base":"2"}},"target_url":" http://127.0.0.1:9/ş ","is_active":"no",
        "secret_key":"","event_type":"package.created","callback":"a.b","additional_headers":{"X-B":"2","X-A":null},
        "config":{"z":12345678901234567890123,"a":[1.0,1e22,"\u2028"]},"id":5,"user":1,"created_date":null}"#;
    let reply = admin.send("POST", "/whisperer/hooks/", Some("application/json"), body);
    let hook = reply.json();
    let text = |name: &str| hook[name].as_str().unwrap_or_else(|| panic!("{name}: {hook}")).to_owned();
    // Key by key, in order and without blanks.
    assert_eq!(
        reply.body,
        format!(
            concat!(
                r#"{{"id":{},"retry_countdown_config":{{"choice":"exponential","kwargs":{{"base":2,"factor":1}}}},"#,
                r#""created_date":"{}","modified_date":"{}","target_url":"http://127.0.0.1:9/ş","is_active":false,"#,
                r#""secret_key":"","event_type":"package.created","callback":"a.b","#,
                r#""additional_headers":{{"X-B":"2","X-A":null}},"config":{{"z":12345678901234567890123,"a":[1.0,1e+22,"\u2028"]}}}}"#,
            ),
            hook["id"],
            text("created_date"),
            text("modified_date")
        )
    );
    let path = format!("/whisperer/hooks/{}/", hook["id"]);
    assert_eq!(admin.send("GET", &path, None, "").body, reply.body);
    let patched = admin.send("PATCH", &path, Some("application/json"), r#"{"secret_key":null,"config":null}"#).json();
    assert_eq!(
        (&patched["secret_key"], &patched["config"], &patched["callback"]),
        (&Value::Null, &json!({}), &json!("a.b"))
    );
    assert_eq!(admin.get(&path), patched);
}

const REGISTERED: &str = r#"{"code":"webhook_100_2","en":"Webhook already registered"}"#;

async fn a_registration_is_made_once_however_many_ask(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    for round in 0..5 {
        let ask = |client: &Client| client.post("/whisperer/hooks/", &hook(&round.to_string()));
        let replies: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| ask(&admin))).collect();
            asking.into_iter().map(|thread| thread.join().expect("it was answered")).collect()
        });
        let (made, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
        assert_eq!((made.len(), refused.len()), (1, 3));
        for reply in refused {
            assert_eq!((reply.status, reply.body.as_str()), (406, REGISTERED));
        }
    }
    // What is wrong with the fields is told first.
    let mut wrong = hook("0");
    wrong["is_active"] = json!("maybe");
    assert_eq!(admin.post("/whisperer/hooks/", &wrong).status, 400);
}

async fn a_change_into_another_registration_is_refused(database: Database) {
    let (engine, admin) = start(&database, &[]);
    let alice = Client::new(engine.base(), &add_owner(&database, "alice", &[]));
    alice.post("/whisperer/hooks/", &hook("taken"));
    let mine = alice.post("/whisperer/hooks/", &hook("mine")).json();
    let path = format!("/whisperer/hooks/{}/", mine["id"]);
    // The admin has the same registration; only the owner's count.
    admin.post("/whisperer/hooks/", &hook("free"));
    for client in [&alice, &admin] {
        for method in ["PUT", "PATCH"] {
            let reply = client.send(method, &path, Some("application/json"), &hook("taken").to_string());
            assert_eq!((reply.status, reply.body.as_str()), (406, REGISTERED), "{method}");
        }
    }
    assert_eq!(alice.get(&path), mine);
    assert_eq!(admin.send("PUT", &path, Some("application/json"), &hook("free").to_string()).status, 200);
    assert_eq!(alice.get(&path)["target_url"], hook("free")["target_url"]);
}

async fn an_address_that_is_not_open_is_refused_when_it_is_written(database: Database) {
    let (_engine, admin) = start(&database, &[("POSTRIDER_EGRESS_ALLOW", "10.0.0.0/8")]);
    let mut body = hook("a");
    body["is_active"] = json!(2);
    let faults = admin.post("/whisperer/hooks/", &body).json();
    assert!(faults["target_url"][0].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{faults}");
    assert_eq!(faults["is_active"], json!(["Must be a valid boolean."]));
    body = json!({"event_type": "package.created", "target_url": "http://10.1.2.3/"});
    assert_eq!(admin.post("/whisperer/hooks/", &body).status, 201);
}
