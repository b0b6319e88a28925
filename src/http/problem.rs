//! Refusals in `application/problem+json` (RFC 9457).
//!
//! What the client did wrong is told in our words; what went wrong with us is one fixed sentence and an id, and the source
//! is in the log, once, under the same id.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::auth::Refused;
use crate::{
    domain::{
        event_type::EventType,
        id::{ReplayId, SubscriptionId},
    },
    store::StoreError,
};

/// When a client may try again that was refused because the database is away or the engine is busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refusal. Every kind has an id that never changes, for programs, and a text for people.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    id: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    /// Further members of the body; boxed, because most refusals have none and every handler returns one.
    more: Option<Box<Map<String, Value>>>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFault {
    /// The field.
    pub(crate) field: String,
    /// What is wrong, in a sentence.
    pub(crate) detail: String,
}

/// Why a request was refused (RFC 9457). Programs go by `type`, people read `detail`; some kinds have further members.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Which kind of refusal; never changes.
    #[schema(pattern = "^urn:postrider:problem:[a-z-]+$")]
    r#type: String,
    /// The kind in words.
    pub(crate) title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request.
    pub(crate) detail: String,
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}

impl Problem {
    fn new(status: StatusCode, id: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, id, title, detail: detail.into(), retry_after: None, more: None }
    }

    /// 400: the request cannot be read.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read", detail)
    }

    /// 422: the request can be read, and asks for something impossible.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request asks for something impossible", detail)
    }

    /// 422: fields that are not acceptable, all of them at once under `errors`.
    pub(crate) fn fields(faults: &[FieldFault]) -> Self {
        let detail = match faults {
            [only] => only.detail.clone(),
            _ => format!("{} fields are not acceptable, see \"errors\".", faults.len()),
        };
        let errors = serde_json::to_value(faults).expect("texts serialise");
        Self::invalid(detail).with("errors", errors)
    }

    /// 409: the owner has subscription `id` for this event type and endpoint already.
    pub(super) fn already_registered(id: Option<SubscriptionId>) -> Self {
        let detail = "There is a subscription with this event type and endpoint already; it may be inactive.";
        let problem =
            Self::new(StatusCode::CONFLICT, "already-registered", "The subscription is registered already", detail);
        match id {
            Some(id) => problem.with("subscription", id.as_raw()),
            None => problem,
        }
    }

    /// 409: somebody has this name or this token already.
    pub(super) fn taken(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "taken", "It is taken already", detail)
    }

    /// 412: it was changed since it was read; `version` is the present one.
    pub(super) fn outdated(version: i64) -> Self {
        let detail = "It was changed since you read it: get it again, look, and repeat your change with the new ETag.";
        Self::new(StatusCode::PRECONDITION_FAILED, "outdated", "It was changed in between", detail)
            .with("version", version)
    }

    /// 422: no such event type.
    pub(super) fn unknown_event_type(name: &str, known: &[&str]) -> Self {
        let detail = format!("{name:?} is not a registered event type.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-event-type", "The event type is not registered", detail)
            .with("allowed", known.to_vec())
    }

    /// 422: the payload is not what the schema of its type demands.
    pub(super) fn schema_violation(event_type: &EventType, violations: Vec<Value>) -> Self {
        let detail = format!("The payload violates the schema of {event_type}, see \"errors\".");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "schema-violation", "The payload violates its schema", detail)
            .with("errors", violations)
    }

    /// 422: an event type of the engine's own.
    pub(super) fn reserved_event_type(name: &str) -> Self {
        let detail = format!("Events of the type {name:?} are made by the engine itself; nobody else publishes them.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "reserved-event-type", "The event type is the engine's own", detail)
    }

    /// 409: active subscriptions have this event type, `subscription` is one of them.
    pub(super) fn type_in_use(name: &str, subscription: SubscriptionId) -> Self {
        let detail = format!("Subscription {subscription} is for {name}; delete such subscriptions before the type.");
        Self::new(StatusCode::CONFLICT, "event-type-in-use", "Subscriptions have this event type", detail)
            .with("subscription", subscription.as_raw())
    }

    /// 409: every installation has this event type.
    pub(super) fn built_in_type(name: &str) -> Self {
        let detail = format!("{name} is built in and stays. To take its description away, PUT an empty one: {{}}.");
        Self::new(StatusCode::CONFLICT, "event-type-built-in", "The event type is built in", detail)
    }

    /// 403: not with this role.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The owner of this token may not do this", detail)
    }

    /// 404: no such thing, or not for whoever asks.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// 405: not with this method.
    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let detail = format!("This path takes {allow}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here", detail)
    }

    /// 409: the idempotency key stands for something else.
    pub(super) fn key_reused() -> Self {
        let detail = "Another event was published under this idempotency key within the last 24 hours.";
        Self::new(StatusCode::CONFLICT, "idempotency-key-reused", "The idempotency key is taken", detail)
    }

    /// 409: an attempt of the same delivery is in flight, or too many were ordered at once.
    pub(crate) fn attempt_under_way() -> Self {
        let detail = "An attempt is under way, or too many were ordered at once; try again in a moment.";
        Self::new(StatusCode::CONFLICT, "attempt-under-way", "An attempt is under way", detail).retry_after(RETRY_AFTER)
    }

    /// 409: a delivery in `state` is not owed, or not in the way.
    pub(super) fn settled(state: &str, done: &str) -> Self {
        let detail = format!("The delivery is {state}; only a pending one can be {done}.");
        Self::new(StatusCode::CONFLICT, "settled", "Nothing is owed any more", detail).with("state", state)
    }

    /// 409: only what is set aside can be released.
    pub(super) fn not_set_aside(state: &str) -> Self {
        let detail = format!("The delivery is {state}; only one that is set aside can be released.");
        Self::new(StatusCode::CONFLICT, "not-set-aside", "The delivery is not set aside", detail).with("state", state)
    }

    /// 409: the subscription takes nothing.
    pub(super) fn inactive() -> Self {
        let detail = "The subscription is inactive: what is owed to it would be cancelled. Activate it first.";
        Self::new(StatusCode::CONFLICT, "inactive", "The subscription is inactive", detail)
    }

    /// 409: one replay at a time.
    pub(super) fn replay_runs(id: ReplayId) -> Self {
        let detail = format!("Replay {id} of this subscription runs already; wait for it or cancel it.");
        Self::new(StatusCode::CONFLICT, "replay-runs", "A replay runs already", detail).with("replay", id.as_raw())
    }

    /// 410: the event is still listed, and its payload is not stored any more.
    pub(crate) fn erased() -> Self {
        let detail = "The payload of this event was erased; there is nothing left to deliver.";
        Self::new(StatusCode::GONE, "erased", "The payload was erased", detail)
    }

    /// 409: only a paused subscription can be resumed in a special way.
    pub(super) fn not_paused() -> Self {
        let detail = "The subscription is not paused: there is no backlog to skip or to slow down.";
        Self::new(StatusCode::CONFLICT, "not-paused", "The subscription is not paused", detail)
    }

    /// 413: larger than `limit` bytes.
    pub(crate) fn too_large(what: &str, limit: usize) -> Self {
        let detail = format!("{what} may have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
            .with("limit_bytes", limit)
    }

    /// 413: larger than this path takes.
    pub(super) fn body_too_large() -> Self {
        let detail = "The body is larger than this path takes.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    /// 415: not JSON.
    pub(super) fn unsupported_media_type(expected: &str) -> Self {
        let detail = format!("The body must be {expected}.");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The content type is not supported",
            detail,
        )
    }

    /// 503: more is waiting already than the database takes.
    pub(super) fn busy() -> Self {
        let detail = "More events are waiting to be stored than can be promised; try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The engine is busy", detail).retry_after(RETRY_AFTER)
    }

    /// 503: the database is away.
    pub(crate) fn unavailable() -> Self {
        let detail = "The database is unavailable; try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The database is unavailable", detail)
            .retry_after(RETRY_AFTER)
    }

    /// 500: something that a person has to look at, told in the log under the id of the answer.
    pub(crate) fn internal(source: &dyn fmt::Display) -> Self {
        let incident = format!("{:016x}", rand::random::<u64>());
        log::error!(incident = incident.as_str(), error:% = source; "a request could not be answered");
        Self::incident(&incident)
    }

    /// 500, as whoever asked sees it.
    pub(super) fn incident(incident: &str) -> Self {
        let detail = "Something went wrong on our side. The log tells more under the incident.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong", detail)
            .with("incident", incident)
    }

    /// Adds a member to the body.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, also as part of a larger answer.
    pub(crate) fn into_body(self) -> ProblemBody {
        ProblemBody {
            r#type: format!("urn:postrider:problem:{}", self.id),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            more: self.more.map(|more| *more).unwrap_or_default(),
        }
    }

    /// The body as JSON.
    pub(crate) fn body(&self) -> Value {
        serde_json::to_value(self.clone().into_body()).expect("texts and numbers serialise")
    }

    /// The whole answer.
    pub(super) fn into_response(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Some(wait) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, wait.as_secs()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.insert_header((header::WWW_AUTHENTICATE, "Token"));
        }
        answer.body(self.body().to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(text) => {
                log::warn!(error = text.as_str(); "a request met no database");
                Self::unavailable()
            }
            StoreError::NotFound => Self::not_found("There is no such row, or not for you."),
            StoreError::Conflict(_) | StoreError::Sealed(_) | StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let unauthenticated =
            |detail| Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "The request needs a valid token", detail);
        match refused {
            Refused::Missing => unauthenticated("Send the header Authorization: Token <your token>."),
            Refused::Empty => unauthenticated("The Authorization header has no token."),
            Refused::Spaces => unauthenticated("The token has spaces."),
            Refused::NoText => unauthenticated("The token is no text."),
            Refused::Unknown => unauthenticated("The token is not known."),
            Refused::Inactive => unauthenticated("The owner of this token is inactive."),
            Refused::Unavailable(error) => error.into(),
        }
    }
}
