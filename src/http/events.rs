//! `POST /api/v1/events`: the way in.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body,
    openapi::{Always, BadBody, Forbidden, KeyTaken, NotJson},
    problem::Problem,
    submission::{self, EventBody},
};
use crate::{
    actors::{
        door::Door,
        intake::{Receipt, Submission},
    },
    domain::{event::MAX_PAYLOAD_BYTES, id::EventId, owner::Owner},
    metrics::EventFate,
};

/// The largest body of one event: a payload and what stands around it.
pub(super) const MAX_BODY_BYTES: usize = MAX_PAYLOAD_BYTES + 16 * 1024;

/// What a publisher is told about an accepted event.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedEvent {
    #[schema(value_type = i64)]
    id: EventId,
    /// What receivers see as `event.uuid` of their delivery is the uuid of the delivery, not this one.
    uuid: uuid::Uuid,
    /// How many deliveries it owed when it was accepted.
    deliveries: u32,
}

impl AcceptedEvent {
    pub(super) fn new(id: EventId, deliveries: u32) -> Self {
        Self { id, uuid: id.uuid(), deliveries }
    }
}

/// Accepts one event: 202 once it and everything it owes are durable.
///
/// The same event under the same idempotency key is stored once within 24 hours, and gets the same answer. After a 503 it may
/// have been stored all the same: publish it again under the same key.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "events", operation_id = "publish_event",
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255, description = "Your name for this event")),
    request_body(content = EventBody, example = json!({
        "event_type": "package.status.shipped", "payload": {"id": 73, "status": "shipped"}
    })),
    responses(
        (status = 202, description = "It is durable", body = AcceptedEvent),
        BadBody, Forbidden, KeyTaken, NotJson, Always,
    ),
)]
pub(super) async fn accept(
    request: HttpRequest,
    state: Data<State>,
    door: Data<Door>,
    Caller(publisher): Caller,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    may_publish(&publisher)?;
    is_json(&request)?;
    let body = body::read(&request, payload.into_inner()).await?;
    let key = match request.headers().get("idempotency-key") {
        Some(key) => Some(key.to_str().map_err(|_| Problem::malformed("The header Idempotency-Key must be ASCII."))?),
        None => None,
    };
    let event = submission::read(&state.catalogue, &body, key, publisher.id, state.clock.now())?;
    let receipts = hand_in(&state, &door, vec![event]).await?;
    match receipts.first().copied().unwrap_or(Receipt::Unavailable) {
        Receipt::Accepted { event, deliveries } => {
            Ok(HttpResponse::build(StatusCode::ACCEPTED).json(AcceptedEvent::new(event, deliveries)))
        }
        Receipt::KeyReused => Err(Problem::key_reused()),
        Receipt::Unavailable => Err(Problem::unavailable()),
        Receipt::Refused => Err(Problem::internal(&"the database refused an event")),
    }
}

/// Hands events to the router and waits for their receipts, one each, in their order.
///
/// # Errors
/// 503 when too many wait already, or the router is gone.
pub(super) async fn hand_in(state: &State, door: &Door, events: Vec<Submission>) -> Result<Vec<Receipt>, Problem> {
    let bytes = events.iter().map(|event| event.payload.len()).sum();
    let ticket = state.admission.enter(events.len(), bytes).ok_or_else(|| {
        state.metrics.published(EventFate::Busy, events.len() as u64);
        Problem::busy()
    })?;
    door.enter(events, ticket).await.ok_or_else(Problem::unavailable)
}

/// # Errors
/// 403 for an owner who may not publish.
pub(super) fn may_publish(owner: &Owner) -> Result<(), Problem> {
    if owner.role.may_publish() {
        Ok(())
    } else {
        Err(Problem::forbidden("Publishing needs the role publisher or admin."))
    }
}

/// # Errors
/// 415 for a body that says it is something else. Without a `Content-Type` it is taken for JSON.
fn is_json(request: &HttpRequest) -> Result<(), Problem> {
    match media_type(request).as_deref() {
        None | Some("application/json") => Ok(()),
        Some(other) if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        Some(_) => Err(Problem::unsupported_media_type("application/json")),
    }
}

/// The media type of the body, in lower case and without parameters.
pub(super) fn media_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()).filter(|media| !media.is_empty())
}
