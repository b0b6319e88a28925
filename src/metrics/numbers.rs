//! Numbers that many threads count up and one reads now and then: atomics, and nothing that waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counted so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of a thing there are now; clones share the number.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Present(Arc<AtomicUsize>);

impl Presence {
    /// One more, for as long as what is given back lives.
    #[must_use]
    pub fn enter(&self) -> Present {
        self.0.fetch_add(1, Ordering::Relaxed);
        Present(Arc::clone(&self.0))
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How values are spread: how many lie at or below each of a few bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for what lies beyond the last; not added up.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// How many make one of what is read. A divisor: 25,000 / 1,000,000 is 0.025, but 25,000 * 0.000001 is not.
    units: f64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Upper bounds with what lies between each and the one before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All values together.
    pub sum: f64,
}

impl Histogram {
    /// Of durations, read in seconds; `bounds` are microseconds and ascend.
    #[must_use]
    pub fn of_durations(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1_000_000.0)
    }

    /// Of plain numbers; `bounds` ascend.
    #[must_use]
    pub fn of_sizes(bounds: &'static [u64]) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: &'static [u64], units: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::default(), units }
    }

    /// One more value.
    pub fn add(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// One more duration, in a histogram of durations.
    pub fn add_duration(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn spread(&self) -> Spread {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / self.units).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Spread { buckets: bounds.zip(counts).collect(), sum: self.sum.load(Ordering::Relaxed) as f64 / self.units }
    }
}

impl Spread {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::of_durations(&[1_000, 1_000_000]);
        for micros in [0, 1_000, 1_001, 2_000_000] {
            histogram.add_duration(Duration::from_micros(micros));
        }
        let spread = histogram.spread();
        assert_eq!(spread.buckets, [(0.001, 2), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(spread.count(), 4);
        assert!((spread.sum - 2.002_001).abs() < 1e-9, "{spread:?}");
    }

    #[test]
    fn what_is_present_counts_until_it_is_dropped() {
        let presence = Presence::default();
        let (one, two) = (presence.enter(), presence.clone().enter());
        assert_eq!(presence.get(), 2);
        drop(one);
        assert_eq!(presence.get(), 1);
        drop(two);
        assert_eq!(presence.get(), 0);
    }
}
