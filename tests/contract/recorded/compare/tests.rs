//! A comparison that finds nothing proves nothing: each rule is shown failing.

use serde_json::{Value, json};

use super::{Expected, Keys, Match, differences, differences_of_answer, fewest};
use crate::client::Reply;

/// The places at which they differ.
fn places(wanted: &Value, got: &Value) -> Vec<String> {
    differences(wanted, got, Keys::All).into_iter().map(|difference| difference.at).collect()
}

#[test]
fn every_difference_of_a_body_is_found_at_its_place() {
    let wanted = json!({"a": 1, "b": [{"c": "x"}, null], "d": true, "e": 1});
    assert_eq!(places(&wanted, &wanted), [""; 0]);
    // Another value, a key less, a key more, a number written otherwise.
    let got = json!({"a": 2, "b": [{}, null], "d": true, "e": 1.0, "f": null});
    assert_eq!(places(&wanted, &got), ["body.a", "body.b[0].c", "body.e", "body.f"]);
    // Kinds that only look alike, another order, a list of another length.
    for (wanted, got) in [
        (json!(1), json!("1")),
        (json!(0), json!(false)),
        (json!(null), json!("")),
        (json!({}), json!([])),
        (json!([1]), json!([1, 1])),
        (json!([]), json!([null])),
        (json!("x"), json!("x ")),
    ] {
        assert_eq!(places(&wanted, &got), ["body"], "{wanted} {got}");
    }
    assert_eq!(places(&json!([1, 2]), &json!([2, 1])), ["body[0]", "body[1]"]);
    // Only where it is said may there be more, and then what is told still counts.
    assert!(differences(&json!({"a": 1}), &json!({"a": 1, "b": 2}), Keys::Told).is_empty());
    assert_eq!(differences(&json!([{"a": 1}]), &json!([{"a": 2, "b": 2}]), Keys::Told).len(), 1);
}

#[test]
fn a_placeholder_stands_for_its_kind_and_no_other() {
    let now = "2026-11-23T23:23:00.356102Z";
    let uuid = "da81e851-3982-4c61-87dd-1e58a7d3f971";
    let samples = [
        ("<int>", vec![json!(5), json!(-1)], vec![json!(5.0), json!("5"), json!(null), json!(true)]),
        ("<uuid>", vec![json!(uuid)], vec![json!(uuid.replace('-', "")), json!("x"), json!(5)]),
        (
            "<datetime>",
            vec![json!(now), json!("2026-11-23T23:23:00Z")],
            vec![
                json!("2026-11-23 23:23:00Z"),
                json!("2026-11-23T23:23:00+00:00"),
                json!("2026-11-23T23:23:00.3561021Z"),
            ],
        ),
        (
            "<duration>",
            vec![json!("00:00:00.012345"), json!("1 02:03:04"), json!("00:00:10")],
            vec![json!("0.012345"), json!("00:00"), json!("00:00:1"), json!("x 00:00:00"), json!("00:00:00.")],
        ),
        ("<seconds-str>", vec![json!("0.012345")], vec![json!(0.012), json!("1"), json!("00:00:01.5"), json!(".5")]),
        ("<error text>", vec![json!("timed out")], vec![json!("b'OK'"), json!("b\"it's\""), json!(" "), json!(null)]),
        ("<list of 2>", vec![json!([1, "x"])], vec![json!([]), json!([1]), json!("list of 2")]),
        ("<datetime x 1>", vec![json!([now])], vec![json!([]), json!(now), json!([1]), json!([now, now])]),
        ("<any>", vec![json!(null), json!([1])], vec![]),
        (
            "JSON parse error - Expecting value: line 1",
            vec![json!("JSON parse error - other words")],
            vec![json!("Expecting value: line 1"), json!(null)],
        ),
        ("<unknown>", vec![json!("<unknown>")], vec![json!("x"), json!(1)]),
    ];
    for (wanted, fitting, others) in samples {
        for got in fitting {
            assert_eq!(places(&json!(wanted), &got), [""; 0], "{wanted} {got}");
        }
        for got in others {
            assert_eq!(places(&json!([wanted]), &json!([got])), ["body[0]"], "{wanted} {got}");
        }
    }
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    Reply::new(status, headers, body)
}

fn expected(json: Value) -> Expected {
    serde_json::from_value(json).expect("of this form")
}

fn places_of_answer(wanted: &Expected, got: &Reply, matching: Match) -> Vec<String> {
    differences_of_answer(wanted, got, matching, Keys::All).into_iter().map(|difference| difference.at).collect()
}

#[test]
fn status_and_headers_count() {
    let wanted = expected(
        json!({"status": 200, "body": {}, "headers": {"Content-Type": "application/json", "Allow": "GET, PUT"}}),
    );
    let same = [("content-type", "Application/JSON; charset=utf-8"), ("allow", "PUT,GET"), ("vary", "Accept")];
    assert_eq!(places_of_answer(&wanted, &reply(200, &same, "{}"), Match::Exact), [""; 0]);
    let other = [("content-type", "text/html"), ("allow", "GET"), ("location", "/"), ("www-authenticate", "Token")];
    let all = ["status", "Content-Type", "WWW-Authenticate", "Allow", "Location", "body.x"];
    let got = reply(201, &other, r#"{"x":1}"#);
    assert_eq!(places_of_answer(&wanted, &got, Match::Exact), all);
    assert_eq!(places_of_answer(&wanted, &got, Match::Keys), ["status", "Content-Type", "body's keys"]);
    assert_eq!(places_of_answer(&wanted, &got, Match::Allow), ["status", "Allow"]);
    assert_eq!(places_of_answer(&wanted, &got, Match::Status), ["status"]);
    // A body that is no JSON, and one where none should be.
    assert_eq!(places_of_answer(&wanted, &reply(200, &same, ""), Match::Exact), ["body"]);
    let nothing = expected(json!({"status": 204}));
    assert_eq!(places_of_answer(&nothing, &reply(204, &same[..1], ""), Match::Exact), [""; 0]);
    assert_eq!(places_of_answer(&nothing, &reply(204, &[], "{}"), Match::Exact), ["body"]);
    // Of a redirect the place counts, not what it says.
    let moved = expected(json!({"status": 301, "headers": {"Location": "/a/"}}));
    assert_eq!(places_of_answer(&moved, &reply(301, &[("location", "/b/")], "{}"), Match::Exact), ["Location"]);
}

#[test]
fn a_list_without_order_has_to_have_the_same_items() {
    let wanted = expected(json!({"status": 200, "body": [{"a": "<any>", "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 2}]}));
    let places = |body: &str| places_of_answer(&wanted, &reply(200, &[], body), Match::Unordered);
    assert_eq!(places(r#"[{"a":2,"b":2},{"a":2,"b":2},{"a":3,"b":1}]"#), [""; 0]);
    // One of the twins is missing, and something else is there instead.
    assert_eq!(places(r#"[{"a":2,"b":2},{"a":3,"b":1},{"a":3,"b":1}]"#), ["body", "body"]);
    assert_eq!(places(r#"[{"a":2,"b":2},{"a":2,"b":2},{"a":3,"b":1},{"a":2,"b":2}]"#), ["body"]);
    assert_eq!(places("{}"), ["body"]);
    let in_order = r#"[{"a":2,"b":2},{"a":2,"b":2},{"a":3,"b":1}]"#;
    assert_ne!(places_of_answer(&wanted, &reply(200, &[], in_order), Match::Exact), [""; 0]);
}

#[test]
fn another_answer_will_do_only_when_it_fits_as_a_whole() {
    let (first, second) = (json!({"a": 1}), json!({"b": 1}));
    let found =
        |got: Value| fewest(&first, std::slice::from_ref(&second), |wanted| differences(wanted, &got, Keys::All)).len();
    assert_eq!(found(json!({"a": 1})), 0);
    assert_eq!(found(json!({"b": 1})), 0);
    assert_eq!(found(json!({"a": 2})), 1);
    assert_eq!(found(json!({"b": 2})), 2);
}
