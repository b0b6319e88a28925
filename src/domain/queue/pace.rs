//! How fast attempts may start: slots that open with success and close with trouble, and a limit per second.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Slots at first; trust says whether they are used.
const FIRST_SLOTS: usize = 8;
/// Deliveries in memory for each open slot. An endpoint that takes nothing holds no more memory than one slot's.
const REACH_PER_SLOT: usize = 32;

/// A limit on starts: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Starts per second in the long run; at least 1.
    pub per_second: u32,
    /// Starts at once after a rest; at least 1.
    pub burst: u32,
}

/// What an attempt says about how much the endpoint can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ease {
    /// It took it.
    Took,
    /// It answered that it will not have this one: nothing about how much it can take.
    Refused,
    /// It was not there, too slow, or broken.
    Strained,
    /// No attempt was made.
    Unknown,
}

/// The slots that are open, and the tokens that are left.
///
/// Slots grow by one with each success, so that they double as fast as the endpoint answers, and halve with trouble, once for
/// as many attempts as are open: an endpoint that hangs is soon tried by one attempt at a time, long before its breaker
/// opens, and one that comes back is not flattened.
#[derive(Debug)]
pub(super) struct Pace {
    open: usize,
    /// Attempts that may still end in trouble before slots close again.
    forgiven: usize,
    /// When the bucket would have been empty: starts are counted on from here.
    spent_until: Timestamp,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { open: FIRST_SLOTS, forgiven: 0, spent_until: Timestamp::EPOCH }
    }

    /// Slots that may be used, at most `limit`.
    pub(super) fn slots(&self, limit: usize) -> usize {
        self.open.min(limit).max(1)
    }

    /// Deliveries that are worth keeping in memory, at most `window`.
    pub(super) fn reach(&self, window: usize) -> usize {
        (self.open * REACH_PER_SLOT).min(window).max(1)
    }

    /// An attempt ended; there are at most `limit` slots.
    pub(super) fn ended(&mut self, ease: Ease, limit: usize) {
        match ease {
            Ease::Took => {
                self.open = (self.open + 1).min(limit.max(1));
                self.forgiven = self.forgiven.saturating_sub(1);
            }
            Ease::Strained if self.forgiven > 0 => self.forgiven -= 1,
            Ease::Strained => {
                self.forgiven = self.open - 1;
                self.open = (self.open / 2).max(1);
            }
            Ease::Refused | Ease::Unknown => {}
        }
    }

    /// The endpoint works again after it was left alone: one attempt first.
    pub(super) fn start_over(&mut self) {
        self.open = 1;
        self.forgiven = 0;
    }

    /// What was forgiven was the endpoint's of before.
    pub(super) fn begin_anew(&mut self) {
        self.forgiven = 0;
    }

    /// When the next attempt may start by `rate`; in the past when it may now.
    pub(super) fn next_start(&self, rate: Option<Rate>) -> Timestamp {
        let Some(rate) = rate else { return Timestamp::EPOCH };
        let rest = interval(rate) * rate.burst.max(1);
        self.spent_until.before(rest.saturating_sub(interval(rate)))
    }

    /// An attempt starts.
    pub(super) fn started(&mut self, rate: Option<Rate>, now: Timestamp) {
        let Some(rate) = rate else { return };
        // What was not used longer ago than a burst is lost.
        self.spent_until = self.spent_until.max(now).after(interval(rate));
    }
}

fn interval(rate: Rate) -> Duration {
    Duration::from_secs(1) / rate.per_second.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_open_with_success_and_halve_with_trouble() {
        let mut pace = Pace::new();
        (0..100).for_each(|_| pace.ended(Ease::Took, 32));
        assert_eq!(pace.slots(32), 32);
        // All that was in flight when the endpoint went away ends in trouble: that is one trouble, not 32.
        (0..32).for_each(|_| pace.ended(Ease::Strained, 32));
        assert_eq!(pace.slots(32), 16);
        (0..100).for_each(|_| pace.ended(Ease::Strained, 32));
        assert_eq!((pace.slots(32), pace.reach(1_000)), (1, REACH_PER_SLOT));
    }

    #[test]
    fn a_refusal_says_nothing_about_how_much_the_endpoint_can_take() {
        let mut pace = Pace::new();
        (0..100).for_each(|_| pace.ended(Ease::Refused, 32));
        assert_eq!(pace.slots(32), FIRST_SLOTS);
    }

    #[test]
    fn a_tenth_of_trouble_leaves_slots_open() {
        let mut pace = Pace::new();
        (0..1_000).for_each(|n| pace.ended(if n % 10 == 0 { Ease::Strained } else { Ease::Took }, 32));
        assert!(pace.slots(32) >= 8, "{pace:?}");
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_burst_and_rate(per_second in 1_u32..50, burst in 1_u32..20, waits in prop::collection::vec(0_i64..400_000, 1..300)) {
            let rate = Rate { per_second, burst };
            let mut pace = Pace::new();
            let mut now = Timestamp::from_micros(1_800_000_000_000_000);
            let mut starts: Vec<i64> = Vec::new();
            for wait in waits {
                now = Timestamp::from_micros(now.as_micros() + wait);
                while pace.next_start(Some(rate)) <= now {
                    pace.started(Some(rate), now);
                    starts.push(now.as_micros());
                }
            }
            for (index, start) in starts.iter().enumerate() {
                let within = starts[index..].iter().take_while(|other| **other < start + 1_000_000).count();
                prop_assert!(within <= usize::try_from(burst + per_second).expect("small") + 1);
            }
            prop_assert!(!starts.is_empty());
        }
    }
}
