//! Events after their acceptance: lists, whom one reached and whom not, and sending it again.

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    attempts::AttemptView,
    auth::Caller,
    body::{Body, read_optional_json},
    by_hand,
    deliveries::DeliveryView,
    delivery_filter::named_type,
    naming::{OwnerName, owner_named},
    openapi::{Always, BadQuery, Forbidden, Malformed, Missing, TooLarge},
    problem::{Problem, ProblemBody},
    subscriptions::{checked_limit, shown},
    time::{instant, rfc3339},
};
use crate::{
    actors::{router::Order, subscription::NotMade},
    domain::{
        id::{DeliveryId, EventId, SubscriptionId},
        owner::{Owner, Role, Scope},
        reach::why_not,
        subscription::Subscription,
    },
    store::{
        Lane,
        deliveries::{
            Listed as ListedDelivery,
            list::{Filter as DeliveryFilter, list as list_deliveries},
        },
        events::{self, Filter, Listed, Page, Whole, missed_by},
    },
};

/// Deliveries, and subscriptions without one, that are shown with an event, and attempted again by one request.
pub(crate) const MAX_SHOWN: usize = 200;

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// A name or an id; for admins.
    publisher: Option<String>,
    event_type: Option<String>,
    ordering_key: Option<String>,
    /// Under which it was published within 24 hours; the other filters do not count then.
    idempotency_key: Option<String>,
    /// Accepted at this time or later.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Accepted before.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Older than this one.
    #[param(value_type = Option<i64>)]
    before: Option<EventId>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// An event as lists show it.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView<'a> {
    #[schema(value_type = i64)]
    id: EventId,
    uuid: uuid::Uuid,
    publisher_id: i32,
    event_type: &'a str,
    ordering_key: Option<&'a str>,
    #[schema(format = DateTime)]
    accepted_at: String,
    /// How many it owed when it was accepted.
    deliveries: u32,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventPage<'a> {
    items: Vec<EventView<'a>>,
    /// The `before` of the next page; null at the end.
    #[schema(value_type = Option<i64>)]
    next: Option<EventId>,
}

impl<'a> From<&'a Listed> for EventView<'a> {
    fn from(event: &'a Listed) -> Self {
        Self {
            id: event.id,
            uuid: event.id.uuid(),
            publisher_id: event.publisher.as_raw(),
            event_type: event.event_type.as_str(),
            ordering_key: event.ordering_key.as_deref(),
            accepted_at: rfc3339(event.accepted_at),
            deliveries: event.deliveries,
        }
    }
}

/// An event with its payload, in the publisher's own bytes, and with whom it reached.
#[derive(Serialize, ToSchema)]
#[schema(as = EventDetails)]
pub(super) struct WholeView<'a> {
    #[serde(flatten)]
    #[schema(value_type = EventView)]
    event: EventView<'a>,
    #[schema(format = DateTime)]
    payload_erased_at: Option<String>,
    reached: Vec<DeliveryView<'a>>,
    /// Whether there are more deliveries than are shown: `GET /api/v1/deliveries?event=` has them all.
    reached_more: bool,
    missed: Vec<MissedView>,
    missed_more: bool,
    /// As it was published, byte for byte; null when it was erased.
    #[schema(value_type = Value)]
    payload: Option<&'a RawValue>,
}

/// A subscription that is for this type of event and has no delivery of this one.
#[derive(Serialize, ToSchema)]
#[schema(as = Missed)]
struct MissedView {
    #[schema(value_type = i32)]
    subscription_id: SubscriptionId,
    endpoint: String,
    why: &'static str,
    explanation: &'static str,
}

impl MissedView {
    fn new(subscription: &Subscription, event: &Listed) -> Self {
        let why = why_not(subscription, event.accepted_at);
        Self {
            subscription_id: subscription.id,
            endpoint: shown(&subscription.terms.target_url),
            why: why.as_str(),
            explanation: why.sentence(),
        }
    }
}

/// Events, the newest first; `next` is the `before` of the next page, and there is one until it is null. Publishers see what
/// they published, admins everything.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "list_events", params(FilterQuery),
    responses((status = 200, description = "A page", body = EventPage), BadQuery, Forbidden, Always),
)]
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<FilterQuery>,
) -> Result<HttpResponse, Problem> {
    let page = listed(&state, &owner, &query).await?;
    let items = page.found.iter().map(EventView::from).collect();
    Ok(HttpResponse::Ok().json(EventPage { items, next: page.next }))
}

/// The page that `query` asks for.
///
/// # Errors
/// 403 for who neither publishes nor sees everything, 422 for a filter that makes no sense.
pub(crate) async fn listed(state: &State, owner: &Owner, query: &FilterQuery) -> Result<Page, Problem> {
    let publisher = match (owner.role, query.publisher.clone()) {
        (Role::Subscriber, _) => {
            return Err(Problem::forbidden("Events are listed for publishers and admins; see /api/v1/deliveries."));
        }
        (Role::Publisher, None) => Some(owner.id),
        (Role::Admin, None) => None,
        (Role::Publisher | Role::Admin, Some(name)) => Some(owner_named(state, owner, named(name)).await?),
    };
    let filter = Filter {
        publisher,
        event_type: query.event_type.as_deref().map(named_type).transpose()?,
        ordering_key: query.ordering_key.clone(),
        from: query.from.as_deref().map(|text| instant("from", text)).transpose()?,
        to: query.to.as_deref().map(|text| instant("to", text)).transpose()?,
        before: query.before,
        limit: usize::from(checked_limit(query.limit)?),
    };
    if let Some(key) = query.idempotency_key.clone() {
        let publisher = publisher.unwrap_or(owner.id);
        let now = state.clock.now();
        let work = move |connection: &mut _| {
            let id = events::find_by_key(connection, publisher, &key, now)?;
            id.map_or(Ok(None), |id| events::get(connection, id))
        };
        let found = state.store.run(Lane::Read, work).await?;
        return Ok(Page { found: found.map(|event| event.listed).into_iter().collect(), next: None });
    }
    Ok(state.store.run(Lane::Read, move |connection| events::list(connection, &filter)).await?)
}

/// An owner's name, or their id in digits.
fn named(text: String) -> OwnerName {
    text.parse().map_or(OwnerName::Name(text), OwnerName::Id)
}

/// What is known of one event.
pub(crate) struct Found {
    /// The event with its payload.
    pub(crate) event: Whole,
    /// Its deliveries, as many as are shown.
    pub(crate) reached: Vec<ListedDelivery>,
    /// Whether there are more.
    pub(crate) reached_more: bool,
}

/// One event in the eyes of `owner`: admins and its publisher see it, and whoever it is owed to. Deliveries are those of the
/// owner's own subscriptions, or all for an admin.
pub(crate) async fn find(state: &State, owner: &Owner, id: EventId, which: Which) -> Result<Found, Problem> {
    let scope = owner.scope();
    let Which { subscription, before } = which;
    let work = move |connection: &mut _| {
        let Some(event) = events::get(connection, id)? else { return Ok(None) };
        let of_event = Some((id, event.listed.deliveries));
        let filter = DeliveryFilter { event: of_event, subscription, before, ..DeliveryFilter::all(scope, MAX_SHOWN) };
        list_deliveries(connection, &filter).map(|page| Some((event, page)))
    };
    let missing = || Problem::not_found("There is no event with this id, or it is not yours.");
    let (event, page) = state.store.run(Lane::Read, work).await?.ok_or_else(missing)?;
    let is_visible = match scope {
        Scope::All => true,
        Scope::Of(owner) => event.listed.publisher == owner || !page.found.is_empty(),
    };
    if !is_visible {
        return Err(missing());
    }
    Ok(Found { event, reached: page.found, reached_more: page.next.is_some() })
}

/// One event: its payload, who got it, and who did not and why, as far as that can be known.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", tag = "events", operation_id = "show_event",
    params(("id" = i64, Path, description = "The event")),
    responses((status = 200, description = "The event", body = WholeView), Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<EventId>,
) -> Result<HttpResponse, Problem> {
    let found = find(&state, &owner, id.into_inner(), Which::default()).await?;
    let missed = missed(&state, &owner, &found.event.listed).await?;
    let view = WholeView {
        event: EventView::from(&found.event.listed),
        payload_erased_at: found.event.payload_erased_at.map(rfc3339),
        reached: found.reached.iter().map(DeliveryView::new).collect(),
        reached_more: found.reached_more,
        missed: missed.iter().take(MAX_SHOWN).map(|one| MissedView::new(one, &found.event.listed)).collect(),
        missed_more: missed.len() > MAX_SHOWN,
        payload: raw_payload(&found.event.payload)?,
    };
    Ok(HttpResponse::Ok().json(view))
}

/// The subscriptions that `owner` sees, are for the type of `event` and have no delivery of it: as many as are shown, and one
/// more when there are more.
///
/// # Errors
/// 503 when the database is away.
pub(crate) async fn missed(state: &State, owner: &Owner, event: &Listed) -> Result<Vec<Subscription>, Problem> {
    let (scope, keys, event) = (owner.scope(), state.store.keys(), event.clone());
    let work = move |connection: &mut _| missed_by(connection, &keys, scope, &event, MAX_SHOWN + 1);
    Ok(state.store.run(Lane::Read, work).await?)
}

/// The payload, byte for byte; `None` when it was erased.
fn raw_payload(payload: &Bytes) -> Result<Option<&RawValue>, Problem> {
    // No JSON is empty: an empty payload was erased.
    let text = std::str::from_utf8(payload).map_err(|error| Problem::internal(&error))?;
    let raw = (!text.is_empty()).then(|| serde_json::from_str(text)).transpose();
    raw.map_err(|error| Problem::internal(&error))
}

/// Which deliveries of an event.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedeliverOrder)]
pub(crate) struct Which {
    #[schema(value_type = Option<i32>)]
    subscription: Option<SubscriptionId>,
    /// The `next` of an answer that did not have them all.
    #[schema(value_type = Option<i64>)]
    before: Option<DeliveryId>,
}

/// What came of each attempt.
#[derive(Serialize, ToSchema)]
pub(super) struct Redelivered {
    attempts: Vec<RedeliveredOne>,
    /// The `before` that asks for the rest; null when there is none.
    #[schema(value_type = Option<i64>)]
    next: Option<DeliveryId>,
}

/// One attempt, or why there was none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum RedeliveredOne {
    Attempted {
        #[schema(value_type = i32)]
        subscription_id: SubscriptionId,
        #[serde(flatten)]
        attempt: AttemptView,
    },
    NotAttempted {
        #[schema(value_type = i64)]
        delivery: DeliveryId,
        #[schema(value_type = i32)]
        subscription_id: SubscriptionId,
        problem: ProblemBody,
    },
}

/// Attempts an event again now, for one subscription or for all that were owed it, and tells what came of each attempt.
#[utoipa::path(
    post, path = "/api/v1/events/{id}/redeliver", tag = "events", operation_id = "redeliver_event",
    params(("id" = i64, Path, description = "The event")),
    request_body(content = Option<Which>, example = json!({"subscription": 1})),
    responses(
        (status = 200, description = "What came of it", body = Redelivered), Malformed, TooLarge, Missing, Always,
    ),
)]
pub(crate) async fn redeliver(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<EventId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let which: Which = read_optional_json(&body)?;
    let found = find(&state, &owner, id.into_inner(), which).await?;
    if which.subscription.is_some() && found.reached.is_empty() {
        return Err(Problem::not_found("This event has no delivery to that subscription."));
    }
    let next = found.reached.last().filter(|_| found.reached_more).map(|last| last.delivery.id);
    let attempts = join_all(found.reached.iter().map(|listed| attempt(&state, &owner, listed))).await;
    Ok(HttpResponse::Ok().json(Redelivered { attempts, next }))
}

/// One attempt, or why there was none.
async fn attempt(state: &State, owner: &Owner, listed: &ListedDelivery) -> RedeliveredOne {
    let (subscription_id, delivery) = (listed.delivery.subscription, listed.delivery.id);
    let order = Order { subscription: subscription_id, delivery };
    let problem = match by_hand::attempt(state, owner, order).await {
        Ok(attempt) => {
            return RedeliveredOne::Attempted { subscription_id, attempt: AttemptView::new(&attempt) };
        }
        Err(NotMade::Busy) => Problem::attempt_under_way(),
        Err(NotMade::NotFound) => Problem::not_found("The delivery is not stored any more."),
        Err(NotMade::Erased) => Problem::erased(),
        Err(NotMade::Unavailable(_)) => Problem::unavailable(),
    };
    RedeliveredOne::NotAttempted { delivery, subscription_id, problem: problem.into_body() }
}
