//! What is put on the wire: a hook and an event, the requests that arrive, and what `hook_events` says of them.
//!
//! Compared are the number of requests, their request lines, their bodies byte for byte, and of the headers those of the
//! contract and those that the hook names, also that one is absent. Others may be sent.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    compare::{Difference, Keys, differences, fewest},
    section::{By, Deliver},
    stage::Stage,
};
use crate::support::{eventually::eventually, sink::Request};

/// Longer than an attempt may take.
const DEADLINE: Duration = Duration::from_secs(20);
const EVENT_TYPE: &str = "stock_location.created";
/// Compared always; absent when the case does not tell them.
const OF_THE_CONTRACT: &[&str] = &["content-type", "x-whisperer-event", "x-whisperer-signature", "authorization"];
/// A receiver can take them in any form.
const FREE: &[&str] = &["connection", "content-length"];
/// Stands for a signature that is valid for the bytes that arrived.
const VALID: &str = "<valid signature>";

impl Stage {
    pub(super) fn deliver(&mut self, deliver: &Deliver) {
        self.sink.forget();
        self.sink.otherwise(deliver.answer.behaviour());
        let mut hook = json!({
            "event_type": EVENT_TYPE,
            "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}},
        });
        let fields = self.variables.json(&Value::Object(deliver.hook.clone()));
        if let (Value::Object(hook), Value::Object(fields)) = (&mut hook, fields) {
            hook.extend(fields);
        }
        let payload = deliver.payload.as_ref().map_or(r#"{"id": 1, "city": "x"}"#, |payload| payload.get());
        let seen = self.seen(&hook, payload);
        let found = fewest(&deliver.expect, &deliver.or, |expected| self.differences(expected, &seen, payload));
        self.notes.played(&deliver.case, &hook.to_string(), &found);
    }

    /// The same form as the expectation: what the hook was refused with, or the requests and the record of them.
    fn seen(&self, hook: &Value, payload: &str) -> Value {
        let alice = self.client(By::Alice);
        let made = alice.post("/whisperer/hooks/", hook);
        if made.status != 201 {
            let body: Value = serde_json::from_str(&made.body).unwrap_or_default();
            return json!({"rejected": {"status": made.status, "body": body}});
        }
        self.accept(EVENT_TYPE, payload);
        let id = &made.json()["id"];
        let record = eventually("the first attempt to end", DEADLINE, || {
            let list = alice.get(&format!("/whisperer/hook_events/?webhook={id}"));
            list.get(0).cloned().ok_or("no attempt yet")
        });
        let requests: Vec<Value> = self.sink.all_requests().iter().map(|request| shown(request, hook)).collect();
        assert_eq!(alice.send("DELETE", &format!("/whisperer/hooks/{id}/"), None, "").status, 204);
        json!({"requests": requests, "hook_event": record})
    }

    fn differences(&self, expected: &Value, seen: &Value, payload: &str) -> Vec<Difference> {
        let mut expected = self.variables.json(expected);
        let uuid = seen["hook_event"]["uuid"].as_str().unwrap_or_default().replace('-', "");
        for request in expected["requests"].as_array_mut().into_iter().flatten() {
            // The payload goes out as it was published; the uuid is the one on record.
            let event = format!(r#"{{"event": {{"type": "{EVENT_TYPE}", "uuid": "{uuid}"}}, "payload": {payload}}}"#);
            request["body"] = event.into();
        }
        let mut seen = seen.clone();
        forget_headers_that_are_free(&expected, &mut seen);
        let mut found = Vec::new();
        for part in ["rejected", "requests", "hook_event"] {
            let keys = if part == "hook_event" { Keys::Told } else { Keys::All };
            found.extend(
                differences(&expected[part], &seen[part], keys)
                    .into_iter()
                    .map(|difference| Difference { at: difference.at.replacen("body", part, 1), ..difference }),
            );
        }
        found
    }
}

/// A request as the expectation tells it.
fn shown(request: &Request, hook: &Value) -> Value {
    let secret = hook["secret_key"].as_str().unwrap_or_default();
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        let is_valid = name == "x-whisperer-signature" && *value == signature(secret, &request.body);
        let value = if is_valid { VALID } else { value };
        // Twice is another than once.
        let before = headers.get(&name).and_then(Value::as_str).map(|before| format!("{before} and {value}"));
        headers.insert(name, before.unwrap_or_else(|| value.to_owned()).into());
    }
    let named = hook["additional_headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_ascii_lowercase());
    let named: BTreeSet<String> = named.collect();
    json!({
        "line": request.line,
        "headers": headers,
        "named": named,
        "body": String::from_utf8_lossy(&request.body),
    })
}

fn signature(secret: &str, body: &[u8]) -> String {
    use std::fmt::Write;
    let digest = hmac_sha256::HMAC::mac(body, secret.as_bytes());
    digest.iter().fold("sha256=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

/// Leaves of the headers that arrived those which count: the contract's, the hook's and those that are expected.
fn forget_headers_that_are_free(expected: &Value, seen: &mut Value) {
    for (index, request) in seen["requests"].as_array_mut().into_iter().flatten().enumerate() {
        let named: Vec<Value> = request["named"].as_array().cloned().unwrap_or_default();
        let expected = expected["requests"][index]["headers"].as_object();
        let Value::Object(request) = request else { continue };
        request.remove("named");
        let Some(Value::Object(headers)) = request.get_mut("headers") else { continue };
        headers.retain(|name, _| {
            let counts = OF_THE_CONTRACT.contains(&name.as_str())
                || named.contains(&name.as_str().into())
                || expected.is_some_and(|expected| expected.contains_key(name));
            counts && !FREE.contains(&name.as_str())
        });
    }
}
