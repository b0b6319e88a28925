//! What the engine tells of itself, as events of its own types, to whoever subscribed to them.
//!
//! Who hears of a subscription: its owner's other subscriptions, and the admins'. It never hears of itself. And no news makes
//! more news of its kind: of a subscription to the engine's own types nothing is told but that it was paused, which happens
//! once until a person resumes it. If its failing were told as well, two of them at one endpoint that comes and goes would
//! keep each other busy for ever.

use std::collections::HashSet;

use super::{
    event_type::{EventType, OPERATIONAL_EVENT_TYPES},
    hold::Hold,
    id::{DeliveryId, EventId, OwnerId, SubscriptionId},
    subscription::Subscription,
    time::Timestamp,
};

/// What happened to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It was paused, by whomever.
    Paused(Hold),
    /// Its endpoint fails whatever it is sent, and is only probed from now on.
    Failing {
        /// The first failure since the last success.
        since: Timestamp,
        /// Failures in a row.
        failures: u64,
        /// What the latest attempt came to.
        last_error: Option<String>,
    },
    /// Its endpoint works again.
    Recovered {
        /// The first failure.
        failing_since: Timestamp,
        /// The first success.
        at: Timestamp,
    },
    /// One of its deliveries was given up.
    Dead(Death),
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Which.
    pub delivery: DeliveryId,
    /// Of what.
    pub event: EventId,
    /// Of which type.
    pub event_type: EventType,
    /// Attempts that were made.
    pub attempts: u16,
    /// What the latest of them came to; `None` when none was made.
    pub last_error: Option<String>,
    /// The owner who skipped it; `None` when its retry policy gave it up.
    pub skipped_by: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl News {
    /// The type of the event that tells it.
    ///
    /// # Panics
    /// Never: the names are types.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        let [paused, failing, recovered, dead] = OPERATIONAL_EVENT_TYPES;
        let name = match self {
            Self::Paused(_) => paused,
            Self::Failing { .. } => failing,
            Self::Recovered { .. } => recovered,
            Self::Dead(_) => dead,
        };
        EventType::parse(name).expect("the names of the engine's own types are types")
    }

    /// Whether it may be told of `subject` at all; see the module.
    #[must_use]
    pub fn may_be_told_of(&self, subject: &Subscription) -> bool {
        let is_operational = subject.terms.event_type.is_operational();
        match self {
            Self::Paused(_) => true,
            Self::Failing { .. } | Self::Recovered { .. } => !is_operational,
            // The subscription may have had another type when the event was accepted.
            Self::Dead(death) => !is_operational && !death.event_type.is_operational(),
        }
    }
}

/// The pause that begins with `now`, the newer version of a subscription; `None` when it was paused so before, or is not.
#[must_use]
pub fn pause_between(before: &Subscription, now: &Subscription, at: Timestamp) -> Option<News> {
    let hold = now.hold_at(at).filter(|_| now.terms.is_active && before.hold != now.hold)?;
    Some(News::Paused(hold.clone()))
}

/// Who hears of one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Of whom.
    pub subject: SubscriptionId,
    /// Whose that is.
    pub owner: OwnerId,
    /// Who sees everything.
    pub admins: HashSet<OwnerId>,
}

impl Audience {
    /// Whether `listener` hears of it.
    #[must_use]
    pub fn includes(&self, listener: &Subscription) -> bool {
        listener.id != self.subject && (listener.owner == self.owner || self.admins.contains(&listener.owner))
    }
}
