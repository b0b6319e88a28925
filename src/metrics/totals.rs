//! What a person watches, of all that is counted.

use super::{Counter, EventFate, Histogram, Metrics};

/// Sums since the start of the engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Events that were accepted.
    pub accepted: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Attempts that arrived.
    pub succeeded: u64,
    /// Attempts that were refused or failed.
    pub failed: u64,
    /// Attempts by how long they took: upper bounds in seconds, the last one infinite, and how many lie below each and above
    /// the one before.
    pub latencies: Vec<(f64, u64)>,
}

impl Metrics {
    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let counts = &self.0;
        let verdicts = counts.verdicts.each_ref().map(Counter::get);
        let [delivered, _, dead, ..] = verdicts;
        let [success, refused, failed] = counts.attempts.each_ref().map(Histogram::spread);
        let latencies = success.buckets.iter().zip(&refused.buckets).zip(&failed.buckets);
        Totals {
            accepted: counts.events[EventFate::Accepted as usize].get(),
            delivered,
            dead,
            succeeded: success.count(),
            failed: refused.count() + failed.count(),
            latencies: latencies.map(|(((bound, a), (_, b)), (_, c))| (*bound, a + b + c)).collect(),
        }
    }
}

impl Totals {
    /// What came between `earlier` and these.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.latencies.iter().map(|(_, count)| *count).chain(std::iter::repeat(0));
        Self {
            accepted: self.accepted.saturating_sub(earlier.accepted),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            dead: self.dead.saturating_sub(earlier.dead),
            succeeded: self.succeeded.saturating_sub(earlier.succeeded),
            failed: self.failed.saturating_sub(earlier.failed),
            latencies: self.latencies.iter().zip(before).map(|((bound, now), then)| (*bound, now - then)).collect(),
        }
    }

    /// Within how many seconds this share of the attempts ended, to the bound of a bucket; `None` without attempts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let all: u64 = self.latencies.iter().map(|(_, count)| count).sum();
        let mut below = 0;
        let mut last = 0.0;
        for (bound, count) in &self.latencies {
            below += count;
            if bound.is_finite() {
                last = *bound;
            }
            if all > 0 && below as f64 >= all as f64 * share {
                return Some(last);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        attempt::{Attempt, FailureClass, Outcome},
        delivery::Verdict,
        id::DeliveryId,
        time::Timestamp,
        trace::Trace,
    };

    #[test]
    fn what_came_in_between_is_the_difference() {
        let metrics = Metrics::default();
        let failed = |millis| Attempt {
            delivery: DeliveryId::from_raw(1),
            number: 1,
            started_at: Timestamp::EPOCH,
            duration: Duration::from_millis(millis),
            outcome: Outcome::failed(FailureClass::Timeout, "late"),
            trace: Trace::default(),
        };
        metrics.published(EventFate::Accepted, 2);
        metrics.recorded(&failed(40_000), Verdict::RetryAt(Timestamp::EPOCH));
        let early = metrics.totals();
        assert_eq!((early.accepted, early.failed, early.dead), (2, 1, 0));
        assert_eq!(early.percentile(0.95), Some(60.0));
        metrics.recorded(&failed(3), Verdict::Dead);
        let between = metrics.totals().since(&early);
        assert_eq!((between.accepted, between.failed, between.dead), (0, 1, 1));
        assert_eq!(between.percentile(0.95), Some(0.005));
        assert_eq!(Totals::default().percentile(0.95), None);
    }
}
