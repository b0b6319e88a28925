//! Something that happened in the order management system, as accepted; immutable.

use std::{fmt, time::Duration};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    event_type::EventType,
    id::{DeliveryId, EventId},
    time::Timestamp,
};

/// The largest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// The longest ordering key or idempotency key, in characters.
pub const MAX_KEY_LENGTH: usize = 255;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(24);

/// What deliveries of an event share. The payload is the publisher's bytes, checked to be JSON and never rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The row.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// To what, in the publisher's own bytes.
    pub payload: Bytes,
    /// Events of one key may be asked to arrive in order.
    pub ordering_key: Option<String>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

/// A delivery's uuid as the wire shows it, in `event.uuid` and `webhook-id`: 32 hex digits (contract, section 7).
#[must_use]
pub fn wire_uuid(delivery: DeliveryId) -> String {
    delivery.uuid().as_simple().to_string()
}

/// The ordering key of an event whose publisher named none: the object and its `id`, `package:73`. `None` when the payload
/// is no object with an `id` that is a number or a text. Of several the first counts; what follows it is not read.
#[must_use]
pub fn default_ordering_key(event_type: &EventType, payload: &str) -> Option<String> {
    let mut id = None;
    // It ends in an error where the reading ends, with the `id` or without one.
    serde_json::Deserializer::from_str(payload).deserialize_map(FirstId(&mut id)).ok();
    let id = id?;
    let id = match id.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(id).ok()?,
        b'-' | b'0'..=b'9' => id.to_owned(),
        _ => return None,
    };
    let key = format!("{}:{id}", event_type.object());
    (key.chars().count() <= MAX_KEY_LENGTH && !id.is_empty()).then_some(key)
}

/// Reads the members of an object up to its first `id`.
struct FirstId<'a, 'de>(&'a mut Option<&'de str>);

impl<'de> Visitor<'de> for FirstId<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Name {
            Id,
            #[serde(other)]
            Other,
        }

        while let Some(name) = members.next_key()? {
            match name {
                Name::Id => {
                    *self.0 = Some(members.next_value::<&RawValue>()?.get());
                    break;
                }
                Name::Other => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// The body of a trial: an envelope that says so. No delivery has a member `test`.
#[must_use]
pub fn trial_envelope(event_type: &EventType, wire_uuid: &str, payload: &[u8]) -> Bytes {
    let head = [
        r#"{"event": {"type": ""#,
        event_type.as_str(),
        r#"", "uuid": ""#,
        wire_uuid,
        r#"", "test": true}, "payload": "#,
    ];
    let mut body = head.concat().into_bytes();
    body.extend_from_slice(payload);
    body.push(b'}');
    body.into()
}

/// The body of a delivery, byte for byte as the contract's section 0 writes it; the same on every attempt.
#[must_use]
pub fn envelope(event_type: &EventType, wire_uuid: &str, payload: &[u8]) -> Bytes {
    // The characters of an event type need no escape in JSON.
    let head = [r#"{"event": {"type": ""#, event_type.as_str(), r#"", "uuid": ""#, wire_uuid, r#""}, "payload": "#];
    let length = head.iter().map(|part| part.len()).sum::<usize>() + payload.len() + 1;
    let mut body = Vec::with_capacity(length);
    for part in head {
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(payload);
    body.push(b'}');
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_keeps_the_payloads_bytes() {
        let event_type = EventType::parse("package.created").expect("a type");
        let payload = "{ \"city\" : \"\\u0130stanbul\", \"n\":1e22 }";
        let body = envelope(&event_type, "da81e85139824c6187dd1e58a7d3f971", payload.as_bytes());
        let expected = format!(
            r#"{{"event": {{"type": "package.created", "uuid": "da81e85139824c6187dd1e58a7d3f971"}}, "payload": {payload}}}"#
        );
        assert_eq!(body, expected.as_bytes());
    }

    #[test]
    fn a_trial_is_no_delivery_and_says_so() {
        let event_type = EventType::parse("package.created").expect("a type");
        let body = trial_envelope(&event_type, "da81", b"{\"id\": 1}");
        assert_eq!(
            body,
            r#"{"event": {"type": "package.created", "uuid": "da81", "test": true}, "payload": {"id": 1}}"#
        );
    }

    #[test]
    fn events_of_one_object_share_a_key() {
        let key = |payload| default_ordering_key(&EventType::parse("package.status.shipped").expect("a type"), payload);
        assert_eq!(key(r#"{"lines":[{"id":1}],"id":73}"#).as_deref(), Some("package:73"));
        assert_eq!(key(r#"{"id":"PK-73"}"#).as_deref(), Some("package:PK-73"));
        assert_eq!(key(r#" { "n" : [1, {"id":2}], "\u0069d" : 7, "id": 8 }"#).as_deref(), Some("package:7"));
        for payload in ["{}", "[1]", r#"{"id":null}"#, r#"{"id":{}}"#, r#"{"id":""}"#, "7"] {
            assert_eq!(key(payload), None, "{payload}");
        }
        assert_eq!(key(&format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_KEY_LENGTH))), None);
    }

    #[test]
    fn the_wire_shows_32_hex_digits() {
        let uuid = wire_uuid(DeliveryId::from_raw(7));
        assert_eq!(uuid.len(), 32);
        assert!(uuid.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
    }
}
