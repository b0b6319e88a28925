//! Writes that a subscription owes to the store, whatever the store says first.

use std::time::Duration;

use crate::{
    domain::id::SubscriptionId,
    store::{AnyConnection, Lane, Queried, Store},
};

/// The wait before the store is asked again that could not do what it was asked.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Rows that one transaction moves.
pub(super) const ROWS: i64 = 1_000;

/// Runs `work` until it is known to be done, and gives what it gave: one whose answer is lost may have been carried out, or may
/// yet be, so it has to be such that running it again changes nothing. `what` is told to wait each time that it fails.
pub(super) async fn until_done<T, W>(store: &Store, subscription: SubscriptionId, what: &str, work: W) -> T
where
    T: Send + 'static,
    W: FnMut(&mut AnyConnection) -> Queried<T> + Clone + Send + 'static,
{
    loop {
        match store.run(Lane::Write, work.clone()).await {
            Ok(done) => return done,
            Err(error) => {
                log::warn!(subscription = subscription.as_raw(), error:% = error; "{what} waits");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

/// The same for `work` that moves up to [`ROWS`] rows and says how many it found, until none is left.
pub(super) async fn until_none_is_left<W>(store: &Store, subscription: SubscriptionId, what: &str, work: W)
where
    W: FnMut(&mut AnyConnection) -> Queried<usize> + Clone + Send + 'static,
{
    let is_last = |found: usize| i64::try_from(found).is_ok_and(|found| found < ROWS);
    while !is_last(until_done(store, subscription, what, work.clone()).await) {}
}
