//! Erases one event: payload, deliveries and attempts.
//!
//! Once it is done nothing of the event is stored or attempted any more. What is not in our hands: an attempt that was in
//! flight is waited for, because the request is out already; and the publisher's idempotency key is forgotten at its own time
//! (a day after the acceptance).

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use actix::Addr;
use tokio::time::timeout;

use super::{router::Router, subscription::UnderWay, withdrawal::WithdrawFrom};
use crate::{
    clock::Clock,
    domain::{
        id::{DeliveryId, EventId, SubscriptionId},
        queue::Withdrawn,
    },
    store::{
        Lane, Store, StoreError,
        erase::{delete_deliveries, delete_event, withhold_event},
    },
};

/// Deliveries deleted in one transaction.
const PAGE: usize = 250;
/// The longest that attempts in flight are waited for: longer than any attempt takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why an event is not erased.
#[derive(Debug, thiserror::Error)]
pub enum NotErased {
    /// There is no such event.
    #[error("there is no such event")]
    NotFound,
    /// An attempt is in flight or not recorded yet. Its payload is erased and nothing further starts; ask again for the rest.
    #[error("an attempt is under way")]
    UnderWay,
    /// The database is away or refuses: ask again.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Erases an event. When it fails half-way, asking again goes on.
///
/// # Errors
/// [`NotErased`].
pub async fn erase_event(store: &Store, clock: &Clock, router: &Addr<Router>, event: EventId) -> Result<(), NotErased> {
    let now = clock.now();
    let withheld = store.run(Lane::Write, move |connection| withhold_event(connection, event, now)).await?;
    let deliveries = withheld.ok_or(NotErased::NotFound)?;
    let withdraw = WithdrawFrom { deliveries: by_subscription(&deliveries), under_way: UnderWay::Await };
    // Without a router nothing is attempted.
    timeout(PATIENCE, router.send(withdraw)).await.map_err(|_| NotErased::UnderWay)?.unwrap_or_default();
    for page in deliveries.chunks(PAGE) {
        let ids: Vec<DeliveryId> = page.iter().map(|(_, id)| *id).collect();
        store.run(Lane::Write, move |connection| delete_deliveries(connection, &ids)).await?;
    }
    store.run(Lane::Write, move |connection| delete_event(connection, event)).await?;
    Ok(())
}

fn by_subscription(deliveries: &[(SubscriptionId, DeliveryId)]) -> Vec<(SubscriptionId, Withdrawn)> {
    let mut of: HashMap<SubscriptionId, HashSet<DeliveryId>> = HashMap::new();
    for (subscription, id) in deliveries {
        of.entry(*subscription).or_default().insert(*id);
    }
    of.into_iter().map(|(subscription, ids)| (subscription, Withdrawn::These(ids))).collect()
}
