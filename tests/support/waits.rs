//! How long things took: all of them, so that no bucket hides the slow ones.

use std::{fmt, time::Duration};

/// A number of waits, in any order.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Microseconds; half of what a `Duration` needs, and soaks take long.
    micros: Vec<u32>,
}

impl Waits {
    /// One more; what is longer than an hour counts as an hour.
    pub fn add(&mut self, wait: Duration) {
        self.micros.push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    /// All of `others`, too.
    pub fn extend(&mut self, others: &Self) {
        self.micros.extend_from_slice(&others.micros);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// The wait that `percent` of all do not exceed; zero when there are none.
    pub fn percentile(&self, percent: f64) -> Duration {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        let wait = sorted.get(rank.max(1) - 1).copied().unwrap_or_default();
        Duration::from_micros(wait.into())
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        self.percentile(100.0)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99) = (self.percentile(50.0), self.percentile(99.0));
        write!(f, "median {median:.1?}, p99 {p99:.1?}, longest {:.1?} of {}", self.longest(), self.len())
    }
}
