//! Attempts at endpoints that fail, one after the other in the whole process.
//!
//! What is owed to many dead endpoints becomes due in the same moment: one event for all of them, and then its retries. Their
//! attempts and records would take both cores from the healthy for as long as they take. Spread over a fraction of a second
//! they take a small part of a core.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::domain::time::Timestamp;

/// Between two attempts: 2,000 a second.
const INTERVAL: Duration = Duration::from_micros(500);
/// Nobody waits longer, however many others fail.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// The instants at which endpoints that fail are tried; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Trickle {
    /// The first that is free, in microseconds since the epoch.
    next: Arc<AtomicI64>,
}

impl Trickle {
    /// An instant for one attempt, at `now` or up to 250 ms later. When so many are taken, they are given once more.
    #[must_use]
    pub fn reserve(&self, now: Timestamp) -> Timestamp {
        let place = |next| match Timestamp::from_micros(next) {
            next if next > now.after(LONGEST_WAIT) => now,
            next => next.max(now),
        };
        let after = |next| Some(place(next).after(INTERVAL).as_micros());
        match self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after) {
            Ok(next) | Err(next) => place(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn a_lone_one_is_tried_at_once_and_many_one_after_the_other() {
        let trickle = Trickle::default();
        let waits: Vec<_> = (0..4).map(|_| trickle.clone().reserve(NOW).since(NOW).as_micros()).collect();
        assert_eq!(waits, [0, 500, 1_000, 1_500]);
        let later = NOW.after(Duration::from_secs(1));
        assert_eq!(trickle.reserve(later), later);
    }

    #[test]
    fn nobody_waits_longer_than_a_quarter_of_a_second() {
        let trickle = Trickle::default();
        let mut waits: Vec<_> = (0..5_010).map(|_| trickle.reserve(NOW).since(NOW)).collect();
        waits.sort_unstable();
        assert_eq!(waits[5_009], LONGEST_WAIT);
        let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
        assert_eq!(at_once, 10, "501 places, each taken ten times");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let trickle = Trickle::default();
        let _later = trickle.reserve(NOW.after(Duration::from_hours(1)));
        assert_eq!(trickle.reserve(NOW), NOW);
    }
}
