//! Attempts of each subscription added up in memory, until the janitor writes them down.
//!
//! What is not written yet is lost in a crash: it is statistics, and the attempts themselves are rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Clock,
    domain::{id::SubscriptionId, rollup::Rollup},
    store::{Lane, Store, StoreError, record::Record, rollups},
};

type Sums = HashMap<SubscriptionId, Rollup>;

/// See the module; cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Sums>>);

impl Tally {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds attempts that are durable.
    pub(super) fn add<'a>(&self, records: impl Iterator<Item = (SubscriptionId, &'a Record)>) {
        let mut sums = self.sums();
        for (subscription, record) in records {
            sums.entry(subscription).or_default().add(&record.attempt, record.verdict);
        }
    }

    /// What is not written down yet of one subscription.
    #[must_use]
    pub fn unwritten(&self, subscription: SubscriptionId) -> Rollup {
        self.sums().get(&subscription).copied().unwrap_or_default()
    }

    /// Writes down what has come together. When that fails it is kept for the next time.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write(&self, store: &Store, clock: &Clock) -> Result<(), StoreError> {
        let sums = std::mem::take(&mut *self.sums());
        if sums.is_empty() {
            return Ok(());
        }
        let (rows, now): (Vec<_>, _) = (sums.iter().map(|(id, sum)| (*id, *sum)).collect(), clock.now());
        let written = store.run(Lane::Write, move |connection| rollups::write(connection, &rows, now)).await;
        if written.is_err() {
            let mut present = self.sums();
            for (id, sum) in sums {
                present.entry(id).or_default().merge(&sum);
            }
        }
        written
    }
}
