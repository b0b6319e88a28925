//! How an answer is held against what was recorded.
//!
//! The status; of the headers `Content-Type` (the media type), `WWW-Authenticate`, `Allow` (as a set) and `Location`; the
//! body by value, with all its keys. Free are the order of keys, other headers, and of a redirect the body.

mod placeholder;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use self::value::differences_in_any_order;
pub(crate) use self::value::{Difference, Keys, differences};
use crate::client::Reply;

/// An answer as it was recorded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
}

/// How much of it counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Match {
    /// All of it.
    #[default]
    Exact,
    /// All of it, but a list has no order.
    Unordered,
    /// Of the body, which keys it has.
    Keys,
    /// The status and `Allow`.
    Allow,
    /// The status.
    Status,
}

const HEADERS: &[&str] = &["Content-Type", "WWW-Authenticate", "Allow", "Location"];

/// What differs between an answer and the expected one.
pub(crate) fn differences_of_answer(wanted: &Expected, got: &Reply, matching: Match, keys: Keys) -> Vec<Difference> {
    let mut found = Vec::new();
    if wanted.status != got.status {
        found.push(Difference::new("status", &wanted.status, &got.status));
    }
    for name in headers_that_count(wanted.status, matching) {
        let (wanted, got) = (wanted.headers.get(*name).map(String::as_str), got.header(&name.to_ascii_lowercase()));
        if wanted.map(|value| meaning(name, value)) != got.map(|value| meaning(name, value)) {
            found.push(Difference::new(name, &wanted.unwrap_or("no such header"), &got.unwrap_or("no such header")));
        }
    }
    if !matches!(matching, Match::Status | Match::Allow) && wanted.status != 301 {
        found.extend(differences_of_body(wanted.body.as_ref(), got, matching, keys));
    }
    found
}

/// The differences from the first of the alternatives, unless one of them fits.
pub(crate) fn fewest<'a, T: 'a>(
    wanted: &'a T,
    or: &'a [T],
    differences: impl Fn(&T) -> Vec<Difference>,
) -> Vec<Difference> {
    let found = differences(wanted);
    if or.iter().any(|other| differences(other).is_empty()) { Vec::new() } else { found }
}

fn headers_that_count(status: u16, matching: Match) -> impl Iterator<Item = &'static &'static str> {
    HEADERS.iter().filter(move |name| match matching {
        // No body worth a type.
        Match::Exact | Match::Unordered => **name != "Content-Type" || !matches!(status, 204 | 301),
        Match::Keys => **name == "Content-Type",
        Match::Allow => **name == "Allow",
        Match::Status => false,
    })
}

/// What of a header's value is compared.
fn meaning(name: &str, value: &str) -> BTreeSet<String> {
    match name {
        "Content-Type" => [value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()].into(),
        "Allow" => value.split(',').map(|method| method.trim().to_owned()).collect(),
        _ => [value.to_owned()].into(),
    }
}

fn differences_of_body(wanted: Option<&Value>, got: &Reply, matching: Match, keys: Keys) -> Vec<Difference> {
    let body = serde_json::from_str::<Value>(&got.body).ok();
    let (wanted, body) = match (wanted, body) {
        (None, None) => return Vec::new(),
        (Some(wanted), Some(body)) => (wanted, body),
        (Some(wanted), None) => return vec![Difference::new("body", wanted, &got.body)],
        (None, Some(body)) => return vec![Difference::new("body", &"no JSON", &body)],
    };
    match matching {
        Match::Unordered => differences_in_any_order(wanted, &body, keys),
        Match::Keys => {
            let keys = |value: &Value| Some(value.as_object()?.keys().cloned().collect::<BTreeSet<_>>());
            let same = keys(wanted).is_some() && keys(wanted) == keys(&body);
            if same { Vec::new() } else { vec![Difference::new("body's keys", wanted, &body)] }
        }
        Match::Exact | Match::Allow | Match::Status => differences(wanted, &body, keys),
    }
}
