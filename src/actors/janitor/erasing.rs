//! Orders to erase what a subscription was sent.
//!
//! First everything that is owed is cancelled, then the subscription's actor gives up its copies and ends what is in flight,
//! then the rows go. A replay or an attempt by hand that slipped in between is found by going round until there is nothing.

use std::time::Duration;

use tokio::time::timeout;

use super::Chores;
use crate::{
    actors::{subscription::UnderWay, withdrawal::WithdrawFrom},
    domain::queue::Withdrawn,
    store::{
        Lane, StoreError,
        erase::{Erasure, carried_out, erase_settled, erasures},
        record::{Reach, cancel_owed},
    },
};

/// Orders looked at at once.
const MAX_ORDERS: i64 = 100;
/// Deliveries cancelled, or erased, in one transaction.
const PAGE: i64 = 250;
/// The longest that attempts in flight are waited for before the next order gets its turn; longer than any attempt takes.
const PATIENCE: Duration = Duration::from_mins(2);

impl Chores {
    pub(super) async fn erase(&self) -> Result<(), StoreError> {
        for erasure in self.store.run(Lane::Read, |c| erasures(c, MAX_ORDERS)).await? {
            while self.go_round(&erasure).await? {}
        }
        Ok(())
    }

    /// Gives whether there may be more to do.
    async fn go_round(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let subscription = erasure.subscription;
        let cancelled = self.cancel(erasure).await?;
        let deliveries = vec![(subscription, Withdrawn::UpTo(erasure.up_to))];
        let withdrawn = self.router.send(WithdrawFrom { deliveries, under_way: UnderWay::Await });
        if timeout(PATIENCE, withdrawn).await.is_err() {
            log::warn!(subscription = subscription.as_raw(); "erasing waits for an attempt to be recorded");
            return Ok(false);
        }
        let erased = self.erase_settled(erasure).await?;
        if cancelled + erased > 0 {
            return Ok(true);
        }
        let erasure = erasure.clone();
        self.store.run(Lane::Write, move |c| carried_out(c, &erasure)).await?;
        log::info!(subscription = subscription.as_raw(); "what a subscription was sent is erased");
        Ok(false)
    }

    async fn cancel(&self, erasure: &Erasure) -> Result<usize, StoreError> {
        let (subscription, up_to) = (erasure.subscription, erasure.up_to);
        let mut cancelled = 0;
        loop {
            let now = self.now();
            let found = self
                .page(Lane::Write, move |c| cancel_owed(c, subscription, Reach::Unfinished, up_to, PAGE, now))
                .await?;
            cancelled += found;
            if i64::try_from(found).is_ok_and(|found| found < PAGE) {
                return Ok(cancelled);
            }
        }
    }

    async fn erase_settled(&self, erasure: &Erasure) -> Result<usize, StoreError> {
        let mut erased = 0;
        loop {
            let order = erasure.clone();
            match self.page(Lane::Write, move |c| erase_settled(c, &order, PAGE)).await?.deliveries {
                0 => return Ok(erased),
                deliveries => erased += deliveries,
            }
        }
    }
}
