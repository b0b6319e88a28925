//! Retention: what was settled long ago goes, and payloads before it if so wished.

use super::Chores;
use crate::{
    domain::{
        id::{DeliveryId, EventId},
        retention::Walk,
    },
    store::{
        Lane, StoreError,
        prune::{clear_deliveries, clear_unwanted, erase_payloads, find_deliveries, find_payloads, find_unwanted},
    },
};

/// Rows looked at in one query.
const LOOK_PAGE: i64 = 1_000;
/// Rows changed in one transaction: a few milliseconds.
const CHANGE_PAGE: usize = 250;
/// Queries of one walk in one sweep; the next sweep goes on.
const MAX_PAGES: usize = 1_000;

/// How far the walks over the tables have come.
pub(super) struct Walks {
    deliveries: Walk<DeliveryId>,
    unwanted: Walk<EventId>,
    payloads: Walk<EventId>,
}

impl Walks {
    pub(super) const fn new() -> Self {
        Self {
            deliveries: Walk::new(DeliveryId::from_raw(0)),
            unwanted: Walk::new(EventId::from_raw(0)),
            payloads: Walk::new(EventId::from_raw(0)),
        }
    }
}

impl Chores {
    pub(super) async fn prune(&self, walks: &mut Walks) -> Result<(), StoreError> {
        self.prune_payloads(&mut walks.payloads).await?;
        self.prune_deliveries(&mut walks.deliveries).await?;
        self.prune_unwanted(&mut walks.unwanted).await
    }

    async fn prune_deliveries(&self, walk: &mut Walk<DeliveryId>) -> Result<(), StoreError> {
        let retention = self.retention;
        for _ in 0..MAX_PAGES {
            let (after, now) = (walk.after(), self.now());
            let found = self.page(Lane::Read, move |c| find_deliveries(c, after, &retention, LOOK_PAGE, now)).await?;
            for ids in found.ids.chunks(CHANGE_PAGE) {
                let ids = ids.to_vec();
                let cleared = self.page(Lane::Write, move |c| clear_deliveries(c, &ids, &retention, now)).await?;
                log::debug!(deliveries = cleared.deliveries, events = cleared.events; "outdated deliveries cleared");
            }
            if !walk.looked_up_to(found.last) {
                break;
            }
        }
        Ok(())
    }

    async fn prune_unwanted(&self, walk: &mut Walk<EventId>) -> Result<(), StoreError> {
        for _ in 0..MAX_PAGES {
            let Some(until) = self.retention.delivered.until(self.now()) else { break };
            let after = walk.after();
            let found = self.page(Lane::Read, move |c| find_unwanted(c, after, until, LOOK_PAGE)).await?;
            for ids in found.ids.chunks(CHANGE_PAGE) {
                let ids = ids.to_vec();
                let events = self.page(Lane::Write, move |c| clear_unwanted(c, &ids)).await?;
                log::debug!(events; "outdated events cleared that nobody had asked for");
            }
            if !walk.looked_up_to(found.last) {
                break;
            }
        }
        Ok(())
    }

    async fn prune_payloads(&self, walk: &mut Walk<EventId>) -> Result<(), StoreError> {
        for _ in 0..MAX_PAGES {
            let now = self.now();
            let Some(until) = self.retention.payloads.until(now) else { break };
            let after = walk.after();
            let found = self.page(Lane::Read, move |c| find_payloads(c, after, until, LOOK_PAGE)).await?;
            for ids in found.ids.chunks(CHANGE_PAGE) {
                let ids = ids.to_vec();
                let payloads = self.page(Lane::Write, move |c| erase_payloads(c, &ids, now)).await?;
                log::debug!(payloads; "outdated payloads erased");
            }
            if !walk.looked_up_to(found.last) {
                break;
            }
        }
        Ok(())
    }
}
