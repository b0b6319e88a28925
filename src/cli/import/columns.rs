//! How Django writes values into a dump.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::domain::time::Timestamp;

/// An instant: RFC 3339, or without an offset, which means UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        instant(&text).map(Self).ok_or_else(|| D::Error::custom(format!("{text:?} is no date with a time")))
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let naive = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(naive).ok()
    })?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

/// Instants in a list, or in the text of a list, as array columns are dumped. Nulls are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Instants(pub(super) Vec<Timestamp>);

impl<'de> Deserialize<'de> for Instants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = match Value::deserialize(deserializer)? {
            Value::String(text) => serde_json::from_str(&text).map_err(D::Error::custom)?,
            list @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => list,
        };
        let list = Vec::<Option<Instant>>::deserialize(list).map_err(D::Error::custom)?;
        Ok(Self(list.into_iter().flatten().map(|instant| instant.0).collect()))
    }
}

/// Which user a row belongs to: the key, or with `--natural-foreign` the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum UserRef {
    /// By primary key.
    Key(String),
    /// By name.
    Name(String),
}

impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = value.as_array().and_then(|parts| parts.first()?.as_str());
        name.map(|name| Self::Name(name.to_owned()))
            .or_else(|| key_text(&value).map(Self::Key))
            .ok_or_else(|| D::Error::custom("the user is no key and no name"))
    }
}

/// For messages.
impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Key(text) | Self::Name(text)) = self;
        f.write_str(text)
    }
}

fn key_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_with_and_without_an_offset() {
        let at = Timestamp::from_micros(1_795_000_000_123_000);
        for text in ["2026-11-18T11:06:40.123Z", "2026-11-18T14:06:40.123+03:00", "2026-11-18T11:06:40.123"] {
            assert_eq!(instant(text), Some(at), "{text}");
        }
        assert_eq!(instant("yesterday"), None);
    }

    #[test]
    fn array_columns_come_as_texts_too() {
        let list = r#"["2026-11-18T11:06:40.123000+00:00", null]"#;
        let one = Instants(vec![Timestamp::from_micros(1_795_000_000_123_000)]);
        assert_eq!(serde_json::from_str::<Instants>(list).expect("a list"), one);
        let text = serde_json::to_string(list).expect("a text");
        assert_eq!(serde_json::from_str::<Instants>(&text).expect("a list in a text"), one);
        assert!(serde_json::from_str::<Instants>("[5]").is_err());
    }

    #[test]
    fn users_come_by_key_and_by_name() {
        let read = |text| serde_json::from_str::<UserRef>(text).ok();
        assert_eq!(read("7"), Some(UserRef::Key("7".to_owned())));
        assert_eq!(read("\"9f3c\""), Some(UserRef::Key("9f3c".to_owned())));
        assert_eq!(read("[\"ayse\"]"), Some(UserRef::Name("ayse".to_owned())));
        assert_eq!(read("null"), None);
    }
}
