//! Attempts of each subscription added up in memory, until the janitor writes them down.
//!
//! What is not written yet is lost in a crash: it is statistics, and the attempts themselves are rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Clock,
    domain::{id::SubscriptionId, rollup::Rollup, time::Timestamp},
    store::{Lane, Store, StoreError, record::Record, rollups},
};

type Sums = HashMap<SubscriptionId, Rollup>;

/// See the module; cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Unwritten>>);

#[derive(Debug, Default)]
struct Unwritten {
    sums: Sums,
    /// What is being written, or may have been, although the store said nothing of it.
    piece: Option<Piece>,
}

/// What had come together until then. Written again it changes nothing.
#[derive(Clone, Debug)]
struct Piece {
    sums: Arc<Sums>,
    until: Timestamp,
}

impl Tally {
    fn unwritten_of_all(&self) -> MutexGuard<'_, Unwritten> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds attempts that are durable.
    pub(super) fn add<'a>(&self, records: impl Iterator<Item = (SubscriptionId, &'a Record)>) {
        let sums = &mut self.unwritten_of_all().sums;
        for (subscription, record) in records {
            sums.entry(subscription).or_default().add(&record.attempt, record.verdict);
        }
    }

    /// What is not written down yet of one subscription, as far as is known.
    #[must_use]
    pub fn unwritten(&self, subscription: SubscriptionId) -> Rollup {
        let Unwritten { sums, piece } = &*self.unwritten_of_all();
        let mut sum = sums.get(&subscription).copied().unwrap_or_default();
        if let Some(earlier) = piece.as_ref().and_then(|piece| piece.sums.get(&subscription)) {
            sum.merge(earlier);
        }
        sum
    }

    /// Writes down what has come together. When that fails it is kept for the next time.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write(&self, store: &Store, clock: &Clock) -> Result<(), StoreError> {
        // One that failed comes first.
        for _ in 0..2 {
            let Some((piece, has_failed)) = self.next_piece(clock) else { break };
            let Piece { sums, until } = piece.clone();
            let work = move |connection: &mut _| {
                let rows: Vec<_> = sums.iter().map(|(id, sum)| (*id, *sum)).collect();
                rollups::write(connection, &rows, until)
            };
            store.run(Lane::Write, work).await?;
            self.written(&piece);
            if !has_failed {
                break;
            }
        }
        Ok(())
    }

    /// One that was begun before, and how that ended is not known, or what has come together; and whether it is the former.
    fn next_piece(&self, clock: &Clock) -> Option<(Piece, bool)> {
        let Unwritten { sums, piece } = &mut *self.unwritten_of_all();
        let has_failed = piece.is_some();
        if !has_failed && !sums.is_empty() {
            *piece = Some(Piece { sums: Arc::new(std::mem::take(sums)), until: clock.now() });
        }
        piece.clone().map(|piece| (piece, has_failed))
    }

    fn written(&self, written: &Piece) {
        self.unwritten_of_all().piece.take_if(|piece| Arc::ptr_eq(&piece.sums, &written.sums));
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::store::Keyring;

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_written_is_written_again_as_of_the_same_moment() {
        let folder = tempfile::tempdir().expect("there is a temp folder");
        let url = format!("sqlite:{}", folder.path().join("tally.db").display()).parse().expect("a URL");
        let (store, clock) = (Store::new(url, Keyring::default()), Clock::of_runtime(Timestamp::from_micros(1)));
        let (tally, id) = (Tally::default(), SubscriptionId::from_raw(1));
        let one = Rollup { succeeded: 1, ..Rollup::default() };
        tally.unwritten_of_all().sums.insert(id, one);
        let first = clock.now();
        tally.write(&store, &clock).await.expect_err("there is no table");
        tally.unwritten_of_all().sums.insert(id, one);
        assert_eq!(tally.unwritten(id).succeeded, 2);
        store.migrate().await.expect("an empty database");
        advance(Duration::from_mins(1)).await;
        tally.write(&store, &clock).await.expect("there is a table");
        let series = move |connection: &mut _| rollups::series(connection, &[id], Timestamp::from_micros(0));
        let written = store.run(Lane::Read, series).await.expect("rows");
        assert_eq!(written, [(id, first, one), (id, first.after(Duration::from_mins(1)), one)]);
        assert_eq!(tally.unwritten(id), Rollup::default());
    }
}
