//! A piece of work on the database that is under way, as those see it who wait for it.
//!
//! A server that has lost its power does not say so, nor does a network that has forgotten a connection. Whoever waits for an
//! answer then waits for as long as the system believes in the connection: on Linux two hours, if nobody has set another time.
//! Such a job is *given up*: its thread is left to itself, whoever waits for it is told, and its place is free for another. Which
//! ones, the lease finds out (`lease::unanswered`), because it speaks to the server anyway.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use super::lease::Session;

/// See the module.
pub(super) struct Job {
    state: Mutex<State>,
    end: Notify,
}

struct State {
    stage: Stage,
    since: Instant,
    /// In this stage it was found unanswered before.
    is_doubted: bool,
    /// Among those who may be at work at once.
    place: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has no session, or none that a server knows.
    Apart,
    Within(Session),
    GivenUp,
}

/// A job at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// In which session it works; `None` while it gets one.
    pub(super) session: Option<Session>,
    /// For how long.
    pub(super) age: Duration,
    since: Instant,
}

impl Job {
    /// One that begins, at this place.
    pub(super) fn begin(place: OwnedSemaphorePermit) -> Self {
        let state = State { stage: Stage::Apart, since: Instant::now(), is_doubted: false, place: Some(place) };
        Self { state: Mutex::new(state), end: Notify::new() }
    }

    /// From now on it works in this session, or in none. Gives whether it may go on: not if it was given up.
    #[must_use]
    pub(super) fn goes_on(&self, session: Option<Session>) -> bool {
        let mut state = self.state();
        if state.stage == Stage::GivenUp {
            return false;
        }
        state.stage = session.map_or(Stage::Apart, Stage::Within);
        (state.since, state.is_doubted) = (Instant::now(), false);
        true
    }

    /// Waits until it is given up.
    pub(super) async fn given_up(&self) {
        self.end.notified().await;
    }

    /// What it is at; `None` when it was given up.
    pub(super) fn sight(&self) -> Option<Sighting> {
        let state = self.state();
        let session = match state.stage {
            Stage::Apart => None,
            Stage::Within(session) => Some(session),
            Stage::GivenUp => return None,
        };
        Some(Sighting { session, age: state.since.elapsed(), since: state.since })
    }

    /// It is still what was seen, and has an answer to expect.
    pub(super) fn trust(&self, seen: Sighting) {
        let mut state = self.state();
        if state.since == seen.since {
            state.is_doubted = false;
        }
    }

    /// If it is still what was seen, nobody will answer it. The second time in a row it is given up: `first` is done, and only
    /// then its place is free. Gives whether it is.
    pub(super) fn doubt(&self, seen: Sighting, first: impl FnOnce()) -> bool {
        let mut state = self.state();
        if state.stage == Stage::GivenUp || state.since != seen.since {
            return false;
        }
        if !std::mem::replace(&mut state.is_doubted, true) {
            return false;
        }
        state.stage = Stage::GivenUp;
        first();
        state.place = None;
        self.end.notify_one();
        true
    }

    /// Nobody leaves it half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{sync::Semaphore, time::advance};

    use super::*;

    const SESSION: Session = Session { id: 7, writer: None };

    async fn job() -> (Job, Arc<Semaphore>) {
        let places = Arc::new(Semaphore::new(1));
        (Job::begin(Arc::clone(&places).acquire_owned().await.expect("it is open")), places)
    }

    fn seen(job: &Job) -> Sighting {
        job.sight().expect("it is not given up")
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_found_unanswered_twice_in_a_row_is_given_up() {
        let (job, places) = job().await;
        assert!(job.goes_on(Some(SESSION)));
        advance(Duration::from_secs(10)).await;
        let sighting = seen(&job);
        assert_eq!((sighting.session, sighting.age), (Some(SESSION), Duration::from_secs(10)));
        assert!(!job.doubt(sighting, || unreachable!("the first time")));
        job.trust(sighting);
        assert!(!job.doubt(sighting, || unreachable!("the first time again")));
        assert!(job.doubt(sighting, || assert_eq!(places.available_permits(), 0)));
        assert_eq!((places.available_permits(), job.sight()), (1, None));
        assert!(!job.goes_on(None));
        job.given_up().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gone_on_since_it_was_seen_is_not_given_up() {
        let (job, places) = job().await;
        let early = seen(&job);
        assert!(!job.doubt(early, || unreachable!("the first time")));
        advance(Duration::from_secs(1)).await;
        assert!(job.goes_on(Some(SESSION)));
        assert!(!job.doubt(early, || unreachable!("another stage")));
        let later = seen(&job);
        assert!(!job.doubt(later, || unreachable!("the first time in this stage")));
        assert_eq!(places.available_permits(), 0);
        drop(job);
        assert_eq!(places.available_permits(), 1, "at its end its place is free");
    }
}
