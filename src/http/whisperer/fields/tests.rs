use proptest::prelude::*;

use super::*;
use crate::domain::{retry::RetryPolicy, secret::Secret, subscription::Terms};

const URL: &str = r#""target_url":"http://a.example/""#;
const TYPE: &str = r#""event_type":"package.created""#;

fn reading(body: &str, purpose: Purpose) -> Reading {
    read(&Json::parse(body.as_bytes()).expect(body), purpose)
}

fn created(fields: &str) -> Result<Terms, String> {
    let edits = reading(&format!("{{{URL},{TYPE}{fields}}}"), Purpose::Create).edits();
    edits.map(|edits| edits.to_new_terms().expect("what is required is there")).map_err(|faults| json(&faults))
}

fn faults(body: &str, purpose: Purpose) -> String {
    json(&reading(body, purpose).edits().expect_err(body))
}

fn json(faults: &Faults) -> String {
    serde_json::to_string(faults).expect("faults serialise")
}

#[test]
fn a_new_hook_needs_a_url_and_an_event_type() {
    let terms = created("").expect("valid");
    assert_eq!(terms.retry, RetryPolicy::default());
    assert!(terms.is_active);
    assert_eq!((terms.secret, terms.callback), (None, None));
    assert_eq!(
        faults("{}", Purpose::Create),
        format!(r#"{{"target_url":["{REQUIRED}"],"event_type":["{REQUIRED}"]}}"#)
    );
}

#[test]
fn a_url_may_carry_what_basic_auth_can() {
    let with = |user: &str| reading(&format!(r#"{{"target_url":"http://{user}@a.example/"}}"#), Purpose::Patch).edits();
    for user in ["u:p", "é:%C3%A9", "a%3Ab:c:d", "u"] {
        assert!(with(user).is_ok(), "{user}");
    }
    for user in ["ş:p", "u:%C5%9F", "u:😀"] {
        let told = with(user).map_err(|faults| json(&faults));
        assert_eq!(told, Err(r#"{"target_url":["The user and the password in the URL must be Latin-1."]}"#.to_owned()));
    }
}

#[test]
fn put_demands_three_fields_and_patch_none() {
    assert_eq!(
        faults("{}", Purpose::Replace),
        format!(
            r#"{{"retry_countdown_config":["{REQUIRED}"],"target_url":["{REQUIRED}"],"event_type":["{REQUIRED}"]}}"#
        )
    );
    assert_eq!(reading("{}", Purpose::Patch).edits(), Ok(Edits::default()));
    assert_eq!(
        faults(r#"{"retry_countdown_config":{"choice":"fixed"}}"#, Purpose::Patch),
        format!(r#"{{"retry_countdown_config":{{"kwargs":["{REQUIRED}"]}}}}"#)
    );
}

#[test]
fn a_change_leaves_the_rest_alone() {
    let terms = created(r#","secret_key":"k","config":{"b":1,"a":2}"#).expect("valid");
    let edits = reading(r#"{"secret_key":null,"is_active":"no"}"#, Purpose::Patch).edits().expect("valid");
    let changed = edits.apply(&terms);
    assert_eq!(changed, Terms { secret: None, is_active: false, ..terms });
}

#[test]
fn what_is_no_object_is_refused_as_a_whole() {
    for (body, sentence) in [
        ("null", "No data provided"),
        ("[]", "Invalid data. Expected a dictionary, but got list."),
        ("\"x\"", "Invalid data. Expected a dictionary, but got str."),
        ("5", "Invalid data. Expected a dictionary, but got int."),
        ("0.5", "Invalid data. Expected a dictionary, but got float."),
        ("true", "Invalid data. Expected a dictionary, but got bool."),
    ] {
        for purpose in [Purpose::Create, Purpose::Replace, Purpose::Patch] {
            assert_eq!(faults(body, purpose), format!(r#"{{"non_field_errors":["{sentence}"]}}"#));
        }
    }
}

#[test]
fn every_fault_is_told_at_once_in_the_order_of_the_representation() {
    let body = r#"{"config":[],"additional_headers":1,"callback":[],"event_type":"x","secret_key":{},
        "is_active":"maybe","target_url":"foo","retry_countdown_config":null}"#;
    assert_eq!(
        faults(body, Purpose::Create),
        concat!(
            r#"{"retry_countdown_config":["This field may not be null."],"#,
            r#""target_url":["Enter a valid URL."],"#,
            r#""is_active":["Must be a valid boolean."],"#,
            r#""secret_key":["Not a valid string."],"#,
            r#""event_type":["\"x\" is not a valid choice."],"#,
            r#""callback":["Not a valid string."],"#,
            r#""additional_headers":["Expected a dictionary of items but got type \"int\"."],"#,
            r#""config":["Expected a dictionary of items but got type \"list\"."]}"#,
        )
    );
}

#[test]
fn a_refused_address_takes_its_place_among_the_faults() {
    let mut reading =
        reading(&format!(r#"{{{URL},{TYPE},"is_active":2,"retry_countdown_config":[]}}"#), Purpose::Create);
    assert_eq!(reading.target_url(), Some("http://a.example/"));
    reading.refuse_target_url("Not there.");
    let told = json(&reading.edits().expect_err("refused"));
    let places: Vec<_> = ["retry_countdown_config", "target_url", "is_active"].iter().map(|f| told.find(f)).collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{told}");
    assert!(told.contains(r#""target_url":["Not there."]"#));
}

#[test]
fn null_and_empty_mean_what_the_contract_says() {
    let terms = created(r#","secret_key":"","callback":"","additional_headers":null,"config":null"#).expect("valid");
    assert_eq!(terms.secret.as_ref().map(Secret::reveal), Some(""));
    assert_eq!(terms.signing_secret(), None);
    assert_eq!(terms.callback.as_deref(), Some(""));
    assert_eq!(terms.additional_headers, AdditionalHeaders::default());
    assert_eq!(terms.config, Config::default());
    assert_eq!(created(r#","is_active":null"#), Err(format!(r#"{{"is_active":["{NULL}"]}}"#)));
}

#[test]
fn read_only_and_unknown_fields_are_ignored() {
    let plain = created("").expect("valid");
    let odd = r#","id":1,"created_date":"x","modified_date":[],"user":1,"\ud800":1,"bogus":{"a":[1e400]}"#;
    assert_eq!(created(odd), Ok(plain));
}

#[test]
fn lengths_count_characters() {
    for (field, most) in [("secret_key", 124), ("callback", 64)] {
        assert!(created(&format!(r#","{field}":"{}""#, "ğ".repeat(most))).is_ok());
        assert_eq!(
            created(&format!(r#","{field}":"{}""#, "ğ".repeat(most + 1))),
            Err(format!(r#"{{"{field}":["Ensure this field has no more than {most} characters."]}}"#))
        );
    }
    let url = |length: usize| format!("{{\"target_url\":\"http://a.example/{}\"}}", "x".repeat(length - 17));
    assert!(reading(&url(255), Purpose::Patch).edits().is_ok());
    assert!(faults(&url(256), Purpose::Patch).contains("no more than 255 characters"));
}

/// Bodies that look like hooks, with any value anywhere.
fn any_body() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1e999".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""http://[::1]:99/\u0000""#.to_owned()),
        Just(r#""fixed""#.to_owned()),
        any::<f64>().prop_filter("JSON has no NaN", |number| number.is_finite()).prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    let name = prop_oneof![
        Just("retry_countdown_config"),
        Just("target_url"),
        Just("is_active"),
        Just("secret_key"),
        Just("event_type"),
        Just("callback"),
        Just("additional_headers"),
        Just("config"),
        Just("choice"),
        Just("kwargs"),
        Just("seconds"),
        Just("auth"),
        Just("timeout"),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        let entry = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(entry, 0..8).prop_map(|entries| format!("{{{}}}", entries.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn every_body_is_either_terms_or_faults(body in any_body()) {
        let json = Json::parse(body.as_bytes()).expect("the bodies are JSON");
        for purpose in [Purpose::Create, Purpose::Replace, Purpose::Patch] {
            match read(&json, purpose).edits() {
                Ok(edits) => {
                    let new = edits.to_new_terms();
                    prop_assert!(purpose == Purpose::Patch || new.is_some());
                    if let Some(terms) = new {
                        prop_assert!(terms.endpoint().is_ok());
                        serde_json::to_string(terms.config.raw()).expect("what is stored serialises");
                    }
                }
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
