//! A receiver's standing order: one event type, one endpoint, and how to deliver there.

mod config;

use std::time::Duration;

pub use self::config::{BadConfig, BasicAuth, Config, Members};
use super::{
    endpoint::{BadEndpoint, Endpoint},
    event_type::EventType,
    headers::AdditionalHeaders,
    hold::{Hold, HoldMode, Ramp},
    id::{OwnerId, SubscriptionId},
    ordering::Ordering,
    queue::Rate,
    retry::RetryPolicy,
    secret::{Retiring, Secret, retire},
    time::Timestamp,
};

/// How many attempts of one subscription run at once, unless it says otherwise.
pub const DEFAULT_MAX_IN_FLIGHT: u16 = 32;
/// The most attempts of one subscription that may be asked to run at once.
pub const MAX_MAX_IN_FLIGHT: u16 = 1_000;
/// The greatest age that may be asked for: ten years.
pub const MAX_MAX_AGE: Duration = Duration::from_hours(10 * 365 * 24);
/// The most starts a second, or at once, that may be asked for.
pub const MAX_RATE: u32 = 100_000;
/// How long one attempt may take in all, unless the subscription says otherwise (contract, section 0).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Within this time an attempt that has ended is recorded, usually.
const RECORDING: Duration = Duration::from_secs(1);

/// What an owner decides about a subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Which events.
    pub event_type: EventType,
    /// Where to, as given; see [`Terms::endpoint`].
    pub target_url: String,
    /// The secret as given. That there is none and that it is empty mean the same, but are answered as given; what signs is
    /// [`Terms::signing_secret`].
    pub secret: Option<Secret>,
    /// Secrets that were replaced and still sign beside the present one, the latest first; also those whose time is over.
    pub retiring: Vec<Retiring>,
    /// When to attempt again.
    pub retry: RetryPolicy,
    /// Whether new events are matched; when it ends, what is owed is cancelled.
    pub is_active: bool,
    /// Stored and returned for the contract's sake; nothing is run.
    pub callback: Option<String>,
    /// Sent with every delivery.
    pub additional_headers: AdditionalHeaders,
    /// Basic auth, time-out, and whatever else the owner keeps there.
    pub config: Config,
    /// How deliveries flow. The contract knows nothing of it.
    pub flow: Flow,
}

/// How deliveries flow: how many at once, how fast, in which order, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// How many attempts may run at once, 1 to [`MAX_MAX_IN_FLIGHT`].
    pub max_in_flight: u16,
    /// What may not overtake what.
    pub ordering: Ordering,
    /// How many attempts may start per second; `None` for as many as there are slots.
    pub rate: Option<Rate>,
    /// Older deliveries expire; whole seconds. `None` for as long as the retry policy lasts.
    pub max_age: Option<Duration>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { max_in_flight: DEFAULT_MAX_IN_FLIGHT, ordering: Ordering::None, rate: None, max_age: None }
    }
}

impl Terms {
    /// The endpoint.
    ///
    /// # Errors
    /// [`BadEndpoint`] when the URL, which is checked when it is written, was changed behind our back.
    pub fn endpoint(&self) -> Result<Endpoint, BadEndpoint> {
        Endpoint::parse(&self.target_url)
    }

    /// How to sign; `None` for unsigned deliveries. Never empty.
    #[must_use]
    pub fn signing_secret(&self) -> Option<&Secret> {
        self.secret.as_ref().filter(|secret| !secret.reveal().is_empty())
    }

    /// Another secret, or none, at once: whatever signed before does so no more.
    pub fn set_secret(&mut self, secret: Option<Secret>) {
        if self.secret != secret {
            self.retiring.clear();
        }
        self.secret = secret;
    }

    /// These terms with `secret` from `now` on, beside which the present one signs for `overlap` more. To do it twice
    /// changes nothing.
    #[must_use]
    pub fn with_rotated_secret(&self, secret: &Secret, overlap: Duration, now: Timestamp) -> Self {
        if self.secret.as_ref() == Some(secret) {
            return self.clone();
        }
        let retiring = retire(self.signing_secret(), &self.retiring, secret, now.after(overlap), now);
        Self { secret: Some(secret.clone()), retiring, ..self.clone() }
    }
}

/// A subscription as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The row.
    pub id: SubscriptionId,
    /// Whose it is.
    pub owner: OwnerId,
    /// Grows with every change: of two values the one with the greater version is the newer.
    pub version: i64,
    /// What the owner decided.
    pub terms: Terms,
    /// The pause, also one that has run out.
    pub hold: Option<Hold>,
    /// How it catches up after its last pause; `None` at full speed. Whoever attempts its deliveries keeps to it (see
    /// [`Subscription::rate`]), and takes it away when what was owed then has had its turn.
    pub ramp: Option<Ramp>,
    /// When it was written first.
    pub created_at: Timestamp,
    /// When it was written last.
    pub modified_at: Timestamp,
}

impl Subscription {
    /// Whether what its endpoint did `before` says little of what it does now: it was paused, resumed, ended or begun again, or
    /// has another endpoint.
    #[must_use]
    pub fn begins_anew_after(&self, before: &Self) -> bool {
        self.hold != before.hold
            || self.terms.is_active != before.terms.is_active
            || self.terms.target_url != before.terms.target_url
    }

    /// Whether nothing happens to what it is owed before a person resumes it.
    #[must_use]
    pub fn is_held_for_good(&self) -> bool {
        self.terms.is_active && self.hold.as_ref().is_some_and(|hold| hold.until.is_none())
    }

    /// What was accepted before this instant, or replayed, is too old at `now` and not in flight any more; `None` without a
    /// maximum age. The queue gives up what is too old at once ([`super::delivery::is_expired`]); who does so from outside
    /// waits for the attempt that may have started just before.
    #[must_use]
    pub fn expired_before(&self, now: Timestamp) -> Option<Timestamp> {
        let in_flight = self.terms.config.timeout() + RECORDING;
        self.terms.flow.max_age.map(|max_age| now.before(max_age + in_flight))
    }

    /// The pause that is in force at `now`.
    #[must_use]
    pub fn hold_at(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.holds(now))
    }

    /// `inactive`, `paused` or `active`, as people are told.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.terms.is_active, self.hold_at(now)) {
            (false, _) => "inactive",
            (true, Some(_)) => "paused",
            (true, None) => "active",
        }
    }

    /// How fast attempts may start: its own limit, or that of its ramp where it is lower.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        let ramp = self.ramp.map(Ramp::rate);
        self.terms.flow.rate.into_iter().chain(ramp).min_by_key(|rate| rate.per_second)
    }

    /// Whether an event of its type that is accepted at `now` is owed to it.
    #[must_use]
    pub fn is_owed_events(&self, now: Timestamp) -> bool {
        self.terms.is_active && self.hold_at(now).is_none_or(|hold| hold.mode == HoldMode::Keep)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::domain::id::DeliveryId;

    fn subscription(rate: Option<Rate>, ramp: Option<u32>) -> Subscription {
        let up_to = DeliveryId::from_raw(1);
        Subscription {
            id: SubscriptionId::from_raw(1),
            owner: OwnerId::from_raw(1),
            version: 1,
            terms: Terms {
                event_type: EventType::parse("package.created").expect("a type"),
                target_url: "https://a.example/".to_owned(),
                secret: Some(Secret::new("old")),
                retiring: Vec::new(),
                retry: RetryPolicy::default(),
                is_active: true,
                callback: None,
                additional_headers: AdditionalHeaders::default(),
                config: Config::default(),
                flow: Flow { rate, ..Flow::default() },
            },
            hold: None,
            ramp: ramp.and_then(NonZeroU32::new).map(|per_second| Ramp { per_second, up_to }),
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_ramp_slows_down_and_never_speeds_up() {
        let own = Some(Rate { per_second: 50, burst: 7 });
        assert_eq!(subscription(None, None).rate(), None);
        assert_eq!(subscription(own, None).rate(), own);
        assert_eq!(subscription(own, Some(51)).rate(), own);
        assert_eq!(subscription(own, Some(15)).rate(), Some(Rate { per_second: 15, burst: 2 }));
        assert_eq!(subscription(None, Some(1)).rate(), Some(Rate { per_second: 1, burst: 1 }));
    }

    #[test]
    fn a_rotation_lets_the_old_secret_sign_on_and_a_new_secret_does_not() {
        let (terms, new) = (subscription(None, None).terms, Secret::new("new"));
        let rotated = terms.with_rotated_secret(&new, Duration::from_secs(5), Timestamp::EPOCH);
        assert_eq!((rotated.secret.as_ref(), rotated.retiring.len()), (Some(&new), 1));
        assert_eq!(rotated.with_rotated_secret(&new, Duration::ZERO, Timestamp::EPOCH), rotated);

        let mut same = rotated.clone();
        same.set_secret(Some(new));
        assert_eq!(same, rotated);
        same.set_secret(Some(Secret::new("another")));
        assert_eq!(same.retiring, []);
    }

    #[test]
    fn what_was_unsigned_leaves_no_secret_behind() {
        for secret in [None, Some(Secret::new(""))] {
            let unsigned = Terms { secret, ..subscription(None, None).terms };
            let rotated = unsigned.with_rotated_secret(&Secret::new("new"), Duration::from_secs(5), Timestamp::EPOCH);
            assert_eq!(rotated.retiring, []);
        }
    }
}
