//! What became of a subscription's attempts, added up: for rates, shares and percentiles without reading history.

use std::time::Duration;

use super::{
    attempt::{Attempt, Outcome},
    delivery::Verdict,
};

/// The upper bounds of the buckets of how long attempts took, in milliseconds; the last bucket has none.
const BOUNDS_MS: [u32; 13] = [2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];
/// One more than there are bounds.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;
/// No attempt takes longer.
const LONGEST_MS: u32 = 60_000;

/// Attempts added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Attempts that the endpoint accepted.
    pub succeeded: u64,
    /// Attempts that it did not accept, or that never reached it.
    pub failed: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// Deliveries that became too old in line.
    pub expired: u64,
    /// Attempts by how long they took.
    pub latencies: [u64; BUCKETS],
}

impl Rollup {
    /// Adds an attempt and what followed from it.
    pub fn add(&mut self, attempt: &Attempt, verdict: Verdict) {
        match &attempt.outcome {
            Outcome::NotAttempted => {}
            Outcome::Answered(_) | Outcome::Failed(_) => {
                let counter = if attempt.outcome.is_success() { &mut self.succeeded } else { &mut self.failed };
                *counter += 1;
                let took_ms = u32::try_from(attempt.duration.as_millis()).unwrap_or(u32::MAX);
                self.latencies[BOUNDS_MS.partition_point(|bound| *bound < took_ms)] += 1;
            }
        }
        match verdict {
            Verdict::Delivered => self.delivered += 1,
            Verdict::Dead => self.dead += 1,
            Verdict::Expired => self.expired += 1,
            Verdict::RetryAt(_) | Verdict::Postponed(_) | Verdict::Cancelled | Verdict::Kept => {}
        }
    }

    /// Adds what was added up elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.delivered += other.delivered;
        self.dead += other.dead;
        self.expired += other.expired;
        for (mine, theirs) in self.latencies.iter_mut().zip(other.latencies) {
            *mine += theirs;
        }
    }

    /// Attempts that were made.
    #[must_use]
    pub const fn attempts(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// How long all but `1 - share` of the attempts took at most, as exactly as the buckets tell; `None` without attempts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of attempts are far below 2⁵²")]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.latencies.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = (all as f64 * share.clamp(0.0, 1.0)).max(1.0);
        let mut before = 0.0;
        for (bucket, count) in self.latencies.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && wanted <= before + count {
                let low = f64::from(bucket.checked_sub(1).map_or(0, |below| BOUNDS_MS[below]));
                let high = f64::from(BOUNDS_MS.get(bucket).copied().unwrap_or(LONGEST_MS));
                return Some(Duration::from_secs_f64((low + (high - low) * (wanted - before) / count) / 1_000.0));
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        attempt::{Answer, FailureClass},
        id::DeliveryId,
        time::Timestamp,
        trace::Trace,
    };

    fn attempt(took_ms: u64, status: Option<u16>) -> Attempt {
        let outcome = match status {
            Some(status) => {
                Outcome::Answered(Answer { status, retry_after: None, content_type: None, body: bytes::Bytes::new() })
            }
            None => Outcome::failed(FailureClass::Timeout, "late"),
        };
        let duration = Duration::from_millis(took_ms);
        Attempt {
            delivery: DeliveryId::from_raw(1),
            number: 1,
            started_at: Timestamp::EPOCH,
            duration,
            outcome,
            trace: Trace::default(),
        }
    }

    #[test]
    fn attempts_and_deliveries_are_counted_apart() {
        let mut rollup = Rollup::default();
        rollup.add(&attempt(3, Some(200)), Verdict::Delivered);
        rollup.add(&attempt(3, Some(503)), Verdict::RetryAt(Timestamp::EPOCH));
        rollup.add(&attempt(3, None), Verdict::Dead);
        let put_off = Attempt { outcome: Outcome::NotAttempted, ..attempt(0, None) };
        rollup.add(&put_off, Verdict::Postponed(Timestamp::EPOCH));
        rollup.add(&put_off, Verdict::Expired);
        assert_eq!((rollup.succeeded, rollup.failed, rollup.attempts()), (1, 2, 3));
        assert_eq!((rollup.delivered, rollup.dead, rollup.expired), (1, 1, 1));
        let mut twice = rollup;
        twice.merge(&rollup);
        assert_eq!((twice.attempts(), twice.latencies.iter().sum::<u64>()), (6, 6));
    }

    #[test]
    fn percentiles_lie_in_the_bucket_of_their_attempt() {
        assert_eq!(Rollup::default().percentile(0.5), None);
        let mut rollup = Rollup::default();
        for _ in 0..95 {
            rollup.add(&attempt(15, Some(200)), Verdict::Delivered);
        }
        for _ in 0..5 {
            rollup.add(&attempt(9_000, Some(200)), Verdict::Delivered);
        }
        let millis = |share| rollup.percentile(share).expect("attempts").as_secs_f64() * 1_000.0;
        assert!((10.0..=20.0).contains(&millis(0.5)), "{}", millis(0.5));
        assert!((10.0..=20.0).contains(&millis(0.95)), "{}", millis(0.95));
        assert!((5_000.0..=10_000.0).contains(&millis(0.99)), "{}", millis(0.99));
        let mut long = Rollup::default();
        long.add(&attempt(59_000, None), Verdict::Dead);
        assert!((30.0..=60.0).contains(&long.percentile(0.5).expect("an attempt").as_secs_f64()));
    }
}
