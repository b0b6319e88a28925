//! An errand to the database that is under way, as those see it who wait for it.
//!
//! A server that has lost its power does not say so, nor does a network that has forgotten a connection. Whoever waits for an
//! answer then waits for as long as the system believes in the connection: on Linux two hours, if nobody has set another time.
//! Such an errand is *given up*: its thread is left to itself, whoever waits for it is told, and its permit is free for another.
//! Which ones, the lease finds out (`lease::unanswered`), because it speaks to the server anyway.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use super::lease::Session;

/// See the module.
pub(super) struct Errand {
    state: Mutex<State>,
    giving_up: Notify,
}

struct State {
    stage: Stage,
    since: Instant,
    /// When it was found unanswered for the first time in this stage.
    doubted_since: Option<Instant>,
    /// To be at work together with others.
    permit: Option<OwnedSemaphorePermit>,
    is_waited_for: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has no session, or none that a server knows.
    Apart,
    Within(Session),
    GivenUp,
    Over,
}

/// An errand at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// In which session it is; `None` while it gets one.
    pub(super) session: Option<Session>,
    /// Since when.
    pub(super) since: Instant,
}

impl Errand {
    /// One that begins, with this permit, and is waited for.
    pub(super) fn begin(permit: OwnedSemaphorePermit) -> Self {
        let (since, permit) = (Instant::now(), Some(permit));
        let state = State { stage: Stage::Apart, since, doubted_since: None, permit, is_waited_for: true };
        Self { state: Mutex::new(state), giving_up: Notify::new() }
    }

    /// From now on it is in this session, or in none. Gives whether it may go on: not if it was given up.
    #[must_use]
    pub(super) fn enter(&self, session: Option<Session>) -> bool {
        let mut state = self.state();
        if state.stage == Stage::GivenUp {
            return false;
        }
        state.stage = session.map_or(Stage::Apart, Stage::Within);
        (state.since, state.doubted_since) = (Instant::now(), None);
        true
    }

    /// Waits until it is given up.
    pub(super) async fn given_up(&self) {
        self.giving_up.notified().await;
    }

    /// Nobody waits for it any more. Gives whether it is over already, or was given up.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state();
        state.is_waited_for = false;
        matches!(state.stage, Stage::Over | Stage::GivenUp)
    }

    /// It is over, and its permit is free. Gives whether somebody waits for it.
    pub(super) fn end(&self) -> bool {
        let mut state = self.state();
        if state.stage != Stage::GivenUp {
            state.stage = Stage::Over;
        }
        state.permit = None;
        state.is_waited_for
    }

    /// What it is at; `None` when it is over or was given up.
    pub(super) fn sight(&self) -> Option<Sighting> {
        let state = self.state();
        let session = match state.stage {
            Stage::Apart => None,
            Stage::Within(session) => Some(session),
            Stage::GivenUp | Stage::Over => return None,
        };
        Some(Sighting { session, since: state.since })
    }

    /// If it is still what was seen, it has an answer to expect.
    pub(super) fn trust(&self, seen: Sighting) {
        let mut state = self.state();
        if state.since == seen.since {
            state.doubted_since = None;
        }
    }

    /// If it is still what was seen, nobody will answer it. It is given up when that has been so for `patience`: `first` is done,
    /// and only then its permit is free. Gives whether it is.
    pub(super) fn doubt(&self, seen: Sighting, patience: Duration, first: impl FnOnce()) -> bool {
        let mut state = self.state();
        if matches!(state.stage, Stage::GivenUp | Stage::Over) || state.since != seen.since {
            return false;
        }
        let doubted_since = *state.doubted_since.get_or_insert_with(Instant::now);
        if doubted_since.elapsed() < patience {
            return false;
        }
        state.stage = Stage::GivenUp;
        first();
        state.permit = None;
        self.giving_up.notify_one();
        true
    }

    /// Nobody leaves it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever carries out an errand; when dropped, also by a panic, it is over.
pub(super) struct Carrier(pub(super) Arc<Errand>);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::Semaphore, time::advance};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(4);
    const SESSION: Session = Session { id: 7, writer: None, server_since: 0 };

    async fn errand() -> (Arc<Errand>, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(1));
        (Arc::new(Errand::begin(Arc::clone(&permits).acquire_owned().await.expect("it is open"))), permits)
    }

    fn seen(errand: &Errand) -> Sighting {
        errand.sight().expect("it is under way")
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_stays_unanswered_is_given_up() {
        let (errand, permits) = errand().await;
        assert!(errand.enter(Some(SESSION)));
        let sighting = seen(&errand);
        let not_yet = || unreachable!("too early");
        assert!(!errand.doubt(sighting, PATIENCE, not_yet));
        advance(PATIENCE / 2).await;
        assert!(!errand.doubt(sighting, PATIENCE, not_yet));
        errand.trust(sighting);
        advance(PATIENCE / 2).await;
        assert!(!errand.doubt(sighting, PATIENCE, not_yet), "it was trusted meanwhile");
        advance(PATIENCE).await;
        assert!(errand.doubt(sighting, PATIENCE, || assert_eq!(permits.available_permits(), 0)));
        assert_eq!((permits.available_permits(), errand.sight()), (1, None));
        assert!(!errand.enter(None));
        errand.given_up().await;
        drop(Carrier(errand));
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gone_on_since_it_was_seen_is_not_given_up() {
        let (errand, permits) = errand().await;
        let early = seen(&errand);
        assert!(!errand.doubt(early, PATIENCE, || unreachable!("too early")));
        advance(PATIENCE).await;
        assert!(errand.enter(Some(SESSION)));
        assert!(!errand.doubt(early, PATIENCE, || unreachable!("another stage")));
        assert!(!errand.doubt(seen(&errand), PATIENCE, || unreachable!("the first time in this stage")));
        assert_eq!(permits.available_permits(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn its_permit_is_free_when_it_is_over_whoever_still_knows_it() {
        let (errand, permits) = errand().await;
        let sighting = seen(&errand);
        drop(Carrier(Arc::clone(&errand)));
        assert_eq!((permits.available_permits(), errand.sight()), (1, None));
        advance(PATIENCE).await;
        assert!(!errand.doubt(sighting, Duration::ZERO, || unreachable!("it is over")));
    }

    #[tokio::test]
    async fn who_leaves_and_who_ends_it_see_each_other() {
        let (first, _permits) = errand().await;
        assert!(first.end(), "somebody waits");
        assert!(first.leave(), "it is over");
        let (second, _permits) = errand().await;
        assert!(!second.leave(), "it goes on");
        assert!(!second.end(), "nobody waits");
    }
}
