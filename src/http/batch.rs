//! `POST /api/v1/events/batch`: many events at once, each with a result of its own.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body,
    events::{AcceptedEvent, hand_in, may_publish, media_type},
    openapi::{Always, BadBody, Forbidden, NotJson},
    problem::{Problem, ProblemBody},
    submission::{self, EventBody},
};
use crate::actors::{
    door::Door,
    intake::{Receipt, Submission},
};

/// The most events in one request.
const MAX_EVENTS: usize = 1_000;
/// The largest body, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
const EXPECTED: &str = "application/json (an array of events) or application/x-ndjson (one event a line)";

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    accepted: usize,
    refused: usize,
    /// In the order of the events.
    results: Vec<EventResult>,
}

/// One event's result: accepted, or a problem.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum EventResult {
    /// It is durable.
    Accepted {
        #[schema(minimum = 202, maximum = 202)]
        status: u16,
        #[serde(flatten)]
        event: AcceptedEvent,
    },
    /// It is not.
    Refused(ProblemBody),
}

/// Accepts what can be accepted, in one transaction: 202 when that was everything, else 207.
///
/// At most 1,000 events and 16 MiB, as a JSON array or as NDJSON, one event a line.
#[utoipa::path(
    post, path = "/api/v1/events/batch", tag = "events", operation_id = "publish_events",
    request_body(content(
        (Vec<EventBody> = "application/json", example = json!([
            {"event_type": "package.created", "payload": {"id": 73}},
            {"event_type": "package.status.shipped", "payload": {"id": 73}, "idempotency_key": "shipped-73"},
        ])),
        (String = "application/x-ndjson", example = json!("{\"event_type\": \"package.created\", \"payload\": {\"id\": 73}}\n")),
    )),
    responses(
        (status = 202, description = "All of them are durable", body = BatchAnswer),
        (status = 207, description = "Some were refused; each result says which and why", body = BatchAnswer),
        BadBody, Forbidden, NotJson, Always,
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
    let body = body::read(&request, payload.into_inner()).await?;
    let now = state.clock.now();
    let items = split(&request, &body)?;
    let read: Vec<Result<Submission, Problem>> =
        items.iter().map(|item| submission::read(&state.catalogue, item, None, publisher.id, now)).collect();
    let good: Vec<Submission> = read.iter().filter_map(|item| item.as_ref().ok()).cloned().collect();
    let receipts = if good.is_empty() { Vec::new() } else { hand_in(&state, &door, good).await? };
    // One transaction stores all or nothing, so one without a database means that all are.
    if receipts.contains(&Receipt::Unavailable) {
        return Err(Problem::unavailable());
    }
    Ok(answer(read, receipts))
}

fn answer(read: Vec<Result<Submission, Problem>>, receipts: Vec<Receipt>) -> HttpResponse {
    let mut receipts = receipts.into_iter();
    let mut accepted = 0;
    let mut results = Vec::with_capacity(read.len());
    for item in read {
        let result = item.and_then(|_| match receipts.next().unwrap_or(Receipt::Unavailable) {
            Receipt::Accepted { event, deliveries } => Ok(AcceptedEvent::new(event, deliveries)),
            Receipt::KeyReused => Err(Problem::key_reused()),
            Receipt::Unavailable => Err(Problem::unavailable()),
            Receipt::Refused => Err(Problem::internal(&"the database refused an event")),
        });
        results.push(match result {
            Ok(event) => {
                accepted += 1;
                EventResult::Accepted { status: StatusCode::ACCEPTED.as_u16(), event }
            }
            Err(problem) => EventResult::Refused(problem.into_body()),
        });
    }
    let refused = results.len() - accepted;
    let status = if refused == 0 { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    HttpResponse::build(status).json(BatchAnswer { accepted, refused, results })
}

/// The events of the body, still unread. Copied, or one event that waits would keep the whole body in memory.
fn split(request: &HttpRequest, body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let items = match media_type(request).as_deref() {
        None | Some("application/json") => array_items(body)?,
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => lines(body),
        Some(_) => return Err(Problem::unsupported_media_type(EXPECTED)),
    };
    match items.len() {
        0 => Err(Problem::invalid("The batch has no events.")),
        1..=MAX_EVENTS => Ok(items),
        many => Err(Problem::invalid(format!("A batch has at most {MAX_EVENTS} events, this one has {many}."))),
    }
}

fn array_items(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    let items: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Problem::malformed(format!("The batch is no JSON array: {error}.")))?;
    Ok(items.into_iter().map(|item| Bytes::copy_from_slice(item.get().as_bytes())).collect())
}

/// Lines that are not blank.
fn lines(body: &Bytes) -> Vec<Bytes> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).map(Bytes::copy_from_slice).collect()
}
