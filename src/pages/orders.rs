//! Orders: what a page asks of the engine goes through the API's own handlers, as JSON, and is refused there if it is.

use actix_web::{HttpResponse, body::to_bytes, web::Bytes};
use serde_json::{Map, Value};

use super::session::Visitor;
use crate::http::{auth::Caller, body::Body, problem::Problem};

/// The visitor, as handlers know them.
pub(super) fn caller(visitor: &Visitor) -> Caller {
    Caller(visitor.owner.clone())
}

/// Members as the body of a request.
pub(super) fn bytes(members: Map<String, Value>) -> Bytes {
    Value::Object(members).to_string().into()
}

/// The same for handlers.
pub(super) fn body(members: Map<String, Value>) -> Body {
    Body(bytes(members))
}

/// What a handler answers, read again; null when it says nothing.
///
/// # Errors
/// What it refuses.
pub(super) async fn answer(answer: Result<HttpResponse, Problem>) -> Result<Value, Problem> {
    let bytes = to_bytes(answer?.into_body()).await.map_err(|error| Problem::internal(&error))?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// A time as a browser's field gives it, `2026-11-24T03:00`, which is meant in UTC, as RFC 3339. What is none stays as it is, to
/// be refused.
pub(super) fn in_utc(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 | 23 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_meant_in_utc() {
        assert_eq!(in_utc("2026-11-24T03:00"), "2026-11-24T03:00:00Z");
        assert_eq!(in_utc("2026-11-24T03:00:05"), "2026-11-24T03:00:05Z");
        assert_eq!([in_utc("2026-11-24T03:00:00Z"), in_utc("tomorrow")], ["2026-11-24T03:00:00Z", "tomorrow"]);
    }
}
