//! Who is owed how much since when, over all subscriptions: looked up when somebody asks, and remembered for a while.
//!
//! The look-up reads two rows of the index for each subscription, and counts the deliveries of those furthest behind. It is
//! made at most every few seconds and takes at most a small part of the time, however often and by how many it is asked for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Gate, time::timeout};

use super::State;
use crate::{
    actors::gauges::MOST_NAMED,
    domain::{
        id::{DeliveryId, SubscriptionId},
        time::Timestamp,
    },
    metrics::{Lateness, Owed},
    store::{
        Lane, Store, StoreError,
        owing::{COUNTED_UP_TO, Watched, owing, watch},
    },
};

/// A look-up is remembered for at least so long.
const REMEMBERED: Duration = Duration::from_secs(5);
/// And for so many times as long as it took.
const REST: u32 = 20;
/// How long somebody waits for a look-up; after that he gets the one before.
const PATIENCE: Duration = Duration::from_secs(2);
/// A look-up that is older than that says nothing any more.
const STALE: Duration = Duration::from_mins(5);
/// Subscriptions in one query.
const PAGE: i64 = 500;
/// Beside those that are named, so many are counted, each up to a lower bound; the others count as owed one delivery.
const MORE_COUNTED: usize = 400;
const MORE_COUNTED_UP_TO: usize = 1_000;

/// The latest look-up; cloning shares it.
#[derive(Clone, Default)]
pub struct Survey {
    latest: Arc<Mutex<Latest>>,
    /// Held by the one who looks.
    looking: Arc<Gate<()>>,
}

/// What was found last.
#[derive(Default)]
struct Latest {
    owed: Option<(Timestamp, Owed)>,
    /// When the database is asked again; `None`: at once.
    next_at: Option<Timestamp>,
    is_database_up: bool,
}

/// What a survey says.
pub(crate) struct Surveyed {
    /// `None` when the database has not answered for a while.
    pub(crate) owed: Option<Owed>,
    /// Whether it answered when it was asked last.
    pub(crate) is_database_up: bool,
}

impl Survey {
    /// The latest look-up, made anew if it is old. While somebody looks, all others get the one before.
    pub(crate) async fn of(&self, state: &State) -> Surveyed {
        let now = state.clock.now();
        if let Some(looking) = Arc::clone(&self.looking).try_lock_owned().ok().filter(|_| self.is_due(now)) {
            let (survey, store, clock) = (self.clone(), state.store.clone(), state.clock.clone());
            // A task of its own: who gives up waiting does not cut it off.
            let look = actix_web::rt::spawn(async move {
                let found = look(&store, now).await;
                survey.take(found, now, clock.now());
                drop(looking);
            });
            if timeout(PATIENCE, look).await.is_err() {
                self.latest().is_database_up = false;
            }
        }
        let latest = self.latest();
        let owed = latest.owed.as_ref().filter(|(at, _)| now.since(*at) < STALE).map(|(_, owed)| owed.clone());
        Surveyed { owed, is_database_up: latest.is_database_up }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.latest().next_at.is_none_or(|next_at| next_at <= now)
    }

    fn take(&self, found: Result<Owed, StoreError>, began: Timestamp, ended: Timestamp) {
        let mut latest = self.latest();
        latest.is_database_up = found.is_ok();
        latest.next_at = Some(ended.after(REMEMBERED.max(ended.since(began) * REST)));
        match found {
            Ok(owed) => latest.owed = Some((began, owed)),
            Err(error) => log::warn!(error:% = error; "what is owed could not be surveyed"),
        }
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(store: &Store, now: Timestamp) -> Result<Owed, StoreError> {
    let (subscriptions, behind) = watch_all(store, now).await?;
    let mut owed = Owed { subscriptions, owing: behind.len(), ..Owed::default() };
    for (place, (old, watched)) in behind.into_iter().enumerate() {
        let is_named = place < MOST_NAMED;
        if place >= MOST_NAMED + MORE_COUNTED {
            owed.rest += 1;
            continue;
        }
        let most = if is_named { COUNTED_UP_TO } else { MORE_COUNTED_UP_TO };
        let found = store.run(Lane::Read, move |connection| owing(connection, watched.id, most)).await?;
        match found.oldest {
            Some(oldest) if is_named => owed.oldest.push(Lateness {
                subscription: watched.id,
                state: STATES[state_of(&watched)],
                age: now.since(oldest.min(old).minted_at()),
                owed: found.owed as u64,
            }),
            // All of it may have been settled between the two queries.
            Some(_) | None => owed.rest += found.owed as u64,
        }
    }
    Ok(owed)
}

/// How many subscriptions there are by state, and those that are owed something, the oldest first.
async fn watch_all(store: &Store, now: Timestamp) -> Result<([usize; 3], Vec<(DeliveryId, Watched)>), StoreError> {
    let mut subscriptions = [0; 3];
    let mut behind = Vec::new();
    let mut after = SubscriptionId::from_raw(0);
    loop {
        let page = store.run(Lane::Read, move |connection| watch(connection, after, now, PAGE)).await?;
        for watched in &page {
            subscriptions[state_of(watched)] += 1;
            behind.extend(watched.old.map(|old| (old, *watched)));
        }
        match page.last() {
            Some(last) => after = last.id,
            None => break,
        }
    }
    behind.sort_unstable_by_key(|(old, watched)| (*old, watched.id));
    Ok((subscriptions, behind))
}

/// In the order of [`Owed::subscriptions`].
const STATES: [&str; 3] = ["active", "paused", "inactive"];

const fn state_of(watched: &Watched) -> usize {
    match (watched.is_active, watched.is_held) {
        (true, false) => 0,
        (true, true) => 1,
        (false, _) => 2,
    }
}
