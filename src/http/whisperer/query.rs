//! The query string as the reference reads and writes it.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What Python's `quote_plus` leaves as it is, beside letters and digits; blanks become `+` afterwards.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b' ');

/// Names and values in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads any text: bytes that are no UTF-8 become U+FFFD.
    pub(super) fn parse(text: &str) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (unquote(name), unquote(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The value of `name`; of several the last one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query string with `name` set to `value`, or without it; the names in their alphabetical order.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> String {
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, value) in self.0.iter().filter(|(key, _)| key != name) {
            by_name.entry(key).or_default().push(value);
        }
        if let Some(value) = value {
            by_name.insert(name, vec![value]);
        }
        let pairs = by_name.iter().flat_map(|(name, values)| values.iter().map(move |value| (*name, *value)));
        pairs.map(|(name, value)| format!("{}={}", quote(name), quote(value))).collect::<Vec<_>>().join("&")
    }
}

fn unquote(text: &str) -> String {
    percent_decode(text.replace('+', " ").as_bytes()).decode_utf8_lossy().into_owned()
}

fn quote(text: &str) -> String {
    utf8_percent_encode(text, QUOTED).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repeated_parameter_the_last_counts() {
        let query = Query::parse("a=1&b=%C5%9F+x&a=2&&empty=&bare&c=%ff");
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.get("b"), Some("ş x"));
        assert_eq!((query.get("empty"), query.get("bare"), query.get("none")), (Some(""), Some(""), None));
        assert_eq!(query.get("c"), Some("\u{fffd}"));
    }

    #[test]
    fn links_sort_and_quote_the_parameters() {
        let query = Query::parse("page=2&target_url=http://a/%C5%9F~ x&is_active=true&b=1&b=2");
        assert_eq!(
            query.with("page", Some("3")),
            "b=1&b=2&is_active=true&page=3&target_url=http%3A%2F%2Fa%2F%C5%9F~+x"
        );
        assert_eq!(Query::parse("page=2").with("page", None), "");
    }
}
