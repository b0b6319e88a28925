//! JSON held against JSON, place by place.

use std::fmt::Display;

use serde_json::Value;

use super::placeholder;

/// One thing that is not as it was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The place: `body[0].webhook.id`.
    pub(crate) at: String,
    pub(crate) wanted: String,
    pub(crate) got: String,
}

impl Difference {
    pub(crate) fn new(at: &str, wanted: &dyn Display, got: &dyn Display) -> Self {
        Self { at: at.to_owned(), wanted: wanted.to_string(), got: got.to_string() }
    }
}

/// Which keys of an object are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// All: one more is a difference.
    All,
    /// Those that are told.
    Told,
}

const NOT_THERE: &str = "(not there)";

/// What differs; texts of `wanted` may be placeholders.
pub(crate) fn differences(wanted: &Value, got: &Value, keys: Keys) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("body", wanted, got, keys, &mut found);
    found
}

/// The same for lists without an order: each wanted item takes one that fits it.
pub(super) fn differences_in_any_order(wanted: &Value, got: &Value, keys: Keys) -> Vec<Difference> {
    let (Value::Array(wanted), Value::Array(got)) = (wanted, got) else { return differences(wanted, got, keys) };
    let mut left: Vec<&Value> = got.iter().collect();
    let mut found = Vec::new();
    for item in wanted {
        match left.iter().position(|got| differences(item, got, keys).is_empty()) {
            Some(at) => drop(left.remove(at)),
            None => found.push(Difference::new("body", item, &NOT_THERE)),
        }
    }
    found.extend(left.into_iter().map(|item| Difference::new("body", &NOT_THERE, item)));
    found
}

fn compare(at: &str, wanted: &Value, got: &Value, keys: Keys, found: &mut Vec<Difference>) {
    match (wanted, got) {
        (Value::String(text), _) if placeholder::fits(text, got) => {}
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                let at = format!("{at}.{key}");
                match got.get(key) {
                    Some(got) => compare(&at, value, got, keys, found),
                    None => found.push(Difference::new(&at, value, &NOT_THERE)),
                }
            }
            for (key, value) in got.iter().filter(|(key, _)| keys == Keys::All && !wanted.contains_key(*key)) {
                found.push(Difference::new(&format!("{at}.{key}"), &NOT_THERE, value));
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            for (index, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                compare(&format!("{at}[{index}]"), wanted, got, keys, found);
            }
        }
        // A number is the same when it is written the same: 1 is not 1.0.
        (wanted, got) if wanted == got => {}
        (wanted, got) => found.push(Difference::new(at, wanted, got)),
    }
}
