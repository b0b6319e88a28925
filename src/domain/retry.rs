//! When a failed delivery is attempted again.
//!
//! The four policies, their formulas and the life cycle of 19 attempts are the contract's (sections 0, 4 and 10). A
//! policy's serialised form is the contract's `retry_countdown_config`, because that is also what the column stores.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Timestamp;

/// The greatest value of any number in a policy: 30 days in seconds (contract, section 0).
pub const MAX_NUMBER: u32 = 2_592_000;

/// Attempts of the chain: one and ten retries (contract, section 10.4).
const CHAIN_ATTEMPTS: u16 = 11;
/// After this many attempts a delivery is dead (contract, section 10.5).
pub const MAX_ATTEMPTS: u16 = 19;
/// The least wait between attempts after the chain: the reference's hourly scanner (contract, section 0).
const AFTER_CHAIN: Duration = Duration::from_hours(1);
/// Where the formulas saturate, so that no due time overflows: 100 years in seconds.
const LONGEST_WAIT_SECONDS: u64 = 100 * 365 * 24 * 3_600;

/// How long to wait before each retry. All numbers are seconds, at most [`MAX_NUMBER`], except `factor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", content = "kwargs", rename_all = "snake_case")]
pub enum RetryPolicy {
    /// Always the same wait.
    Fixed {
        /// The wait.
        seconds: u32,
    },
    /// `base × i`, at most `limit`.
    Linear {
        /// What each retry adds.
        base: u32,
        /// The longest wait.
        #[serde(default, skip_serializing_if = "Limit::is_unstated")]
        limit: Limit,
    },
    /// `baseⁱ × factor`, at most `limit`.
    Exponential {
        /// What each retry multiplies by.
        base: u32,
        /// The first wait; at least 1.
        #[serde(default = "one")]
        factor: u32,
        /// The longest wait.
        #[serde(default, skip_serializing_if = "Limit::is_unstated")]
        limit: Limit,
    },
    /// Anything from `min_value` to `max_value`, both included.
    Random {
        /// The shortest wait.
        min_value: u32,
        /// The longest wait; greater than `min_value`.
        max_value: u32,
    },
}

const fn one() -> u32 {
    1
}

/// Why numbers make no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// A number beyond its range.
    #[error("{0:?} must be from {1} to {MAX_NUMBER}")]
    Range(&'static str, u32),
    /// `random` without room.
    #[error("\"max_value\" must be greater than \"min_value\"")]
    Empty,
}

/// The longest wait of a policy. That it was left out and that it was `null` mean the same, but are answered as given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Left out: no limit.
    #[default]
    Unstated,
    /// `null`: no limit.
    Null,
    /// Seconds; 0 is a limit of 0.
    Seconds(u32),
}

impl Limit {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    const fn is_unstated(&self) -> bool {
        matches!(self, Self::Unstated)
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::Unstated | Self::Null => LONGEST_WAIT_SECONDS,
            Self::Seconds(seconds) => seconds as u64,
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unstated | Self::Null => serializer.serialize_none(),
            Self::Seconds(seconds) => serializer.serialize_u32(*seconds),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<u32>::deserialize(deserializer)?.map_or(Self::Null, Self::Seconds))
    }
}

/// The policy of a subscription that names none (contract, section 0).
impl Default for RetryPolicy {
    fn default() -> Self {
        Self::Exponential { base: 2, factor: 1, limit: Limit::Seconds(3_600) }
    }
}

/// What the policy says after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Attempt again, not before this instant.
    At(Timestamp),
    /// Give up.
    Never,
}

impl RetryPolicy {
    /// Checks the ranges of the numbers.
    ///
    /// # Errors
    /// The first [`BadPolicy`].
    pub fn check(&self) -> Result<(), BadPolicy> {
        let number = |name, number: u32, least| {
            if (least..=MAX_NUMBER).contains(&number) { Ok(()) } else { Err(BadPolicy::Range(name, least)) }
        };
        let longest = |limit| match limit {
            Limit::Unstated | Limit::Null => Ok(()),
            Limit::Seconds(seconds) => number("limit", seconds, 0),
        };
        match *self {
            Self::Fixed { seconds } => number("seconds", seconds, 0),
            Self::Linear { base, limit } => number("base", base, 0).and_then(|()| longest(limit)),
            Self::Exponential { base, factor, limit } => {
                number("base", base, 0).and_then(|()| number("factor", factor, 1)).and_then(|()| longest(limit))
            }
            Self::Random { min_value, max_value } if min_value >= max_value => Err(BadPolicy::Empty),
            Self::Random { max_value, .. } => number("max_value", max_value, 0),
        }
    }

    /// The wait at `index`, which counts from 0: after failed attempt *k* it is `countdown(k - 1, …)`.
    ///
    /// `draw` is any random number; only `random` looks at it. The result saturates at 100 years.
    #[must_use]
    pub fn countdown(&self, index: u32, draw: u64) -> Duration {
        let seconds = match *self {
            Self::Fixed { seconds } => u64::from(seconds),
            Self::Linear { base, limit } => u64::from(base).saturating_mul(u64::from(index)).min(limit.seconds()),
            Self::Exponential { base, factor, limit } => {
                u64::from(base).saturating_pow(index).saturating_mul(u64::from(factor)).min(limit.seconds())
            }
            Self::Random { min_value, max_value } => {
                let span = u64::from(max_value.saturating_sub(min_value)) + 1;
                u64::from(min_value) + draw % span
            }
        };
        Duration::from_secs(seconds.min(LONGEST_WAIT_SECONDS))
    }

    /// What follows after failed attempt number `attempt` (1 for the first), which ended at `ended_at`; the first attempt
    /// was recorded at `began_at` (the contract's `created_date`), or the delivery was replayed then.
    #[must_use]
    pub fn after_failure(&self, attempt: u16, began_at: Timestamp, ended_at: Timestamp, draw: u64) -> Retry {
        if attempt < CHAIN_ATTEMPTS {
            Retry::At(ended_at.after(self.countdown(u32::from(attempt).saturating_sub(1), draw)))
        } else if attempt < MAX_ATTEMPTS {
            let by_policy = began_at.after(self.countdown(u32::from(attempt), draw));
            Retry::At(by_policy.max(ended_at.after(AFTER_CHAIN)))
        } else {
            Retry::Never
        }
    }

    /// When the attempts are due that follow failed attempt number `attempt`, if each of them fails at once; else as
    /// [`RetryPolicy::after_failure`]. For people: of a random wait it is the middle.
    pub fn forecast(&self, attempt: u16, began_at: Timestamp, ended_at: Timestamp) -> impl Iterator<Item = Timestamp> {
        let draw = match *self {
            Self::Random { min_value, max_value } => u64::from(max_value.saturating_sub(min_value) / 2),
            Self::Fixed { .. } | Self::Linear { .. } | Self::Exponential { .. } => 0,
        };
        let mut failed = (attempt, ended_at);
        std::iter::from_fn(move || {
            let Retry::At(next) = self.after_failure(failed.0, began_at, failed.1, draw) else { return None };
            failed = (failed.0 + 1, next);
            Some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(policy: &RetryPolicy) -> Vec<u64> {
        (0..10).map(|index| policy.countdown(index, 0).as_secs()).collect()
    }

    #[test]
    fn a_forecast_follows_the_policy_to_its_last_attempt() {
        let start = Timestamp::EPOCH;
        let due: Vec<_> = RetryPolicy::Fixed { seconds: 60 }.forecast(1, start, start).collect();
        assert_eq!((due.len(), due[0].since(start)), (18, Duration::from_mins(1)));
        assert_eq!(due[10].since(start), Duration::from_mins(70), "the chain is followed by the hour");
        assert_eq!(RetryPolicy::Fixed { seconds: 60 }.forecast(18, start, start).count(), 1);
        assert_eq!(RetryPolicy::Fixed { seconds: 60 }.forecast(19, start, start).count(), 0);
        let random = RetryPolicy::Random { min_value: 10, max_value: 20 };
        assert_eq!(random.forecast(1, start, start).next(), Some(start.after(Duration::from_secs(15))));
    }

    /// The table of the contract, section 10.3.
    #[test]
    fn the_formulas_are_those_of_the_contract() {
        assert_eq!(waits(&RetryPolicy::Fixed { seconds: 2 }), [2; 10]);
        assert_eq!(waits(&RetryPolicy::Linear { base: 1, limit: Limit::Unstated }), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(
            waits(&RetryPolicy::Linear { base: 60, limit: Limit::Seconds(100) }),
            [0, 60, 100, 100, 100, 100, 100, 100, 100, 100]
        );
        assert_eq!(
            waits(&RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Seconds(5) }),
            [1, 2, 4, 5, 5, 5, 5, 5, 5, 5]
        );
        assert_eq!(
            waits(&RetryPolicy::Exponential { base: 0, factor: 3, limit: Limit::Null }),
            [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(waits(&RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Seconds(0) }), [0; 10]);
    }

    #[test]
    fn eleven_attempts_by_the_chain_eight_by_the_hour_then_never() {
        let policy = RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Null };
        let hour = Duration::from_hours(1);
        let first = Timestamp::from_micros(1_000_000);
        let ended = first.after(Duration::from_mins(20));
        let after = |attempt| policy.after_failure(attempt, first, ended, 0);
        assert_eq!(after(1), Retry::At(ended.after(Duration::from_secs(1))));
        assert_eq!(after(10), Retry::At(ended.after(Duration::from_secs(512))));
        // 2¹¹ s after the first attempt is sooner than an hour from now; 2¹⁸ s is later.
        assert_eq!(after(11), Retry::At(ended.after(hour)));
        assert_eq!(after(18), Retry::At(first.after(Duration::from_secs(1 << 18))));
        assert_eq!(after(19), Retry::Never);
        assert_eq!(after(200), Retry::Never);
    }

    #[test]
    fn a_policy_is_stored_as_the_contract_writes_it() {
        for text in [
            r#"{"choice":"fixed","kwargs":{"seconds":5}}"#,
            r#"{"choice":"linear","kwargs":{"base":1}}"#,
            r#"{"choice":"linear","kwargs":{"base":1,"limit":null}}"#,
            r#"{"choice":"exponential","kwargs":{"base":2,"factor":1,"limit":3600}}"#,
            r#"{"choice":"random","kwargs":{"min_value":1,"max_value":9}}"#,
        ] {
            let policy: RetryPolicy = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&policy).expect("policies serialise"), text);
        }
    }

    fn any_limit() -> impl Strategy<Value = Limit> {
        prop_oneof![Just(Limit::Unstated), Just(Limit::Null), (0..=MAX_NUMBER).prop_map(Limit::Seconds)]
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        let number = 0..=MAX_NUMBER;
        prop_oneof![
            number.clone().prop_map(|seconds| RetryPolicy::Fixed { seconds }),
            (number.clone(), any_limit()).prop_map(|(base, limit)| RetryPolicy::Linear { base, limit }),
            (number.clone(), 1..=MAX_NUMBER, any_limit()).prop_map(|(base, factor, limit)| RetryPolicy::Exponential {
                base,
                factor,
                limit
            }),
            (0..MAX_NUMBER, 0..MAX_NUMBER)
                .prop_map(|(a, b)| RetryPolicy::Random { min_value: a.min(b), max_value: a.max(b) + 1 }),
        ]
    }

    proptest! {
        #[test]
        fn a_wait_never_leaves_its_bounds(policy in any_policy(), index in 0_u32..40, draw in any::<u64>()) {
            let wait = policy.countdown(index, draw).as_secs();
            match policy {
                RetryPolicy::Fixed { seconds } => prop_assert_eq!(wait, u64::from(seconds)),
                RetryPolicy::Linear { limit, .. } | RetryPolicy::Exponential { limit, .. } => prop_assert!(wait <= limit.seconds()),
                RetryPolicy::Random { min_value, max_value } => prop_assert!((u64::from(min_value)..=u64::from(max_value)).contains(&wait)),
            }
        }

        #[test]
        fn a_retry_is_never_before_the_end_of_the_attempt(policy in any_policy(), attempt in 1_u16..30, draw in any::<u64>()) {
            let first = Timestamp::from_micros(1_800_000_000_000_000);
            let ended = first.after(Duration::from_secs(3));
            match policy.after_failure(attempt, first, ended, draw) {
                Retry::At(due) => prop_assert!(attempt < MAX_ATTEMPTS && due >= ended),
                Retry::Never => prop_assert!(attempt >= MAX_ATTEMPTS),
            }
        }
    }
}
