//! The fields of the form of a subscription as members of the API's body. What is no number stays a text, and nothing is checked
//! here: the API does that, and says it in its words.

use serde_json::{Map, Value, json};

use super::form::{Filled, Form};
use crate::domain::{retry::RetryPolicy, subscription::Subscription};

/// The numbers that each kind of retry policy has.
const KWARGS: [(&str, &[&str]); 4] = [
    ("exponential", &["base", "factor", "limit"]),
    ("linear", &["base", "limit"]),
    ("fixed", &["seconds"]),
    ("random", &["min_value", "max_value"]),
];

fn retry(text: impl Fn(&str) -> Option<Value>, choice: &str) -> Value {
    let (_, names) = KWARGS.into_iter().find(|(known, _)| *known == choice).unwrap_or(("", &[]));
    let kwargs: Map<String, Value> = names.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect();
    json!({ "choice": choice, "kwargs": kwargs })
}

/// What stands in a field of the present policy; `choice` is its kind.
pub(super) fn present_retry(policy: &RetryPolicy, name: &str) -> String {
    let told = serde_json::to_value(policy).expect("policies serialise");
    let value = if name == "choice" { &told["choice"] } else { &told["kwargs"][name] };
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// The policy that is filled in, or the present one; `None` when the numbers make none.
pub(super) fn policy(filled: &Filled, present: &RetryPolicy) -> Option<RetryPolicy> {
    let text = |name: &str| filled.value(name, &present_retry(present, name));
    let number = |name: &str| serde_json::from_str(text(name).trim()).ok();
    let choice = filled.value("retry", &present_retry(present, "choice"));
    let policy: RetryPolicy = serde_json::from_value(retry(number, &choice)).ok()?;
    policy.check().is_ok().then_some(policy)
}

/// All that the form says; null for what is empty. Of what is not shown, the headers' values and the password, what is empty is
/// left as it is.
pub(super) fn change(form: &Form, present: Option<&Subscription>) -> Map<String, Value> {
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    let text = |name| form.text(name).unwrap_or_default().into();
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    put("event_type", text("event_type"));
    put("endpoint", text("endpoint"));
    if present.is_some() {
        put("is_active", form.all("is_active").next().is_some().into());
    }
    put("retry", retry(|name| form.number(name), form.text("retry").unwrap_or_default()));
    put("timeout_seconds", or_null(form.number("timeout_seconds")));
    put("max_in_flight", or_null(form.number("max_in_flight")));
    put("ordering", text("ordering"));
    put("max_age_seconds", or_null(form.number("max_age_seconds")));
    put("rate", rate(form));
    if let Some(auth) = basic_auth(form, present) {
        put("basic_auth", auth);
    }
    if let Some(headers) = headers(form) {
        put("headers", headers);
    }
    members
}

fn rate(form: &Form) -> Value {
    match (form.number("rate"), form.number("burst")) {
        (None, None) => Value::Null,
        (per_second, None) => json!({ "per_second": per_second }),
        (per_second, burst) => json!({ "per_second": per_second, "burst": burst }),
    }
}

/// `None` when nothing changes.
fn basic_auth(form: &Form, present: Option<&Subscription>) -> Option<Value> {
    let present = present.and_then(|present| present.terms.config.basic_auth()).map(|auth| auth.username.as_str());
    match (form.raw("basic_auth"), form.raw("password")) {
        (None, None) => Some(Value::Null),
        (user, None) if user == present => None,
        (user, password) => Some(json!({ "username": user.unwrap_or_default(), "password": password })),
    }
}

/// `None` when nothing changes. A line without a colon is a name that cannot be sent.
fn headers(form: &Form) -> Option<Value> {
    let lines = form.text("headers").unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty());
    let parted = lines.map(|line| line.split_once(':').unwrap_or((line, "")));
    let headers: Map<String, Value> =
        parted.map(|(name, value)| (name.trim().to_owned(), value.trim().into())).collect();
    if headers.is_empty() && form.all("no_headers").next().is_none() { None } else { Some(Value::Object(headers)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_the_api_reads() {
        let form = Form::read(
            b"event_type=package.created&endpoint=https%3A%2F%2Fa.example%2F&retry=fixed&seconds=60&base=2&rate=five\
              &burst=&headers=X-Key%3A+1%3A2%0AX-Odd&basic_auth=u&password=p&max_in_flight=&timeout_seconds=2.5&ordering=key",
        );
        let members = Value::Object(change(&form, None));
        assert_eq!(members["retry"], json!({"choice": "fixed", "kwargs": {"seconds": 60}}));
        assert_eq!(members["rate"], json!({"per_second": "five"}), "to be refused in the API's words");
        assert_eq!(members["headers"], json!({"X-Key": "1:2", "X-Odd": ""}));
        assert_eq!(members["basic_auth"], json!({"username": "u", "password": "p"}));
        assert_eq!((&members["timeout_seconds"], &members["max_in_flight"]), (&json!(2.5), &json!(null)));
    }

    #[test]
    fn what_is_not_shown_stays_when_it_is_left_empty() {
        let members = change(&Form::read(b"headers=&basic_auth=&password="), None);
        assert!(!members.contains_key("headers"));
        assert_eq!(members["basic_auth"], Value::Null);
        assert_eq!(change(&Form::read(b"headers=&no_headers=true"), None)["headers"], json!({}));
    }

    #[test]
    fn the_policy_is_the_one_that_is_filled_in() {
        let present = RetryPolicy::default();
        assert_eq!(policy(&Filled::default(), &present), Some(present.clone()));
        let filled = Filled::with(Form::read(b"retry=fixed&seconds=5&base=&factor=&limit="));
        assert_eq!(policy(&filled, &present), Some(RetryPolicy::Fixed { seconds: 5 }));
        let filled = Filled::with(Form::read(b"retry=random&min_value=9&max_value=5"));
        assert_eq!(policy(&filled, &present), None);
    }
}
