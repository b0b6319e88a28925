//! The headers that a subscription adds to its deliveries.
//!
//! Checked when they are written, so that a delivery never fails for its headers (contract, section 0).

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

/// The most headers of one subscription.
pub const MAX_COUNT: usize = 64;
/// The most bytes of all names and values of one subscription together.
pub const MAX_BYTES: usize = 16 * 1024;

/// Header names and their values, in the order given. `None` removes the header that would be sent by default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AdditionalHeaders(Vec<(String, Option<String>)>);

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// Not a token of RFC 9110, section 5.6.2.
    #[error("Header name {0:?} is not valid: use letters, digits and !#$%&'*+-.^_`|~.")]
    Name(String),
    /// It frames the message, so it is ours.
    #[error("Header {0:?} cannot be set: it is determined by the body.")]
    Framing(String),
    /// A control character, a leading blank, or a character beyond Latin-1.
    #[error("The value of header {0:?} is not valid: no control characters, no leading blank, Latin-1 only.")]
    Value(String),
    /// Too many or too large.
    #[error("Ensure there are at most {MAX_COUNT} headers of {MAX_BYTES} bytes together.")]
    TooMany,
}

impl AdditionalHeaders {
    /// Checks and keeps `headers`.
    ///
    /// # Errors
    /// The first [`BadHeader`].
    pub fn new(headers: Vec<(String, Option<String>)>) -> Result<Self, BadHeader> {
        let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum();
        if headers.len() > MAX_COUNT || bytes > MAX_BYTES {
            return Err(BadHeader::TooMany);
        }
        for (name, value) in &headers {
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(BadHeader::Name(name.clone()));
            }
            if ["content-length", "transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                return Err(BadHeader::Framing(name.clone()));
            }
            if value.as_deref().is_some_and(|value| !is_value(value)) {
                return Err(BadHeader::Value(name.clone()));
            }
        }
        Ok(Self(headers))
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(value: &str) -> bool {
    !value.starts_with([' ', '\t'])
        && value.chars().all(|c| c == '\t' || (u32::from(c) <= 0xff && !c.is_ascii_control()))
}

/// `text` as the bytes of Latin-1; `None` when a character lies beyond it.
#[must_use]
pub fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Values may be credentials.
impl fmt::Debug for AdditionalHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl Serialize for AdditionalHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for AdditionalHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, Option<String>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut headers = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    headers.push(entry);
                }
                Ok(headers)
            }
        }

        Self::new(deserializer.deserialize_map(InOrder)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<AdditionalHeaders, BadHeader> {
        AdditionalHeaders::new(vec![(name.to_owned(), Some(value.to_owned()))])
    }

    #[test]
    fn order_and_nulls_survive() {
        let text = r#"{"X-B":"2","User-Agent":null,"X-A":"kapı ş"}"#.replace('ş', "é").replace('ı', "i");
        let headers: AdditionalHeaders = serde_json::from_str(&text).expect("valid headers");
        assert_eq!(serde_json::to_string(&headers).expect("headers serialise"), text);
    }

    #[test]
    fn what_could_split_or_reframe_a_request_is_refused() {
        assert!(matches!(one("", "x"), Err(BadHeader::Name(_))));
        assert!(matches!(one("X Y", "x"), Err(BadHeader::Name(_))));
        assert!(matches!(one("X:Y", "x"), Err(BadHeader::Name(_))));
        assert!(matches!(one("X-A", "a\r\nX-B: c"), Err(BadHeader::Value(_))));
        assert!(matches!(one("X-A", " a"), Err(BadHeader::Value(_))));
        assert!(matches!(one("X-A", "ş"), Err(BadHeader::Value(_))));
        assert!(matches!(one("content-LENGTH", "1"), Err(BadHeader::Framing(_))));
        assert!(matches!(one("Transfer-Encoding", "chunked"), Err(BadHeader::Framing(_))));
        assert!(matches!(one("X-A", &"a".repeat(MAX_BYTES)), Err(BadHeader::TooMany)));
        assert!(one("X-A", "trailing blank is kept ").is_ok());
    }

    #[test]
    fn debug_hides_values() {
        assert!(!format!("{:?}", one("X-Api-Key", "hunter2")).contains("hunter2"));
    }
}
