//! What the engine counts of itself, and the text in which a monitoring system reads it.
//!
//! Counting is a few atomic additions: no lock, no text, no look-up by name, so that it can be done for each delivery.
//! Whoever counts is given [`Metrics`]; there is no registry of the process. What is not counted but read off (how many
//! attempts are in flight, how old the oldest delivery is) comes in as [`Readings`] when somebody asks.
//!
//! Knows `domain` for the names of what is counted, and neither store, actors nor HTTP.

mod exposition;
mod numbers;
mod process;
mod totals;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use self::{
    exposition::{Format, expose},
    numbers::{Counter, Histogram, Presence, Present, Spread},
    process::Process,
    totals::Totals,
};
use crate::domain::{
    attempt::{Attempt, FailureClass, Outcome},
    delivery::Verdict,
    id::SubscriptionId,
};

/// Bounds in microseconds for what takes milliseconds: commits.
const SHORT: &[u64] =
    &[500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];
/// Bounds in microseconds for attempts, which end after 60 s.
const ATTEMPT: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];
/// Bounds in microseconds from milliseconds to days: how long a delivery is on its way, retries included.
const LONG: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
];
/// Bounds for events or attempts in one transaction.
const ROWS: &[u64] = &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];
/// Bounds in microseconds for a thread that comes too late; timers round to a millisecond.
const LAG: &[u64] = &[2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];
/// HTTP statuses from 100 to 599.
const STATUSES: usize = 500;

/// What became of an event that somebody published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// It is durable.
    Accepted,
    /// It was durable already, under the same idempotency key.
    Repeated,
    /// Its idempotency key stands for another.
    KeyReused,
    /// Too much was waiting.
    Busy,
    /// The database was away.
    Unavailable,
    /// The database refuses it.
    Refused,
}

impl EventFate {
    const ALL: [Self; 6] =
        [Self::Accepted, Self::Repeated, Self::KeyReused, Self::Busy, Self::Unavailable, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::KeyReused => "key_reused",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
        }
    }
}

/// The two writes on an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Events and what they owe.
    Accept,
    /// Attempts and what follows from them.
    Record,
}

impl Write {
    const ALL: [Self; 2] = [Self::Accept, Self::Record];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Record => "record",
        }
    }
}

/// Names of verdicts, in the order of [`verdict_place`].
const VERDICTS: [&str; 7] = ["delivered", "retry", "dead", "postponed", "cancelled", "expired", "kept"];

const fn verdict_place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Delivered => 0,
        Verdict::RetryAt(_) => 1,
        Verdict::Dead => 2,
        Verdict::Postponed(_) => 3,
        Verdict::Cancelled => 4,
        Verdict::Expired => 5,
        Verdict::Kept => 6,
    }
}

/// Names of what an attempt came to, in the order of [`outcome_place`].
const OUTCOMES: [&str; 3] = ["success", "refused", "failed"];

/// `None` for an attempt that was not made.
const fn outcome_place(outcome: &Outcome) -> Option<usize> {
    match outcome {
        Outcome::Answered(_) if outcome.is_success() => Some(0),
        Outcome::Answered(_) => Some(1),
        Outcome::Failed(_) => Some(2),
        Outcome::NotAttempted => None,
    }
}

/// What one engine counts; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    events: [Counter; EventFate::ALL.len()],
    owed: Counter,
    verdicts: [Counter; VERDICTS.len()],
    failures: [Counter; FailureClass::ALL.len()],
    attempts: [Histogram; OUTCOMES.len()],
    /// From acceptance to arrival.
    ways: Histogram,
    commits: [Histogram; Write::ALL.len()],
    batches: [Histogram; Write::ALL.len()],
    commits_failed: [Counter; Write::ALL.len()],
    answers: Box<[Counter]>,
    clients: Presence,
    endpoints: Presence,
    /// One for each thread that is watched.
    lags: Mutex<Vec<(String, Arc<Histogram>)>>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            events: Default::default(),
            owed: Counter::default(),
            verdicts: Default::default(),
            failures: Default::default(),
            attempts: std::array::from_fn(|_| Histogram::of_durations(ATTEMPT)),
            ways: Histogram::of_durations(LONG),
            commits: std::array::from_fn(|_| Histogram::of_durations(SHORT)),
            batches: std::array::from_fn(|_| Histogram::of_sizes(ROWS)),
            commits_failed: Default::default(),
            answers: (0..STATUSES).map(|_| Counter::default()).collect(),
            clients: Presence::default(),
            endpoints: Presence::default(),
            lags: Mutex::default(),
        }
    }
}

impl Metrics {
    /// This became of `count` published events.
    pub fn published(&self, fate: EventFate, count: u64) {
        self.0.events[fate as usize].add(count);
    }

    /// Accepted events owe so many deliveries more.
    pub fn owed(&self, deliveries: u64) {
        self.0.owed.add(deliveries);
    }

    /// A transaction with `rows` events or attempts took so long, from the wish to the answer.
    pub fn committed(&self, write: Write, took: Duration, rows: u64) {
        self.0.commits[write as usize].add_duration(took);
        self.0.batches[write as usize].add(rows);
    }

    /// The database was away, or refused.
    pub fn not_committed(&self, write: Write) {
        self.0.commits_failed[write as usize].add(1);
    }

    /// An attempt was recorded, and this follows for its delivery. Called from one thread at a time, so that nobody waits for
    /// the memory that it counts in.
    pub fn recorded(&self, attempt: &Attempt, verdict: Verdict) {
        self.0.verdicts[verdict_place(verdict)].add(1);
        if let Some(place) = outcome_place(&attempt.outcome) {
            self.0.attempts[place].add_duration(attempt.duration);
        }
        if let Outcome::Failed(failure) = &attempt.outcome {
            self.0.failures[failure.class as usize].add(1);
        }
        if verdict == Verdict::Delivered {
            self.0.ways.add_duration(attempt.ended_at().since(attempt.delivery.minted_at()));
        }
    }

    /// A request was answered with this status.
    pub fn answered(&self, status: u16) {
        if let Some(counter) = self.0.answers.get(usize::from(status).wrapping_sub(100)) {
            counter.add(1);
        }
    }

    /// Connections of those who use the API.
    #[must_use]
    pub fn clients(&self) -> &Presence {
        &self.0.clients
    }

    /// Connections to endpoints, idle ones included.
    #[must_use]
    pub fn endpoints(&self) -> &Presence {
        &self.0.endpoints
    }

    /// Where the lateness of a thread is counted; threads of one name share it.
    #[must_use]
    pub fn lag_of(&self, thread: &str) -> Arc<Histogram> {
        let mut lags = self.0.lags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lag)) = lags.iter().find(|(name, _)| name == thread) {
            return Arc::clone(lag);
        }
        let lag = Arc::new(Histogram::of_durations(LAG));
        lags.push((thread.to_owned(), Arc::clone(&lag)));
        lag
    }

    fn lags(&self) -> Vec<(String, Spread)> {
        let lags = self.0.lags.lock().unwrap_or_else(PoisonError::into_inner);
        lags.iter().map(|(name, lag)| (name.clone(), lag.spread())).collect()
    }
}

/// What is read off at the moment at which somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// Attempts in flight, and how many there may be.
    pub slots: Use,
    /// Events that wait for their commit.
    pub waiting_events: Use,
    /// Attempts that wait for their record.
    pub waiting_records: Use,
    /// Bytes of payload in memory.
    pub payloads: Use,
    /// Endpoints that fail: in all, and the ones that have failed longest.
    pub failing: Failing,
    /// What is owed; `None` when it could not be found out for a while.
    pub owed: Option<Owed>,
    /// Whether the database answered when it was asked last.
    pub is_database_up: bool,
    /// Memory, files, CPU; `None` where the system does not tell.
    pub process: Option<Process>,
}

/// How much of a bounded thing is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// In use.
    pub used: usize,
    /// The bound.
    pub bound: usize,
}

/// Breakers that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    /// How many.
    pub count: usize,
    /// The ones that have been open longest, and for how long.
    pub longest: Vec<(SubscriptionId, Duration)>,
}

/// Who is owed how much, since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Subscriptions by state: active, paused, inactive.
    pub subscriptions: [usize; 3],
    /// Subscriptions that are owed something.
    pub owing: usize,
    /// Those whose oldest delivery is oldest.
    pub oldest: Vec<Lateness>,
    /// Deliveries owed to all others together.
    pub rest: u64,
}

/// How far one subscription is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Which.
    pub subscription: SubscriptionId,
    /// `active`, `paused` or `inactive`.
    pub state: &'static str,
    /// How long ago its oldest owed delivery was accepted.
    pub age: Duration,
    /// How many deliveries it is owed, counted up to a bound.
    pub owed: u64,
}
