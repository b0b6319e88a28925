//! The document of the API held against what the engine really answers: it is valid OpenAPI 3.1, and whatever is asked of it,
//! reasonable or not, no answer is a 5xx and none is outside of the document.
//!
//! The asking is done by Schemathesis (`schemathesis.toml` says how), the judging of the document by openapi-spec-validator; both are Python, and
//! `scripts/prepare tests` installs them beside the build. A step of its own in `make test`, because it takes a minute.

#![allow(clippy::disallowed_methods, reason = "real time, real programs")]

#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use support::{
    api::Api,
    database::{Database, on_both},
    engine::Engine,
    eventually::eventually,
    python::{python, run},
    sink::Sink,
};

on_both! { blocking: no_answer_is_a_5xx_or_outside_of_the_document }

/// The token of whoever asks, an admin.
const ASKER: &str = "token-of-whoever-asks";
/// Paths of users and their tokens.
const USERS: &str = "^/api/v1/users";

fn no_answer_is_a_5xx_or_outside_of_the_document(database: &Database) {
    let (sink, engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let api = engine.api();
    let folder = tempfile::tempdir().expect("there is a temp folder");
    let path = folder.path().join("openapi.json");
    let mut document = api.get_json("/api/openapi.json");
    write(&path, &document);
    run(python("openapi-spec-validator").arg(&path));

    populate(&api, &sink);
    name_what_there_is(&mut document, &api);
    write(&path, &document);
    // Users and tokens come last: among what is asked there is the end of whoever asks.
    ask(&engine, &path, folder.path(), ["--exclude-path-regex", USERS]);
    let asked = api.with_token(ASKER).get("/api/v1/users").expect("the engine lives");
    assert_eq!(asked.status, 200, "the token was good to the end, or all else was answered with 401");
    ask(&engine, &path, folder.path(), ["--include-path-regex", USERS]);
    assert_eq!(api.get("/readyz").expect("the engine lives").status, 200);
}

/// Asks about the paths that `which` leaves, and holds the answers against the document.
#[track_caller]
fn ask(engine: &Engine, document: &Path, folder: &Path, which: [&str; 2]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("fuzz");
    run(python("st")
        .current_dir(folder)
        .env("POSTRIDER_FUZZ_HOOKS", here.join("hooks.py"))
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .arg("run")
        .arg(document)
        .args(["--url", engine.base(), "--header", &format!("Authorization: Token {ASKER}")])
        .args(which)
        .args(["--no-color", "--warnings", "off"]));
}

/// Something to ask about: subscriptions at work, paused and failing, deliveries in several states, a replay.
fn populate(api: &Api, sink: &Sink) {
    sink.script("/fails", [500]);
    for path in ["/in", "/fails", "/paused"] {
        api.subscribe("package.created", &sink.url(path), json!({"secret_key": "s3cret"}));
    }
    api.pause(3, &json!({}));
    // Whoever asks is far from the users and tokens with low ids, which are changed and revoked on the way.
    for number in 0..20 {
        api.post_json("/api/v1/users", &json!({ "name": format!("user-{number}") }), 201);
    }
    api.post_json("/api/v1/users", &json!({ "name": "asker", "role": "admin", "token": ASKER }), 201);
    for id in 0..30 {
        api.publish("package.created", &json!({ "id": id }));
    }
    eventually("deliveries to arrive", Duration::from_secs(20), || match api.deliveries("state=delivered").len() {
        30 => Ok(()),
        other => Err(format!("{other} delivered")),
    });
    api.post_json("/api/v1/replays", &json!({"subscription": 1, "states": ["delivered"], "per_second": 1}), 201);
}

/// Ids that there are beside those that are made up: an operation on nothing answers 404 and shows little.
fn name_what_there_is(document: &mut Value, api: &Api) {
    let deliveries: Vec<Value> = api.deliveries("").iter().map(|delivery| delivery["id"].clone()).take(40).collect();
    let events: Vec<Value> =
        api.deliveries("").iter().map(|delivery| delivery["event"]["id"].clone()).take(40).collect();
    let types = vec![json!("package.created"), json!("parcel.weighed")];
    let few = vec![json!(1), json!(2), json!(3)];
    for (path, item) in document["paths"].as_object_mut().expect("paths") {
        let known = match path.split('/').nth(3) {
            Some("deliveries") => &deliveries,
            Some("events") => &events,
            Some("event-types") => &types,
            Some(_) | None => &few,
        };
        let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
        let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut());
        for parameter in parameters.flatten() {
            if parameter["in"] == "path" {
                let schema = parameter["schema"].take();
                parameter["schema"] = json!({"anyOf": [{"enum": known}, schema]});
            }
        }
    }
}

fn write(path: &Path, document: &Value) {
    fs::write(path, document.to_string()).expect("the folder is ours");
}
