//! `/api/v1/deliveries`: what became of each event for each subscription.

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    State,
    attempts::AttemptView,
    auth::Caller,
    by_hand,
    delivery_filter::FilterQuery,
    interventions::InterventionView,
    live::{Explanation, Told, WaitsFor, told},
    openapi::{Always, BadQuery, Busy, Erased, Missing, Settled},
    problem::Problem,
    time::rfc3339,
};
use crate::{
    actors::{
        router::{Order, OwedAgain},
        subscription::{NotMade, UnderWay},
        tell,
        withdrawal::WithdrawFrom,
    },
    domain::{
        attempt::Attempt,
        audit::{Author, Entry},
        delivery::{Delivery, State as DeliveryState},
        id::{DeliveryId, EventId, OwnerId, SubscriptionId},
        owner::{Owner, Scope},
        queue::Withdrawn,
    },
    store::{
        AnyConnection, Lane, Queried, StoreError,
        audit::audited,
        deliveries::{self, Ending, Listed},
        events,
        interventions::intervention_in,
        record::cancel_one,
        subscriptions,
    },
};

/// One event owed to one subscription.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryView<'a> {
    #[schema(value_type = i64)]
    id: DeliveryId,
    /// What the receiver sees as `event.uuid` and `webhook-id`.
    uuid: uuid::Uuid,
    #[schema(value_type = i32)]
    subscription_id: SubscriptionId,
    event: EventView<'a>,
    #[schema(pattern = "^(pending|delivered|dead|expired|cancelled|set_aside)$")]
    state: &'static str,
    /// Attempts recorded so far.
    attempts: u16,
    /// How its latest attempt was answered.
    last_status: Option<u16>,
    /// Why its latest attempt got no complete answer.
    last_error: Option<&'static str>,
    /// Not attempted before; null when nothing holds it back.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    #[schema(format = DateTime)]
    first_recorded_at: Option<String>,
    /// When its latest attempt was recorded, or it was settled without one.
    #[schema(format = DateTime)]
    recorded_at: Option<String>,
    #[schema(format = DateTime)]
    replayed_at: Option<String>,
}

/// What a delivery tells of its event.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveredEvent)]
struct EventView<'a> {
    #[schema(value_type = i64)]
    id: EventId,
    uuid: uuid::Uuid,
    event_type: &'a str,
    ordering_key: Option<&'a str>,
    #[schema(format = DateTime)]
    accepted_at: String,
}

/// A delivery with its attempts.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryDetails<'a> {
    #[serde(flatten)]
    #[schema(value_type = DeliveryView)]
    delivery: DeliveryView<'a>,
    /// The first one first.
    attempt_log: Vec<AttemptView>,
    waits_for: Option<WaitsFor>,
    /// Why it is what it is, and what happens next.
    explanation: Option<Explanation>,
    /// What a person decided about it last.
    intervention: Option<InterventionView<'a>>,
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryPage<'a> {
    items: Vec<DeliveryView<'a>>,
    /// The `before` of the next page; null at the end.
    #[schema(value_type = Option<i64>)]
    next: Option<DeliveryId>,
}

impl<'a> DeliveryView<'a> {
    pub(super) fn new(listed: &'a Listed) -> Self {
        let delivery = &listed.delivery;
        let (last_status, last_error) = match listed.latest {
            Some(Ending::Status(status)) => (Some(status), None),
            Some(Ending::Failure(class)) => (None, Some(class.as_str())),
            None => (None, None),
        };
        Self {
            id: delivery.id,
            uuid: delivery.id.uuid(),
            subscription_id: delivery.subscription,
            event: EventView {
                id: delivery.event,
                uuid: delivery.event.uuid(),
                event_type: listed.event_type.as_str(),
                ordering_key: listed.ordering_key.as_deref(),
                accepted_at: rfc3339(listed.accepted_at),
            },
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_status,
            last_error,
            due_at: delivery.due_at.map(rfc3339),
            first_recorded_at: delivery.course.first_recorded_at.map(rfc3339),
            recorded_at: delivery.recorded_at.map(rfc3339),
            replayed_at: delivery.course.replayed_at.map(rfc3339),
        }
    }
}

/// # Errors
/// 422 for a name that is no state.
pub(super) fn named_state(name: &str) -> Result<DeliveryState, Problem> {
    let allowed = || DeliveryState::ALL.map(DeliveryState::as_str).to_vec();
    DeliveryState::named(name)
        .ok_or_else(|| Problem::invalid(format!("{name:?} is no state of a delivery.")).with("allowed", allowed()))
}

/// Deliveries, the newest first; `next` is the `before` of the next page, and there is one until it is null: what a filter
/// means may lie far apart.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "deliveries", operation_id = "list_deliveries", params(FilterQuery),
    responses((status = 200, description = "A page", body = DeliveryPage), BadQuery, Always),
)]
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<FilterQuery>,
) -> Result<HttpResponse, Problem> {
    let mut filter = query.filter(owner.scope())?;
    let event = query.event();
    let work = move |connection: &mut _| {
        if let Some(id) = event {
            // Without the event there is none of its deliveries either.
            filter.event = Some((id, events::get(connection, id)?.map_or(0, |event| event.listed.deliveries)));
        }
        deliveries::list::list(connection, &filter)
    };
    let page = state.store.run(Lane::Read, work).await?;
    let items = page.found.iter().map(DeliveryView::new).collect();
    Ok(HttpResponse::Ok().json(DeliveryPage { items, next: page.next }))
}

/// One delivery with its attempts, the first one first.
#[utoipa::path(
    get, path = "/api/v1/deliveries/{id}", tag = "deliveries", operation_id = "show_delivery",
    params(("id" = i64, Path, description = "The delivery")),
    responses((status = 200, description = "The delivery", body = DeliveryDetails), Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
) -> Result<HttpResponse, Problem> {
    let (listed, attempts) = find(&state, &owner, id.into_inner()).await?;
    let id = listed.delivery.id;
    let intervention = state.store.run(Lane::Read, move |connection| intervention_in(connection, id)).await?;
    let Told { waits_for, explanation } = told(&state, &listed, &attempts).await?;
    Ok(HttpResponse::Ok().json(DeliveryDetails {
        delivery: DeliveryView::new(&listed),
        attempt_log: attempts.iter().map(AttemptView::new).collect(),
        waits_for,
        explanation,
        intervention: intervention.as_ref().map(InterventionView::new),
    }))
}

/// # Errors
/// 404 when there is no such delivery, or not for `owner`.
pub(crate) async fn find(state: &State, owner: &Owner, id: DeliveryId) -> Result<(Listed, Vec<Attempt>), Problem> {
    let scope = owner.scope();
    let found = state.store.run(Lane::Read, move |connection| deliveries::get(connection, scope, id)).await?;
    found.ok_or_else(no_such_delivery)
}

fn no_such_delivery() -> Problem {
    Problem::not_found("There is no delivery with this id, or it is not yours.")
}

/// Attempts one delivery now, whatever its state, and tells what came of it. What its retry policy still owes stays owed.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/redeliver", tag = "deliveries", operation_id = "redeliver_delivery",
    params(("id" = i64, Path, description = "The delivery")),
    responses((status = 200, description = "The attempt", body = AttemptView), Missing, Busy, Erased, Always),
)]
pub(crate) async fn redeliver(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
) -> Result<HttpResponse, Problem> {
    let (listed, _) = find(&state, &owner, id.into_inner()).await?;
    let order = Order { subscription: listed.delivery.subscription, delivery: listed.delivery.id };
    match by_hand::attempt(&state, &owner, order).await {
        Ok(attempt) => Ok(HttpResponse::Ok().json(AttemptView::new(&attempt))),
        Err(NotMade::Busy) => Err(Problem::attempt_under_way()),
        Err(NotMade::NotFound) => Err(no_such_delivery()),
        Err(NotMade::Erased) => Err(Problem::erased()),
        Err(NotMade::Unavailable(_)) => Err(Problem::unavailable()),
    }
}

/// Whose a subscription is.
pub(super) async fn owner_of(state: &State, id: SubscriptionId) -> Result<Option<OwnerId>, Problem> {
    let keys = state.store.keys();
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, Scope::All, id);
    Ok(state.store.run(Lane::Read, work).await?.map(|subscription| subscription.owner))
}

/// Calls one delivery off that is pending. Once this is answered no further attempt of it starts; one in flight ends, and
/// if it arrives the delivery is delivered.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/cancel", tag = "deliveries", operation_id = "cancel_delivery",
    params(("id" = i64, Path, description = "The delivery")),
    responses((status = 200, description = "It is called off", body = DeliveryView), Missing, Settled, Always),
)]
pub(crate) async fn cancel(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
) -> Result<HttpResponse, Problem> {
    let (listed, _) = find(&state, &owner, id.into_inner()).await?;
    let Delivery { id, subscription, .. } = listed.delivery;
    let now = state.clock.now();
    let (author, of) = (Author::from(&*owner), owner_of(&state, subscription).await?);
    let work = move |connection: &mut _| {
        let told = |cancelled: &bool| {
            let told = json!({ "subscription": subscription });
            cancelled.then(|| Entry::order("delivery.cancel", format!("delivery:{id}"), of, told))
        };
        audited(connection, &author, now, |connection| cancel_one(connection, id, now), told)
    };
    let cancelled = carry_out(&state, subscription, work).await?;
    if !cancelled {
        let (listed, _) = find(&state, &owner, id).await?;
        return Err(Problem::settled(listed.delivery.state.as_str(), "cancelled"));
    }
    withdraw(&state, subscription, id).await;
    let (listed, _) = find(&state, &owner, id).await?;
    Ok(HttpResponse::Ok().json(DeliveryView::new(&listed)))
}

/// Carries out what a person orders about a delivery of `subscription`. When it is not known whether that was done, the
/// subscription asks the store again: it may hold a key for a delivery that is settled.
pub(super) async fn carry_out(
    state: &State,
    subscription: SubscriptionId,
    work: impl FnMut(&mut AnyConnection) -> Queried<bool> + Send + 'static,
) -> Result<bool, StoreError> {
    let done = state.store.run(Lane::Write, work).await;
    done.inspect_err(|_| tell(&state.router, OwedAgain(subscription)))
}

/// Has every copy in memory of a delivery given up that is to be attempted no more. The store says so already.
pub(super) async fn withdraw(state: &State, subscription: SubscriptionId, id: DeliveryId) {
    let deliveries = vec![(subscription, Withdrawn::These([id].into()))];
    let withdrawn = state.router.send(WithdrawFrom { deliveries, under_way: UnderWay::Leave }).await;
    // Without a router nothing is attempted.
    withdrawn.unwrap_or_default();
}
