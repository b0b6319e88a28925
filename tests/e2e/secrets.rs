//! Secrets: what the database holds of them, and how a receiver and an operator replace theirs without a gap.

use std::{fs, path::Path, process::Output};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use postrider::store::AnyConnection;
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE},
    signatures::{is_signed_with, whisperer_signature},
    support::{
        database::{Database, on_both},
        engine::Engine,
        eventually::eventually,
        sink::Request,
    },
};

on_both! { blocking:
    the_database_holds_no_secret_in_plain_text,
    secrets_of_before_there_was_a_key_are_sealed_while_the_engine_runs,
    keys_are_replaced_one_by_one,
    without_the_right_key_the_engine_does_not_start,
    both_secrets_sign_while_one_is_rotated,
    a_secret_that_leaked_stops_signing_at_once,
    only_the_owner_rotates_and_nothing_shows_a_secret,
}

const KEY: &str = "POSTRIDER_SECRET_KEY";
const OLD: &str = "old:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "new:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Everything that must not be seen: of the subscription, and of the keys.
const HIDDEN: [&str; 5] = [
    SECRET,
    "Bearer hunter2",
    "password-of-basic-auth",
    "000102030405060708090a0b0c0d0e0f",
    "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
];

fn subscribe(scene: &Scene, path: &str) -> i64 {
    let auth = json!({"auth_type": "basic", "username": "u", "password": HIDDEN[2]});
    let headers = json!({"X-Api-Key": HIDDEN[1]});
    scene.subscribe(path, json!({"secret_key": SECRET, "additional_headers": headers, "config": {"auth": auth}}))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    value: String,
}

/// All that the database holds of subscriptions; of a file, every byte of it and of its journal.
fn everything_stored(database: &Database) -> String {
    let url = database.url();
    if let Some(path) = url.strip_prefix("sqlite:") {
        let bytes = |path: &str| if Path::new(path).exists() { fs::read(path).expect("a file") } else { Vec::new() };
        let all = [bytes(path), bytes(&format!("{path}-wal"))].concat();
        return String::from_utf8_lossy(&all).into_owned();
    }
    let query =
        "SELECT CONCAT_WS(' ', secret_key, retiring_secrets, additional_headers, config) AS value FROM subscriptions";
    let rows: Vec<Row> = match database.database_url().connect().expect("the server is there") {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(mut connection) => sql_query(query).load(&mut connection).expect("the table is there"),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(mut connection) => sql_query(query).load(&mut connection).expect("the table is there"),
    };
    rows.into_iter().map(|row| row.value).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn assert_hidden(text: &str) {
    for hidden in HIDDEN {
        assert!(!text.contains(hidden), "{hidden} is there to be seen");
    }
}

#[track_caller]
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).expect("UTF-8");
    assert_hidden(&text);
    text
}

/// Publishes one event; gives the request that comes of it.
fn deliver(scene: &Scene, path: &str) -> Request {
    let before = scene.sink.count(path);
    scene.publish(before);
    scene.sink.wait_for(path, before + 1, SOON).pop().expect("as many as were waited for")
}

fn rotate(scene: &Scene, subscription: i64, body: &Value) -> Value {
    scene.api.post_json(&format!("/api/v1/subscriptions/{subscription}/rotate-secret"), body, 200)
}

fn the_database_holds_no_secret_in_plain_text(database: &Database) {
    let mut scene = Scene::new(database, &[(KEY, OLD)]);
    let subscription = subscribe(&scene, "/in");
    let made = rotate(&scene, subscription, &json!({"overlap_seconds": 3600}))["secret"].clone();
    scene.api.pause(subscription, &json!({"reason": "to be written again"}));
    scene.api.resume(subscription);
    let request = deliver(&scene, "/in");
    assert_eq!(request.header("X-Api-Key"), Some(HIDDEN[1]));
    assert!(request.header("Authorization").is_some_and(|value| value.starts_with("Basic ")));
    scene.crash();
    let made = made.as_str().expect("a new secret");
    assert!(is_signed_with(&deliver(&scene, "/in"), made), "the engine reads what it wrote");

    let stored = everything_stored(database);
    assert!(stored.contains("sealed:1:old:"), "there is something to be seen");
    assert_hidden(&stored);
    assert!(!stored.contains(made));
    assert_hidden(&scene.engine.log());
    assert!(!scene.engine.log().contains(made));
}

fn secrets_of_before_there_was_a_key_are_sealed_while_the_engine_runs(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    subscribe(&scene, "/in");
    assert!(everything_stored(database).contains(SECRET), "without a key they are in plain text");
    assert!(said(&scene.engine.command(&["secrets", "rotate"])).contains(KEY), "there is no key to seal with");
    scene.engine.terminate(SOON);
    scene.engine.set(KEY, OLD);
    scene.engine.start_again();
    assert!(is_signed_with(&deliver(&scene, "/in"), SECRET), "plain text stays readable");

    let status = scene.engine.command(&["secrets", "status"]);
    assert!(status.status.success() && said(&status).contains("to be sealed"), "{status:?}");
    let rotated = scene.engine.command(&["secrets", "rotate"]);
    assert!(said(&rotated).contains("moved 1 subscription: all secrets are under old"), "{rotated:?}");
    let told = scene.api.get_json("/api/v1/audit?action=secrets.rotate");
    assert_eq!(
        (&told["items"][0]["subject"], &told["items"][0]["after"]),
        (&json!("key:old"), &json!({"subscriptions": 1}))
    );
    assert!(is_signed_with(&deliver(&scene, "/in"), SECRET));
    scene.crash();
    assert!(is_signed_with(&deliver(&scene, "/in"), SECRET));
    scene.engine.terminate(SOON);
    // Once more when nobody holds on to the journal.
    assert!(said(&scene.engine.command(&["secrets", "rotate"])).contains("moved 0 subscriptions"));
    assert_hidden(&everything_stored(database));
}

fn keys_are_replaced_one_by_one(database: &Database) {
    let mut scene = Scene::new(database, &[(KEY, OLD)]);
    subscribe(&scene, "/in");
    let both = format!("{NEW},{OLD}");
    for keys in [both.as_str(), NEW] {
        scene.engine.terminate(SOON);
        scene.engine.set(KEY, keys);
        scene.engine.start_again();
        let rotated = said(&scene.engine.command(&["secrets", "rotate"]));
        assert!(rotated.contains("all secrets are under new"), "{rotated}");
        assert!(is_signed_with(&deliver(&scene, "/in"), SECRET));
    }
    let status = scene.engine.command(&["secrets", "status"]);
    assert!(status.status.success(), "{status:?}");
    let status = said(&status);
    assert!(status.lines().any(|line| line.starts_with("new ") && line.ends_with("seals")), "{status}");
    assert!(!status.contains("old"), "{status}");
}

fn without_the_right_key_the_engine_does_not_start(database: &Database) {
    let mut scene = Scene::new(database, &[(KEY, OLD)]);
    subscribe(&scene, "/in");
    scene.engine.terminate(SOON);
    let wrong = format!("old:{}", "ff".repeat(32));
    for keys in [Some(NEW), Some(wrong.as_str()), None] {
        let settings = keys.map(|keys| (KEY, keys));
        let mut engine = Engine::not_started(&database.url(), settings.as_slice());
        engine.spawn();
        assert_eq!(engine.wait_for_the_end(SOON).code(), Some(1));
        let log = engine.log();
        let last = log.lines().last().expect("a line");
        assert!(last.contains("\"old\"") && last.contains(KEY) && last.contains("of subscription"), "{log}");
        assert_hidden(&log);
        assert!(!engine.command(&["secrets", "status"]).status.success());
        assert!(!engine.command(&["secrets", "rotate"]).status.success());
    }
    let mut engine = Engine::not_started(&database.url(), &[(KEY, "old:hunter2")]);
    engine.spawn();
    assert_eq!(engine.wait_for_the_end(SOON).code(), Some(2));
    assert!(engine.log().contains("32 bytes") && !engine.log().contains("hunter2"), "{}", engine.log());

    scene.engine.start_again();
    assert!(is_signed_with(&deliver(&scene, "/in"), SECRET), "nothing was lost");
}

fn both_secrets_sign_while_one_is_rotated(database: &Database) {
    let mut scene = Scene::new(database, &[(KEY, OLD)]);
    let subscription = subscribe(&scene, "/in");
    let before = deliver(&scene, "/in");
    assert!(is_signed_with(&before, SECRET));
    assert_eq!(signatures(&before), 1);

    let answer = rotate(&scene, subscription, &json!({"overlap_seconds": 6}));
    let new = answer["secret"].as_str().expect("a new secret").to_owned();
    assert!(new.starts_with("whsec_") && new.len() == 50, "{new}");
    assert_eq!(answer["retiring_secrets"].as_array().map(Vec::len), Some(1));
    let during = deliver(&scene, "/in");
    scene.crash();
    for request in [during, deliver(&scene, "/in")] {
        assert_eq!(signatures(&request), 2);
        assert!(is_signed_with(&request, SECRET) && is_signed_with(&request, &new));
        assert_eq!(request.header("X-Whisperer-Signature"), Some(whisperer_signature(&request, &new).as_str()));
    }
    let after = eventually("the old secret to sign no more", SOON, || {
        let request = deliver(&scene, "/in");
        if signatures(&request) == 1 { Ok(request) } else { Err("both sign") }
    });
    assert!(is_signed_with(&after, &new) && !is_signed_with(&after, SECRET));
    assert_eq!(scene.api.subscription(subscription)["retiring_secrets"], json!([]));
}

fn signatures(request: &Request) -> usize {
    request.header("webhook-signature").map_or(0, |value| value.split(' ').count())
}

fn a_secret_that_leaked_stops_signing_at_once(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = subscribe(&scene, "/in");
    rotate(&scene, subscription, &json!({"secret": "second"}));
    let brought = rotate(&scene, subscription, &json!({"secret": "third", "overlap_seconds": 0}));
    assert_eq!(brought.get("secret"), None, "who brings a secret knows it");
    let request = deliver(&scene, "/in");
    assert_eq!(signatures(&request), 1);
    assert!(is_signed_with(&request, "third"));

    rotate(&scene, subscription, &json!({"secret": "fourth"}));
    assert_eq!(signatures(&deliver(&scene, "/in")), 2);
    // By the contract a secret is replaced at once.
    let path = format!("/whisperer/hooks/{subscription}/");
    scene.api.patch(&path, &json!({"secret_key": "fifth"})).expect("an answer").expect(200);
    let request = deliver(&scene, "/in");
    assert!(signatures(&request) == 1 && is_signed_with(&request, "fifth"));
}

fn only_the_owner_rotates_and_nothing_shows_a_secret(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = subscribe(&scene, "/in");
    let path = format!("/api/v1/subscriptions/{subscription}/rotate-secret");
    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.post_json(&path, &json!({}), 404);
    for body in [json!({"secret": ""}), json!({"secret": "a".repeat(125)}), json!({"overlap_seconds": 2_592_001})] {
        scene.api.post_json(&path, &body, 422);
    }
    for body in [json!({"secret": 5}), json!({"overlap_seconds": -1}), json!({"seconds": 1})] {
        scene.api.post_json(&path, &body, 400);
    }
    rotate(&scene, subscription, &json!({"secret": "brought along"}));
    let list = scene.api.get_json("/api/v1/subscriptions").to_string();
    assert!(list.contains(TYPE) && list.contains("retiring_secrets"), "{list}");
    assert_hidden(&list);
    assert!(!list.contains("brought along"), "{list}");
}
