//! An event as publishers write it, read without being rebuilt: the payload stays the publisher's bytes.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{catalogue::Catalogue, problem::Problem};
use crate::{
    actors::intake::Submission,
    domain::{
        event::{IDEMPOTENCY_WINDOW, MAX_KEY_LENGTH, MAX_PAYLOAD_BYTES, default_ordering_key},
        event_type::EventType,
        id::OwnerId,
        time::Timestamp,
    },
    store::accept::IdempotencyKey,
};

/// An event as it is published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventBody<'a> {
    /// One of the registered event types.
    #[serde(borrow)]
    #[schema(value_type = String, example = "package.created")]
    event_type: Cow<'a, str>,
    /// Any JSON; it is stored and sent byte for byte as it is written here.
    #[serde(borrow)]
    #[schema(value_type = serde_json::Value)]
    payload: &'a RawValue,
    /// Events of one key can be delivered in their order; by default the object and `payload.id`, like `package:73`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    ordering_key: Option<Cow<'a, str>>,
    /// Your name for this event; the same as the header `Idempotency-Key`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    idempotency_key: Option<Cow<'a, str>>,
}

/// Reads one event of a type in `catalogue` out of `json`, published by `publisher` at `now`. `header_key` is the `Idempotency-Key` header.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read(
    catalogue: &Catalogue,
    json: &Bytes,
    header_key: Option<&str>,
    publisher: OwnerId,
    now: Timestamp,
) -> Result<Submission, Problem> {
    // An array would pass for the members of the structure in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::malformed("An event must be a JSON object."));
    }
    let body: EventBody<'_> = serde_json::from_slice(json)
        .map_err(|error| Problem::malformed(format!("The event is not valid: {error}.")))?;
    if EventType::subscribable(&body.event_type).is_some_and(|event_type| event_type.is_operational()) {
        return Err(Problem::reserved_event_type(&body.event_type));
    }
    let known = catalogue.find(&body.event_type)?;
    let event_type = known.event_type.clone();
    let raw = body.payload.get();
    if raw.len() > MAX_PAYLOAD_BYTES {
        return Err(Problem::too_large("A payload", MAX_PAYLOAD_BYTES));
    }
    known.check(raw)?;
    let ordering_key = match body.ordering_key {
        Some(key) => Some(checked_key(key, "ordering_key")?),
        None => default_ordering_key(&event_type, raw),
    };
    let key = match (body.idempotency_key, header_key) {
        (Some(inside), Some(header)) if inside != header => {
            return Err(Problem::malformed(
                "\"idempotency_key\" and the header Idempotency-Key differ: send one of them.",
            ));
        }
        (Some(key), _) => Some(checked_key(key, "idempotency_key")?),
        (None, Some(key)) => Some(checked_key(key.into(), "Idempotency-Key")?),
        (None, None) => None,
    };
    let key = key.map(|key| IdempotencyKey {
        key,
        digest: digest(&event_type, ordering_key.as_deref(), raw),
        expires_at: now.after(IDEMPOTENCY_WINDOW),
    });
    let payload = json.slice_ref(raw.as_bytes());
    Ok(Submission { event_type, payload, ordering_key, publisher, key, audience: None })
}

fn checked_key(key: Cow<'_, str>, name: &str) -> Result<String, Problem> {
    let length = key.chars().count();
    if !(1..=MAX_KEY_LENGTH).contains(&length) || key.contains(char::is_control) {
        let rule = format!("\"{name}\" must have 1 to {MAX_KEY_LENGTH} characters and no control characters.");
        return Err(Problem::invalid(rule));
    }
    Ok(key.into_owned())
}

/// What must be the same when the same event is published again.
fn digest(event_type: &EventType, ordering_key: Option<&str>, payload: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [event_type.as_str(), ordering_key.unwrap_or_default(), payload] {
        // Neither types nor keys have control characters, so the parts cannot be confused.
        digest.update(part);
        digest.update([0]);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;

    use super::*;

    fn submit(json: &str, header_key: Option<&str>) -> Result<Submission, StatusCode> {
        let json = Bytes::copy_from_slice(json.as_bytes());
        let read = read(&Catalogue::built_in(), &json, header_key, OwnerId::from_raw(1), Timestamp::EPOCH);
        read.map_err(|problem| problem.status())
    }

    #[test]
    fn the_payload_keeps_its_bytes() {
        let event = submit(r#"{"event_type":"package.created","payload": { "id" : 7,"n":1e22, "x":"\u0130" } }"#, None);
        let event = event.expect("a valid event");
        assert_eq!(event.payload, r#"{ "id" : 7,"n":1e22, "x":"\u0130" }"#);
        assert_eq!(event.ordering_key.as_deref(), Some("package:7"));
        assert_eq!(event.key, None);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_malformed() {
        for json in [
            "",
            "{",
            r#"["package.created",{}]"#,
            r#"{"event_type":"package.created"}"#,
            r#"{"payload":{}}"#,
            r#"{"event_type":5,"payload":{}}"#,
            r#"{"event_type":"package.created","payload":{},"ordering":"x"}"#,
            r#"{"event_type":"package.created","payload":{"a":01}}"#,
            r#"{"event_type":"package.created","payload":{}} x"#,
            r#"{"event_type":"package.created","payload":{},"payload":{}}"#,
        ] {
            assert_eq!(submit(json, None).map(drop), Err(StatusCode::BAD_REQUEST), "{json}");
        }
    }

    #[test]
    fn deep_nesting_overflows_nothing() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let deep = format!(r#"{{"event_type":"package.created","payload":{open}{close}}}"#);
        assert!(submit(&deep, None).is_ok());
    }

    #[test]
    fn an_event_that_cannot_be_accepted_is_refused() {
        let long = "k".repeat(MAX_KEY_LENGTH + 1);
        for (json, status) in [
            (r#"{"event_type":"package.exploded","payload":{}}"#.to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
            (
                format!(r#"{{"event_type":"package.created","payload":{{}},"ordering_key":"{long}"}}"#),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                r#"{"event_type":"package.created","payload":{},"idempotency_key":""}"#.to_owned(),
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                format!(r#"{{"event_type":"package.created","payload":"{}"}}"#, "x".repeat(MAX_PAYLOAD_BYTES)),
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
        ] {
            assert_eq!(submit(&json, None).map(drop), Err(status), "{json:.80}");
        }
    }

    #[test]
    fn a_key_stands_for_what_was_published_under_it() {
        let key = |json: &str, header| submit(json, header).expect("a valid event").key.expect("a key");
        let inside = key(r#"{"event_type":"package.created","payload":{"id":1},"idempotency_key":"k"}"#, None);
        let header = key(r#"{"event_type":"package.created","payload":{"id":1}}"#, Some("k"));
        assert_eq!(inside, header);
        let other = key(r#"{"event_type":"package.created","payload":{"id":2}}"#, Some("k"));
        assert_ne!(other.digest, header.digest);
        let both = submit(r#"{"event_type":"package.created","payload":{},"idempotency_key":"k"}"#, Some("l"));
        assert_eq!(both.map(drop), Err(StatusCode::BAD_REQUEST));
    }
}
