//! What only a subscription at work knows: how its endpoint is doing, and which delivery others wait for.

use serde::Serialize;
use utoipa::ToSchema;

use super::{State, problem::Problem, time::rfc3339};
use crate::{
    actors::{router::StatusOf, subscription::Status},
    domain::{
        delivery::State as DeliveryState,
        id::{DeliveryId, SubscriptionId},
        ordering::KeyHash,
        owner::Scope,
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
pub(super) struct WaitsFor {
    #[schema(value_type = i64)]
    delivery: DeliveryId,
    ordering_key: Option<String>,
    /// When the other one is attempted next; null when that is under way or held back.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
}

async fn status(state: &State, subscription: SubscriptionId, key: Option<KeyHash>) -> Result<Option<Status>, Problem> {
    state.router.send(StatusOf { subscription, key }).await.map_err(|_| Problem::unavailable())
}

/// How many attempts are in flight, and whether the endpoint fails: since when, and when it is tried next.
///
/// # Errors
/// 503 when the router is gone.
pub(super) async fn endpoint_health(state: &State, id: SubscriptionId) -> Result<EndpointHealth, Problem> {
    let status = status(state, id, None).await?;
    let open = status.and_then(|status| status.breaker);
    Ok(EndpointHealth {
        state: if open.is_some() { "failing" } else { "working" },
        failing_since: open.map(|open| rfc3339(open.since)),
        next_probe_at: open.map(|open| rfc3339(open.probe_at)),
        in_flight: status.map_or(0, |status| status.in_flight),
        no_success_since: None,
    })
}

/// The delivery that `listed` waits for because it has the same ordering key and comes first; `None` when it waits for none.
///
/// # Errors
/// 503 when the router or the database is gone.
pub(super) async fn waits_for(state: &State, listed: &Listed) -> Result<Option<WaitsFor>, Problem> {
    let (delivery, keys) = (&listed.delivery, state.store.keys());
    if delivery.state != DeliveryState::Pending {
        return Ok(None);
    }
    let id = delivery.subscription;
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, Scope::All, id);
    let subscription = state.store.run(Lane::Read, work).await?;
    let key = subscription.and_then(|found| found.terms.flow.ordering.key(listed.ordering_key.as_deref()));
    let Some(key) = key else { return Ok(None) };
    let holder = status(state, id, Some(key)).await?.and_then(|status| status.holder);
    let Some(holder) = holder.filter(|holder| *holder != delivery.id) else { return Ok(None) };
    let found = state.store.run(Lane::Read, move |connection| deliveries::get(connection, Scope::All, holder)).await?;
    Ok(Some(WaitsFor {
        delivery: holder,
        ordering_key: listed.ordering_key.clone(),
        next_attempt_at: found.and_then(|(first, _)| first.delivery.due_at).map(rfc3339),
    }))
}
