//! Deliveries that are older than their subscription allows, and whose turn does not come: see `store::expiry`.

use super::Chores;
use crate::{
    actors::{mail::tell, router::OwedAgain},
    domain::{id::SubscriptionId, subscription::Subscription, time::Timestamp},
    store::{
        Lane, StoreError,
        expiry::{Place, expire, find_expired},
        subscriptions::{aging, of_ids},
    },
};

/// Deliveries looked at in one query.
const LOOK_PAGE: i64 = 1_000;
/// Deliveries settled in one transaction.
const CHANGE_PAGE: usize = 250;
/// Subscriptions read at once.
const SUBSCRIPTIONS: usize = 100;

impl Chores {
    pub(super) async fn expire(&self) -> Result<(), StoreError> {
        let ids = self.store.run(Lane::Read, aging).await?;
        for ids in ids.chunks(SUBSCRIPTIONS) {
            let (keys, ids) = (self.store.keys(), ids.to_vec());
            for subscription in self.store.run(Lane::Read, move |c| of_ids(c, &keys, &ids)).await? {
                if let Some(before) = subscription.expired_before(self.now()) {
                    self.expire_of(&subscription, before).await?;
                }
            }
        }
        Ok(())
    }

    async fn expire_of(&self, subscription: &Subscription, before: Timestamp) -> Result<(), StoreError> {
        let id = subscription.id;
        let expired = self.expire_all(id, before).await;
        if let Ok(expired @ 1..) = expired {
            log::info!(subscription = id.as_raw(), expired; "deliveries are too old to be attempted");
        }
        // What waited behind them may go; also when it failed, after some of them.
        if !matches!(expired, Ok(0)) {
            tell(&self.router, OwedAgain(id));
        }
        expired.map(drop)
    }

    /// How many it found.
    async fn expire_all(&self, id: SubscriptionId, before: Timestamp) -> Result<usize, StoreError> {
        let (mut place, mut expired) = (Some(Place::default()), 0);
        while let Some(from) = place {
            let found = self.page(Lane::Read, move |c| find_expired(c, id, from, before, LOOK_PAGE)).await?;
            for ids in found.ids.chunks(CHANGE_PAGE) {
                let (ids, now) = (ids.to_vec(), self.now());
                expired += self.page(Lane::Write, move |c| expire(c, &ids, before, now)).await?;
            }
            place = found.next;
        }
        Ok(expired)
    }
}
