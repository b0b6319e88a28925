//! What only a subscription at work knows: how its endpoint is doing, and why a delivery waits.

use serde::Serialize;
use utoipa::ToSchema;

use super::{State, problem::Problem, time::rfc3339};
use crate::{
    actors::{router::StatusOf, subscription::Status},
    domain::{
        attempt::{Attempt, Outcome},
        delivery::State as DeliveryState,
        explain::{Facts, Live, explain},
        id::{DeliveryId, SubscriptionId},
        ordering::KeyHash,
        owner::Scope,
        time::Timestamp,
    },
    store::{
        Lane,
        deliveries::{self, Listed},
        subscriptions,
    },
};

/// How an endpoint is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct EndpointHealth {
    /// `working`, or `failing`: then it is only probed.
    #[schema(pattern = "^(working|failing)$")]
    state: &'static str,
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    next_probe_at: Option<String>,
    /// Attempts in flight.
    in_flight: usize,
    /// Since when no attempt has arrived, through restarts; null while the latest one did.
    #[schema(format = DateTime)]
    pub(super) no_success_since: Option<String>,
}

/// The delivery that another one waits for, because it has the same ordering key and comes first.
#[derive(Serialize, ToSchema)]
pub(crate) struct WaitsFor {
    #[schema(value_type = i64)]
    pub(crate) delivery: DeliveryId,
    ordering_key: Option<String>,
    /// When the other one is attempted next; null when that is under way or held back.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
}

/// Why a delivery is what it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// For programs.
    reason: &'static str,
    /// For people.
    pub(crate) why: String,
    pub(crate) next: Option<NextView>,
}

/// What happens next.
#[derive(Serialize, ToSchema)]
#[schema(as = NextStep)]
pub(crate) struct NextView {
    /// When; null when that depends on others.
    #[schema(format = DateTime)]
    at: Option<String>,
    pub(crate) what: &'static str,
}

/// What `subscription` says of itself, when it is at work; and of a key and a delivery, when they are named.
///
/// # Errors
/// 503 when the router is gone.
pub(crate) async fn status(
    state: &State,
    subscription: SubscriptionId,
    key: Option<KeyHash>,
    delivery: Option<DeliveryId>,
) -> Result<Option<Status>, Problem> {
    state.router.send(StatusOf { subscription, key, delivery }).await.map_err(|_| Problem::unavailable())
}

/// How many attempts are in flight, and whether the endpoint fails: since when, and when it is tried next.
///
/// # Errors
/// 503 when the router is gone.
pub(super) async fn endpoint_health(state: &State, id: SubscriptionId) -> Result<EndpointHealth, Problem> {
    let status = status(state, id, None, None).await?;
    let open = status.and_then(|status| status.breaker);
    Ok(EndpointHealth {
        state: if open.is_some() { "failing" } else { "working" },
        failing_since: open.map(|open| rfc3339(open.since)),
        next_probe_at: open.map(|open| rfc3339(open.probe_at)),
        in_flight: status.map_or(0, |status| status.in_flight),
        no_success_since: None,
    })
}

/// What is told of a delivery beyond its row.
pub(crate) struct Told {
    /// The delivery that it waits for because that has the same ordering key and comes first; `None` when there is none.
    pub(crate) waits_for: Option<WaitsFor>,
    /// Why it is what it is, and what happens next.
    pub(crate) explanation: Option<Explanation>,
}

/// Why `listed`, with these attempts, was sent, waits or was given up, and what happens when.
///
/// # Errors
/// 503 when the router or the database is gone.
pub(crate) async fn told(state: &State, listed: &Listed, attempts: &[Attempt]) -> Result<Told, Problem> {
    let (delivery, keys, id) = (&listed.delivery, state.store.keys(), listed.delivery.subscription);
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, Scope::All, id);
    let Some(subscription) = state.store.run(Lane::Read, work).await? else {
        return Ok(Told { waits_for: None, explanation: None });
    };
    let is_pending = delivery.state == DeliveryState::Pending;
    let key = subscription.terms.flow.ordering.key(listed.ordering_key.as_deref());
    let status = if is_pending { status(state, id, key, Some(delivery.id)).await? } else { None };
    let holder = match status.and_then(|status| status.holder).filter(|holder| *holder != delivery.id) {
        Some(holder) => Some((holder, due_at(state, holder).await?)),
        None => None,
    };
    let live = status.map(|status| Live {
        place: status.place,
        in_flight: status.in_flight,
        slots: status.slots,
        next_start: status.next_start,
        breaker: status.breaker,
        holder,
    });
    let told = explain(&Facts {
        delivery,
        subscription: &subscription,
        accepted_at: listed.accepted_at,
        latest: attempts.last().and_then(ending),
        live,
        now: state.clock.now(),
    });
    let next = told.next.map(|next| NextView { at: next.at.map(rfc3339), what: next.what });
    let waits_for = holder.map(|(holder, due_at)| WaitsFor {
        delivery: holder,
        ordering_key: listed.ordering_key.clone(),
        next_attempt_at: due_at.map(rfc3339),
    });
    let explanation = Explanation { reason: told.reason.as_str(), why: told.why, next };
    Ok(Told { waits_for, explanation: Some(explanation) })
}

async fn due_at(state: &State, id: DeliveryId) -> Result<Option<Timestamp>, Problem> {
    let found = state.store.run(Lane::Read, move |connection| deliveries::get(connection, Scope::All, id)).await?;
    Ok(found.and_then(|(listed, _)| listed.delivery.due_at))
}

fn ending(attempt: &Attempt) -> Option<String> {
    match &attempt.outcome {
        Outcome::Answered(answer) => Some(format!("status {}", answer.status)),
        Outcome::Failed(failure) => Some(failure.message.clone()),
        Outcome::NotAttempted => None,
    }
}
