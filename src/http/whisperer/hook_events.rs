//! `/whisperer/hook_events/`: deliveries that were attempted at least once (contract, section 7).

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Asked,
    answer::{Answer, Served},
    filters::Filters,
    format::{bytes_repr, compact, date, duration, escape_line_ends},
    list, ordering,
    ordering::Column,
    route::{Id, read_id},
    webhook::Webhook,
};
use crate::{
    domain::{
        attempt::Outcome,
        event::{envelope, wire_uuid},
        id::{DeliveryId, SubscriptionId},
        owner::Scope,
        time::Timestamp,
    },
    store::{
        Lane,
        lists::{
            List,
            attempted::{Attempted, Comparison, Filter, Key, UNANSWERED_STATUS},
        },
        subscriptions,
    },
};

/// The columns of the reference's table.
const COLUMNS: [Column<Key>; 14] = [
    ("id", Some(Key::Id)),
    ("created_date", Some(Key::FirstRecordedAt)),
    ("modified_date", Some(Key::RecordedAt)),
    // The uuid begins with the id.
    ("uuid", Some(Key::Id)),
    ("webhook", Some(Key::Subscription)),
    ("request_payload", None),
    ("response_content", Some(Key::Body)),
    ("response_http_status", Some(Key::Status)),
    ("response_time", Some(Key::Duration)),
    ("delivered", Some(Key::Delivered)),
    ("request_datetimes", Some(Key::StartedAt)),
    ("retry_count", Some(Key::Attempts)),
    ("content_type", None),
    ("object_id", None),
];

/// The filters on `created_date`.
const DATES: [(&str, Comparison); 5] = [
    ("created_date", Comparison::At),
    ("created_date__gt", Comparison::After),
    ("created_date__gte", Comparison::From),
    ("created_date__lt", Comparison::Before),
    ("created_date__lte", Comparison::UpTo),
];

/// A `hook_event`, its keys in order.
#[derive(Serialize)]
struct HookEvent<'a> {
    id: DeliveryId,
    webhook: Webhook<'a>,
    created_date: String,
    modified_date: String,
    uuid: uuid::Uuid,
    request_payload: Box<RawValue>,
    response_content: String,
    response_http_status: u16,
    response_time: String,
    delivered: bool,
    request_datetimes: Vec<String>,
    retry_count: u16,
    /// Always null, as for the reference's dict payloads.
    object_id: Option<String>,
    /// Likewise.
    content_type: Option<i32>,
}

impl<'a> From<&'a Attempted> for HookEvent<'a> {
    fn from(attempted: &'a Attempted) -> Self {
        let (response_http_status, response_content) = response(&attempted.latest.outcome);
        Self {
            id: attempted.id,
            webhook: Webhook::from(&attempted.subscription),
            created_date: date(attempted.first_recorded_at),
            modified_date: date(attempted.recorded_at),
            uuid: attempted.id.uuid(),
            request_payload: request_payload(attempted),
            response_content,
            response_http_status,
            response_time: duration(attempted.latest.duration),
            delivered: attempted.latest.outcome.is_success(),
            request_datetimes: attempted.started_at.iter().copied().map(date).collect(),
            retry_count: attempted.latest.number,
            object_id: None,
            content_type: None,
        }
    }
}

/// The body as it was sent.
fn request_payload(attempted: &Attempted) -> Box<RawValue> {
    let body = envelope(&attempted.event_type, &wire_uuid(attempted.id), &attempted.payload);
    let json = compact(&String::from_utf8_lossy(&body));
    RawValue::from_string(json).expect("payloads are checked to be JSON when they are accepted")
}

/// Status and content as the reference records them: 500 and a message where there was no answer.
fn response(outcome: &Outcome) -> (u16, String) {
    match outcome {
        Outcome::Answered(answer) => (answer.status, bytes_repr(&answer.body)),
        Outcome::Failed(failure) => (UNANSWERED_STATUS.unsigned_abs(), failure.message.clone()),
        Outcome::NotAttempted => (UNANSWERED_STATUS.unsigned_abs(), String::new()),
    }
}

fn entry(attempted: &Attempted) -> String {
    escape_line_ends(serde_json::to_string(&HookEvent::from(attempted)).expect("a hook_event serialises"))
}

/// The attempted deliveries in scope.
pub(super) async fn index(asked: &Asked<'_>) -> Served {
    match selection(asked).await? {
        Some(filter) => list::serve(asked, filter, entry).await,
        None => list::serve_nothing(asked),
    }
}

/// What the filters select; `None` when that can be nothing. The filters are read in the order of their faults.
async fn selection(asked: &Asked<'_>) -> Result<Option<Filter>, Answer> {
    let mut filters = Filters::new(&asked.query);
    let uuid = filters.uuid("uuid");
    let status = filters.whole_number("response_http_status");
    let delivered = filters.boolean("delivered");
    let first_recorded: Vec<(Comparison, Timestamp)> =
        DATES.iter().filter_map(|(name, comparison)| Some((*comparison, filters.date(name)?))).collect();
    let object_id = filters.text("object_id");
    if filters.choice("content_type").is_some() {
        // There are no model instances here, so no content type is available.
        filters.no_such_choice("content_type");
    }
    let subscription = match filters.choice("webhook") {
        None => None,
        Some(text) => {
            let found = existing(asked, text).await?;
            if found.is_none() {
                filters.no_such_choice("webhook");
            }
            found
        }
    };
    let event_type = filters.text("event_type");
    filters.faults().map_err(|faults| Answer::faults(&faults))?;

    let (delivery, status) = (uuid.map(DeliveryId::from_uuid), status.map(|status| i16::try_from(status).ok()));
    if object_id.is_some() || delivery == Some(None) || status == Some(None) {
        return Ok(None);
    }
    Ok(Some(Filter {
        scope: asked.owner.scope(),
        delivery: delivery.flatten(),
        subscription,
        event_type,
        status: status.flatten(),
        delivered,
        first_recorded,
        order: ordering::read(&asked.query, &COLUMNS),
    }))
}

/// The hook with this id, whoever it belongs to.
async fn existing(asked: &Asked<'_>, text: &str) -> Result<Option<SubscriptionId>, Answer> {
    let Some(id) = read_id(text).and_then(|id| i32::try_from(id).ok()) else { return Ok(None) };
    let id = SubscriptionId::from_raw(id);
    let keys = asked.state.store.keys();
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, Scope::All, id);
    Ok(asked.state.store.run(Lane::Read, work).await?.map(|subscription| subscription.id))
}

/// One attempted delivery.
pub(super) async fn show(asked: &Asked<'_>, id: Id) -> Served {
    Ok(Answer::ok_text(entry(&find(asked, id).await?)))
}

/// The attempted delivery with this id, if it is in scope.
pub(super) async fn find(asked: &Asked<'_>, id: Id) -> Result<Attempted, Answer> {
    let id = id.ok_or_else(Answer::not_found)?;
    let filter = Filter {
        scope: asked.owner.scope(),
        delivery: Some(DeliveryId::from_raw(id)),
        subscription: None,
        event_type: None,
        status: None,
        delivered: None,
        first_recorded: Vec::new(),
        order: Vec::new(),
    };
    let keys = asked.state.store.keys();
    let work = move |connection: &mut _| {
        let ids = filter.ids(connection, crate::store::lists::Skip::Rows(0), 1)?;
        filter.rows(connection, &keys, &ids)
    };
    asked.state.store.run(Lane::Read, work).await?.pop().ok_or_else(Answer::not_found)
}
