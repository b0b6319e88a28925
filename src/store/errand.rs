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
    /// If it writes: who wants to know when nobody learns what came of it.
    unsure: Option<Arc<Notify>>,
}

struct State {
    stage: Stage,
    since: Instant,
    /// When it was found unanswered for the first time in this stage.
    doubted_since: Option<Instant>,
    /// To be at work together with others.
    permit: Option<OwnedSemaphorePermit>,
    is_waited_for: bool,
    /// What was sent over a connection that was lost may have been carried out.
    may_have_happened: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has no session, or none that a server knows.
    Apart,
    Within(Session),
    GivenUp,
    Over,
}

/// Whether whoever waited for an errand knows what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    /// The database is unavailable: it is not, if anything was sent over a connection that was lost.
    Failed,
    /// Whoever it was has gone away before.
    No,
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
    /// One that begins, with this permit, and is waited for. If it writes, `unsure` is notified when nobody learns what came of it.
    pub(super) fn begin(permit: OwnedSemaphorePermit, unsure: Option<Arc<Notify>>) -> Self {
        let state = State {
            stage: Stage::Apart,
            since: Instant::now(),
            doubted_since: None,
            permit: Some(permit),
            is_waited_for: true,
            may_have_happened: false,
        };
        Self { state: Mutex::new(state), giving_up: Notify::new(), unsure }
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

    /// A connection was lost over which it was sent.
    pub(super) fn may_have_happened(&self) {
        self.state().may_have_happened = true;
    }

    /// Nobody waits for it any more; whoever did was answered that it is `known` what came of it, or not.
    pub(super) fn leave(&self, known: Known) {
        let mut state = self.state();
        state.is_waited_for = false;
        let is_told = known == Known::Yes || (known == Known::Failed && !state.may_have_happened);
        if !is_told && matches!(state.stage, Stage::Over | Stage::GivenUp) {
            self.tell_unsure();
        }
    }

    /// It is over, and its permit is free.
    fn end(&self) {
        let mut state = self.state();
        if state.stage != Stage::GivenUp {
            state.stage = Stage::Over;
        }
        state.permit = None;
        if !state.is_waited_for {
            self.tell_unsure();
        }
    }

    fn tell_unsure(&self) {
        if let Some(unsure) = &self.unsure {
            unsure.notify_one();
        }
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
        state.may_have_happened = true;
        self.giving_up.notify_one();
        if !state.is_waited_for {
            self.tell_unsure();
        }
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
    const SESSION: Session = Session { id: 7, writer: None, server_since: None };

    async fn errand() -> (Arc<Errand>, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).acquire_owned().await.expect("it is open");
        (Arc::new(Errand::begin(permit, None)), permits)
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

    /// Whether somebody was notified.
    async fn is_heard(unsure: &Notify) -> bool {
        tokio::time::timeout(Duration::from_millis(1), unsure.notified()).await.is_ok()
    }

    async fn write(unsure: &Arc<Notify>) -> Errand {
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("it is open");
        Errand::begin(permit, Some(Arc::clone(unsure)))
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_write_of_which_nobody_learns_what_came_somebody_is_told() {
        let unsure = Arc::new(Notify::new());
        for known in [Known::Yes, Known::Failed, Known::No] {
            let first_over = write(&unsure).await;
            first_over.end();
            first_over.leave(known);
            assert_eq!(is_heard(&unsure).await, known == Known::No, "{known:?}");
        }
        let lost = write(&unsure).await;
        lost.may_have_happened();
        lost.end();
        lost.leave(Known::Failed);
        assert!(is_heard(&unsure).await, "it may have happened");
        let left = write(&unsure).await;
        left.leave(Known::No);
        assert!(!is_heard(&unsure).await, "it is still under way");
        left.end();
        assert!(is_heard(&unsure).await, "now it is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_given_up_when_its_client_has_hung_up_is_told_at_once() {
        let unsure = Arc::new(Notify::new());
        let errand = write(&unsure).await;
        errand.leave(Known::No);
        assert!(!errand.doubt(seen(&errand), PATIENCE, || unreachable!("too early")));
        advance(PATIENCE).await;
        assert!(errand.doubt(seen(&errand), PATIENCE, || ()));
        assert!(is_heard(&unsure).await);
    }
}
