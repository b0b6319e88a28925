//! Requests of every kind, right and wrong: each gets an answer in the contract's form, none is the engine's fault.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;

use crate::{
    client::Client,
    scene::start,
    support::database::{Database, on_both},
};

on_both! { no_request_is_too_odd_to_be_answered }

/// A few seconds' worth.
const REQUESTS: u32 = 300;

#[derive(Clone, Debug)]
struct Odd {
    method: &'static str,
    target: String,
    body: Vec<u8>,
}

fn any_request() -> impl Strategy<Value = Odd> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]);
    let id = prop::sample::select(vec!["1", "2", "a", "-0", "1.5", "%00", "%ff", "%2F", "99999999999999999999"]);
    let path = prop::sample::select(vec![
        "hooks/",
        "hooks/ID/",
        "hooks",
        "hook_events/",
        "hook_events/ID/retry/",
        "event_queues/",
    ]);
    let name = prop::sample::select(vec![
        "ordering",
        "page",
        "is_active",
        "uuid",
        "webhook",
        "content_type",
        "created_date",
        "created_date__lt",
        "response_http_status",
        "target_url",
        "event_type",
        "object_id",
        "%00",
    ]);
    let value = prop::sample::select(vec![
        "",
        "%00",
        "%ff",
        "%F0%9F%98%80",
        "1",
        "-id,user",
        "uuid,-response_content,request_datetimes",
        "-webhook,delivered,modified_date",
        "999999999999999999999999999999",
        "0001-01-01T00:00:00%2B23:59",
        "9999-12-31T23:59:59-23:59",
        "NaN",
        "-1e50",
        "%25_*",
        "last",
    ]);
    let query = vec((name, value).prop_map(|(name, value)| format!("{name}={value}")), 0..4);
    let target = (path, id, query)
        .prop_map(|(path, id, query)| format!("/whisperer/{}?{}", path.replace("ID", id), query.join("&")));
    (method, target, any_body()).prop_map(|(method, target, body)| Odd { method, target, body })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop::sample::select(vec![
        "retry_countdown_config",
        "target_url",
        "is_active",
        "secret_key",
        "event_type",
        "callback",
        "additional_headers",
        "config",
        "force",
    ]);
    let value = prop::sample::select(vec![
        "null",
        "true",
        "1e400",
        "-0.0",
        r#""""#,
        r#""\u0000""#,
        r#""\ud800""#,
        r#""😀""#,
        "[]",
        r#"{"a":{"b":[1.5]}}"#,
        r#""package.created""#,
        r#""http://127.0.0.1:9/😀|%00""#,
        r#""http://[::1""#,
        r#""http://é:😀@127.0.0.1/""#,
        "123456789012345678901234567890",
        r#"{"choice":"random","kwargs":{"min_value":0,"max_value":2592000}}"#,
        r#"{"auth":{"auth_type":"basic","username":"é"},"timeout":1e-300}"#,
        r#"{"X-A":"\r"}"#,
    ]);
    let fields = vec((field, value).prop_map(|(field, value)| format!("\"{field}\":{value}")), 0..8);
    prop_oneof![
        5 => fields.prop_map(|fields| format!("{{{}}}", fields.join(",")).into_bytes()),
        2 => (0..30_u8).prop_map(|number| {
            format!(r#"{{"event_type":"package.created","target_url":"http://127.0.0.1:9/{number}"}}"#).into_bytes()
        }),
        1 => vec(any::<u8>(), 0..30),
    ]
}

async fn no_request_is_too_odd_to_be_answered(database: Database) {
    let (_engine, admin) = start(&database, &[]);
    let config = Config { cases: REQUESTS, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&any_request(), |odd| check(&admin, &odd)).expect("every answer is the contract's");
}

fn check(admin: &Client, odd: &Odd) -> Result<(), TestCaseError> {
    let json = ("Content-Type".to_owned(), "application/json".to_owned());
    // A body that nobody reads keeps the connection open for a second: the engine waits whether more comes.
    let body: &[u8] = if matches!(odd.method, "POST" | "PUT" | "PATCH") { &odd.body } else { &[] };
    let reply = admin.ask(odd.method, &odd.target, &[json], body);
    prop_assert!(reply.status < 500, "{}", reply.body);
    let has_no_body = matches!(reply.status, 204 | 301) || odd.method == "OPTIONS";
    let is_json = serde_json::from_str::<Value>(&reply.body).is_ok_and(|body| body.is_object() || body.is_array());
    prop_assert!(is_json || has_no_body, "{reply:?}");
    Ok(())
}
