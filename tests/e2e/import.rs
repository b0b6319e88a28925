//! Taking over from dj-whisperer: what was known is known, and what was owed arrives.

use std::{fs, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    scene::{SOON, id_in},
    support::{
        database::{Database, on_both},
        engine::Engine,
        eventually::eventually,
        sink::Sink,
    },
};

on_both! {
    blocking:
    what_was_owed_arrives_and_what_was_known_is_known,
}

const SHOP: &str = "5f2a9c1ed07b4683a1c2e3f405162738495a6b7c";
const OPS: &str = "0c1de1f3a4b5968778695a4b3c2d1e0f00112233";
const INACTIVE: &str = "9b8a7c6d5e4f30211203f4e5d6c7b8a990817263";

/// The dump of the fixtures, its endpoints on a sink.
struct Dump {
    folder: TempDir,
    database_url: String,
}

impl Dump {
    fn new(database: &Database, sink: &Sink) -> Self {
        let folder = tempfile::tempdir().expect("there is a temp folder");
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/whisperer-dump.json");
        let text = fs::read_to_string(fixture).expect("the fixture is there");
        let text = text.replace("http://sink.example", &sink.url(""));
        fs::write(folder.path().join("dump.json"), text).expect("the folder is ours");
        Self { folder, database_url: database.url() }
    }

    /// Runs the command; gives its exit code, its lines, and its complaint.
    fn import(&self, more: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .args(["import-whisperer", "dump.json", "--json"])
            .args(more)
            .env_clear()
            .env("DATABASE_URL", &self.database_url)
            .current_dir(self.folder.path())
            .output()
            .expect("cargo has built the binary");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
        (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn counts(lines: &[Value]) -> &Value {
    &lines.last().expect("the sums")["counts"]
}

fn new_uuid(lines: &[Value], kind: &str, id: &str) -> String {
    let line = lines.iter().find(|line| line["kind"] == kind && line["id"] == id).expect("the row was told");
    line["new_uuid"].as_str().expect("it came in").to_owned()
}

fn ids(hooks: &Value) -> Vec<i64> {
    let hooks = hooks.as_array().unwrap_or_else(|| panic!("no list: {hooks}"));
    hooks.iter().map(|hook| hook["id"].as_i64().expect("a hook has an id")).collect()
}

fn what_was_owed_arrives_and_what_was_known_is_known(database: &Database) {
    let sink = Sink::start();
    let dump = Dump::new(database, &sink);
    let (code, first, error) = dump.import(&[]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let expected = json!({
        "users": [3, 0, 0, 0], "tokens": [3, 0, 0, 0], "subscriptions": [3, 0, 3, 0],
        "queue rows": [3, 0, 2, 0], "undelivered events": [1, 0, 0, 0],
    });
    assert_eq!(counts(&first), &expected);
    let (code, second, error) = dump.import(&[]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    let nothing_new = json!({
        "users": [0, 3, 0, 0], "tokens": [0, 3, 0, 0], "subscriptions": [0, 3, 3, 0],
        "queue rows": [0, 3, 2, 0], "undelivered events": [0, 1, 0, 0],
    });
    assert_eq!(counts(&second), &nothing_new);

    let engine = Engine::start(&database.url(), &[]);
    let arrived = sink.wait_for("/shop", 2, SOON);
    let waiting = arrived.iter().find(|request| id_in(&request.json()) == 1).expect("the queue row");
    assert_eq!(waiting.json()["payload"], json!({"id": 1, "city": "İstanbul"}));
    assert_eq!(waiting.json()["event"]["uuid"], new_uuid(&first, "waiting", "1"));
    assert_eq!(waiting.header("X-Api-Key"), Some("k"));
    assert!(waiting.header("X-Whisperer-Signature").is_some());
    let retried = arrived.iter().find(|request| id_in(&request.json()) == 21).expect("the undelivered event");
    assert_eq!(retried.json()["event"]["uuid"], new_uuid(&first, "retrying", "21"));
    assert_eq!(id_in(&sink.wait_for("/old", 1, SOON)[0].json()), 2);

    known(&engine);
    let told = engine.api().get_json("/api/v1/audit?action=import");
    let told: Vec<_> = told["items"].as_array().expect("a list").iter().map(|entry| &entry["after"]).collect();
    assert_eq!(told, [&nothing_new, &expected]);
    while_it_runs(&dump, &engine, &sink, &nothing_new);
}

/// Users, tokens, hooks and the history of what was owed.
fn known(engine: &Engine) {
    let api = engine.api();
    let (shop, ops) = (api.with_token(SHOP), api.with_token(OPS));
    let mine = shop.get_json("/whisperer/hooks/");
    assert_eq!(ids(&mine), [11]);
    assert_eq!(
        (&mine[0]["secret_key"], &mine[0]["created_date"]),
        (&"s3cret".into(), &"2025-05-04T10:00:00.250000Z".into())
    );
    assert_eq!(ids(&ops.get_json("/whisperer/hooks/?ordering=id")), [11, 12, 40]);
    let inactive = api.with_token(INACTIVE).get("/whisperer/hooks/").expect("the engine answers").expect(401);
    assert_eq!(inactive["detail"], "User inactive or deleted.");
    let settled = eventually("the fourth attempt to be recorded", SOON, || {
        let events = shop.get_json("/whisperer/hook_events/?ordering=retry_count");
        let last = events.as_array().and_then(|events| events.last().cloned()).unwrap_or_default();
        if last["delivered"] == true { Ok(last) } else { Err(events.to_string()) }
    });
    assert_eq!((&settled["retry_count"], &settled["created_date"]), (&4.into(), &"2026-11-17T09:00:01Z".into()));
    assert_eq!(api.deliveries("subscription=40&state=cancelled").len(), 1, "the hook is inactive");
    assert!(shop.subscribe("stock_location.updated", "http://127.0.0.1:9/", json!({})) > 40);
}

/// A running engine would not learn of new subscriptions.
fn while_it_runs(dump: &Dump, engine: &Engine, sink: &Sink, nothing_new: &Value) {
    let (code, lines, error) = dump.import(&[]);
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(error.contains("stop the engine first"), "{error}");
    let (code, lines, error) = dump.import(&["--anyway"]);
    assert_eq!((code, counts(&lines)), (Some(0), nothing_new), "{error}");
    let owed = |id| engine.api().owed(id);
    eventually("nothing to be owed", Duration::from_secs(10), || match owed(11) + owed(12) + owed(40) {
        0 => Ok(()),
        owed => Err(format!("{owed} owed")),
    });
    assert_eq!(sink.requests_in_all(), 3, "what was delivered is not delivered again");
}
