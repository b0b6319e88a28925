use serde_json::json;

use super::*;
use crate::domain::{
    retry::Limit,
    secret::Secret,
    subscription::{Flow, Terms},
};

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn created(more: &Value) -> Terms {
    let mut all = members(&json!({"event_type": "package.created", "endpoint": "https://a.example/in"}));
    all.extend(members(more));
    Reading::of(&all).edits().expect("valid").to_new_terms().expect("both are there")
}

fn faults(value: &Value) -> Vec<String> {
    let problem = Reading::of(&members(value)).edits().expect_err("something is wrong");
    let errors = problem.body()["errors"].as_array().expect("a list").clone();
    errors.iter().map(|error| error["field"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn all_that_can_be_written_is_written() {
    let terms = created(&json!({
        "is_active": false,
        "secret": "s3cret",
        "retry": {"choice": "exponential", "kwargs": {"base": 3, "limit": 60}},
        "timeout_seconds": 2.5,
        "basic_auth": {"username": "u", "password": "p"},
        "headers": {"X-A": "1", "User-Agent": null},
        "max_in_flight": 5,
        "ordering": "key",
        "rate": {"per_second": 9},
        "max_age_seconds": 3600,
    }));
    assert_eq!((terms.is_active, terms.secret.as_ref().map(Secret::reveal)), (false, Some("s3cret")));
    assert_eq!(terms.retry, RetryPolicy::Exponential { base: 3, factor: 1, limit: Limit::Seconds(60) });
    assert_eq!(terms.config.timeout(), Duration::from_millis(2_500));
    assert_eq!(terms.config.basic_auth().map(|auth| auth.username.as_str()), Some("u"));
    assert_eq!(terms.additional_headers.iter().collect::<Vec<_>>(), [("X-A", Some("1")), ("User-Agent", None)]);
    let rate = Some(Rate { per_second: 9, burst: 9 });
    let max_age = Some(Duration::from_hours(1));
    assert_eq!(terms.flow, Flow { max_in_flight: 5, ordering: Ordering::Key, rate, max_age });
}

#[test]
fn what_is_left_out_stays_and_null_takes_away() {
    let terms = created(&json!({"secret": "a", "rate": {"per_second": 1}, "max_age_seconds": 5, "timeout_seconds": 5}));
    let changed = |value: &Value| Reading::of(&members(value)).edits().expect("valid").apply(&terms);
    assert_eq!(changed(&json!({})), terms);
    let cleared = changed(&json!({"secret": null, "rate": null, "max_age_seconds": null, "timeout_seconds": null}));
    assert_eq!(cleared, created(&json!({})));
}

#[test]
fn every_field_that_is_wrong_is_named() {
    let wrong =
        json!({"is_active": "yes", "endpoint": "ftp://a.example", "secre": "x", "event_type": null, "retry": 5});
    assert_eq!(faults(&wrong), ["event_type", "endpoint", "is_active", "retry", "secre"]);
    let mut nothing = Reading::of(&Map::new());
    nothing.demand(&Map::new());
    assert_eq!(nothing.edits().expect_err("two are missing").body()["errors"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (field, value) in [
        ("event_type", json!("package exploded")),
        ("endpoint", json!("https://user:word@a.example/")),
        ("endpoint", json!(format!("https://a.example/{}", "x".repeat(255)))),
        ("secret", json!("")),
        ("secret", json!("x".repeat(125))),
        ("retry", json!({"choice": "fixed", "kwargs": {}})),
        ("retry", json!({"choice": "fixed", "kwargs": {"seconds": 5, "secs": 5}})),
        ("retry", json!({"choice": "fixed", "kwargs": {"seconds": 2_592_001}})),
        ("retry", json!({"choice": "random", "kwargs": {"min_value": 5, "max_value": 5}})),
        ("retry", json!({"choice": "exponential", "kwargs": {"base": 2, "factor": 0}})),
        ("timeout_seconds", json!(0.5)),
        ("timeout_seconds", json!(61)),
        ("basic_auth", json!({"username": "u"})),
        ("basic_auth", json!({"username": "a:b", "password": "p"})),
        ("headers", json!({"X A": "1"})),
        ("headers", json!({"X-A": 1})),
        ("max_in_flight", json!(0)),
        ("max_in_flight", json!(1_001)),
        ("max_in_flight", json!(65_537)),
        ("ordering", json!("package")),
        ("rate", json!({"per_second": 0})),
        ("rate", json!({"per_second": 5, "burst": 0})),
        ("rate", json!({"per_second": 100_001})),
        ("rate", json!({"per_second": 1, "per_minute": 1})),
        ("rate", json!(5)),
        ("max_age_seconds", json!(0)),
        ("max_age_seconds", json!(400_000_000)),
        ("max_age_seconds", json!("1")),
    ] {
        let mut one = Map::new();
        one.insert(field.to_owned(), value);
        assert_eq!(faults(&Value::Object(one.clone())), [field], "{one:?}");
    }
}
