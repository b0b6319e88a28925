//! Attempts at endpoints that fail, or of which nothing is known, one after the other in the whole process.
//!
//! What is owed to many dead endpoints becomes due in the same moment: one event for all of them, then its retries, and all of it
//! again when they are resumed after a pause. Their pages, attempts and records would take both cores from the healthy for as long
//! as they take. Spread over some seconds they take a part of one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::domain::{
    queue::{Doubt, RESERVATION_HOLDS_FOR},
    time::Timestamp,
};

/// The instants at which endpoints are tried that are not trusted; clones share them.
#[derive(Clone, Debug)]
pub struct Trickles {
    unsure: Trickle,
    failing: Trickle,
}

impl Default for Trickles {
    fn default() -> Self {
        Self { unsure: Trickle::new(&UNSURE), failing: Trickle::new(&FAILING) }
    }
}

impl Trickles {
    /// An instant for one attempt at an endpoint that is doubted like this, at `now` or up to 4 s, or 8 s, later.
    #[must_use]
    pub fn reserve(&self, doubt: Doubt, now: Timestamp) -> Timestamp {
        match doubt {
            Doubt::Unsure => self.unsure.reserve(now),
            Doubt::Failing => self.failing.reserve(now),
        }
    }
}

/// How far apart the instants of a line are. An attempt at an endpoint that fails takes about half a millisecond, with its page,
/// its connection, its record and its next look.
#[derive(Debug)]
struct Line {
    interval: Duration,
    /// Nobody waits longer, however many others there are.
    longest_wait: Duration,
}

/// Many of these work, and all of them stand here after a start of the engine: a quarter of a core.
const UNSURE: Line = Line { interval: Duration::from_millis(2), longest_wait: Duration::from_secs(4) };
/// Slower, because nobody waits for them: an eighth of a core.
const FAILING: Line = Line { interval: Duration::from_millis(4), longest_wait: Duration::from_secs(8) };

// Or whoever waits would ask again and again.
const _: () = assert!(UNSURE.longest_wait.as_millis() < RESERVATION_HOLDS_FOR.as_millis());
const _: () = assert!(FAILING.longest_wait.as_millis() < RESERVATION_HOLDS_FOR.as_millis());

/// Instants, one after the other.
#[derive(Clone, Debug)]
struct Trickle {
    line: &'static Line,
    /// The first that is free, in microseconds since the epoch.
    next: Arc<AtomicI64>,
}

impl Trickle {
    fn new(line: &'static Line) -> Self {
        Self { line, next: Arc::default() }
    }

    /// The next that is free. When as many are taken as one may wait for, they are given once more.
    fn reserve(&self, now: Timestamp) -> Timestamp {
        let place = |next| match Timestamp::from_micros(next) {
            next if next > now.after(self.line.longest_wait) => now,
            next => next.max(now),
        };
        let after = |next| Some(place(next).after(self.line.interval).as_micros());
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
        let trickles = Trickles::default();
        let waits = |doubt| [0; 4].map(|_| trickles.clone().reserve(doubt, NOW).since(NOW).as_millis());
        assert_eq!(waits(Doubt::Failing), [0, 4, 8, 12]);
        assert_eq!(waits(Doubt::Unsure), [0, 2, 4, 6], "who may work does not wait behind those that fail");
        let later = NOW.after(Duration::from_secs(1));
        assert_eq!(trickles.reserve(Doubt::Failing, later), later);
    }

    #[test]
    fn nobody_waits_longer_than_the_line_allows() {
        for (doubt, places, longest) in [(Doubt::Failing, 2_001, 8), (Doubt::Unsure, 2_001, 4)] {
            let trickles = Trickles::default();
            let mut waits: Vec<_> = (0..10 * places).map(|_| trickles.reserve(doubt, NOW).since(NOW)).collect();
            waits.sort_unstable();
            assert_eq!(waits.last(), Some(&Duration::from_secs(longest)));
            let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
            assert_eq!(at_once, 10, "each place is taken ten times");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let trickles = Trickles::default();
        let _later = trickles.reserve(Doubt::Failing, NOW.after(Duration::from_hours(1)));
        assert_eq!(trickles.reserve(Doubt::Failing, NOW), NOW);
    }
}
