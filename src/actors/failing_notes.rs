//! Since when endpoints fail, on the way to the rows of their subscriptions.
//!
//! Endpoints that went away together are worth a note in the same moment. What comes while a transaction is under way shares
//! the next one: a thousand commits would hold up whoever publishes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::{
    domain::{id::SubscriptionId, time::Timestamp},
    store::{
        Lane, Store,
        subscriptions::failing::{Note, note_failing},
    },
};

/// Notes in one transaction. Few, because a row that somebody else holds keeps all of them waiting.
const BATCH: usize = 20;

/// See the module; cloning shares it.
#[derive(Clone, Default)]
pub struct FailingNotes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiting: Mutex<Vec<Entry>>,
    /// Whose transaction it is.
    turn: tokio::sync::Mutex<()>,
}

struct Entry {
    note: Note,
    /// Dropped when it could not be written.
    written: oneshot::Sender<()>,
}

impl FailingNotes {
    /// Writes a note, in one transaction with others that wait. Gives whether it is written; if not, the log says why, unless the
    /// thread died that did it for all.
    pub(super) async fn write(&self, store: &Store, subscription: SubscriptionId, since: Option<Timestamp>) -> bool {
        let (written, mut answer) = oneshot::channel();
        self.waiting().push(Entry { note: (subscription, since), written });
        loop {
            let turn = self.0.turn.lock().await;
            self.write_some(store).await;
            drop(turn);
            match answer.try_recv() {
                Ok(()) => return true,
                Err(TryRecvError::Closed) => return false,
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// Writes the first that wait.
    async fn write_some(&self, store: &Store) {
        let some: Vec<Entry> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        };
        if some.is_empty() {
            return;
        }
        let mut notes: Vec<Note> = some.iter().map(|entry| entry.note).collect();
        // In the order in which others lock many rows. The latest of one subscription stays the last.
        notes.sort_by_key(|(id, _)| *id);
        match store.run(Lane::Write, move |connection| note_failing(connection, &notes)).await {
            // Whoever has gone need not know.
            Ok(()) => some.into_iter().for_each(|entry| entry.written.send(()).unwrap_or_default()),
            Err(error) => {
                log::warn!(endpoints = some.len(), error:% = error; "since when endpoints fail waits to be stored");
            }
        }
    }

    /// Nobody leaves it half changed.
    fn waiting(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
