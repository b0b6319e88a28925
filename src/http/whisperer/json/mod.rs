//! JSON as the reference reads it: Python's `json` module behind the REST framework's parser.
//!
//! Its own reader, because the contract shows what general ones hide: CPython's error messages (contract, section 3,
//! "Bodies"), lone surrogates, integers of any size, and whether a number was written as an integer. It answers malformed
//! bodies and builds a [`Json`]; what the value means is not its business.

mod number;
mod reader;
mod utf8;

pub(super) use number::{Int, float_repr, hexadecimal};

use std::collections::HashMap;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, of any size.
    Int(Int),
    /// Any other number; infinite when it exceeds what a double can hold.
    Float(f64),
    /// A string.
    Text(Text),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A string. Python's can hold lone surrogates; here each is replaced by U+FFFD, which keeps the length, and noted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Text {
    /// The characters.
    pub(super) text: String,
    /// The first lone surrogate. Text that has one is never stored.
    pub(super) surrogate: Option<u16>,
}

/// Names and values in the order of the names' first appearance; of a name that comes again the last value counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object(Vec<(Text, Json)>);

impl Object {
    fn new(entries: Vec<(Text, Json)>) -> Self {
        let mut places: HashMap<Text, usize> = HashMap::with_capacity(entries.len());
        let mut kept: Vec<(Text, Json)> = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            if let Some(&place) = places.get(&name) {
                kept[place].1 = value;
            } else {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
        Self(kept)
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(key, _)| key.surrogate.is_none() && key.text == name).map(|(_, value)| value)
    }

    /// Names and values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Text, &Json)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl Json {
    /// Reads a body.
    ///
    /// # Errors
    /// What Python says about it, as it follows `JSON parse error - ` in answers.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        reader::read(utf8::decode(body)?)
    }

    /// The name of the value's Python type, as error messages show it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Object(_) => "dict",
        }
    }

    /// Whether every number in it can be written as JSON.
    pub(super) fn is_finite(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Text(_) => true,
            Self::Float(value) => value.is_finite(),
            Self::List(items) => items.iter().all(Self::is_finite),
            Self::Object(object) => object.iter().all(|(_, value)| value.is_finite()),
        }
    }

    /// Python's `bool(value)`.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(value) => !value.is_zero(),
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Object(object) => !object.0.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_that_comes_again_the_last_value_counts_in_the_first_place() {
        let Ok(Json::Object(object)) = Json::parse(br#"{"a": 1, "b": 2, "a": 3}"#) else { panic!("an object") };
        let entries: Vec<_> = object.iter().map(|(name, value)| (name.text.as_str(), value.is_truthy())).collect();
        assert_eq!(entries, [("a", true), ("b", true)]);
        assert_eq!(object.get("a"), Some(&Json::Int(Int::from_digits("3"))));
    }

    #[test]
    fn truth_is_pythons() {
        for (text, truth) in [
            ("null", false),
            ("false", false),
            ("0", false),
            ("-0", false),
            ("0.0", false),
            ("\"\"", false),
            ("[]", false),
            ("{}", false),
            ("\"false\"", true),
            ("1", true),
            ("0.5", true),
            ("[0]", true),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).map(|value| value.is_truthy()), Ok(truth), "{text}");
        }
    }
}
