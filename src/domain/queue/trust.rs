//! Whether the endpoint is trusted to take what it is sent, and when it is tried while it is not.
//!
//! One that failed, or of which nothing is known, is tried at an instant that its owner reserves for it among all such
//! endpoints of the process: an event that is owed to a thousand of them is no thousand attempts, and no thousand page reads,
//! at once. Nothing more is sent to it before that attempt has ended, but for probes and what a person orders: what hangs holds
//! one connection or two, not one for each delivery. Those that go on failing wait among themselves: one that mostly works does
//! not stand in line with the dead.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Queue, pace::Ease, steps::Doubt};
use crate::domain::{id::DeliveryId, time::Timestamp};

/// How far from now a reservation may lie. One that was not used for longer is given up, or what gathered over hours would
/// start all at once; one that lies further ahead was made before the clock was set back.
pub const RESERVATION_HOLDS_FOR: Duration = Duration::from_secs(20);

/// What the latest attempts say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The latest arrived.
    Full,
    /// It took something, and refused the latest, as an endpoint that works may do.
    Shaken,
    /// There is none.
    Lacking {
        /// Why.
        doubt: Doubt,
        /// When the next attempt may start; `None` before that was asked for.
        reserved: Option<Timestamp>,
        /// The attempt whose end has to be seen before the next one starts.
        asked: Option<DeliveryId>,
        /// The latest that failed.
        failed: Option<DeliveryId>,
    },
}

impl Trust {
    /// It may work, as far as is known.
    pub(super) const fn new() -> Self {
        Self::Lacking { doubt: Doubt::Unsure, reserved: None, asked: None, failed: None }
    }

    pub(super) const fn is_lacking(&self) -> bool {
        matches!(self, Self::Lacking { .. })
    }

    /// It took the latest.
    pub(super) const fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The endpoint worked when somebody else looked last.
    pub(super) fn gain(&mut self) {
        if matches!(self, Self::Lacking { doubt: Doubt::Unsure, .. }) {
            *self = Self::Full;
        }
    }

    /// Somebody looked after it: it may work again.
    pub(super) fn hope(&mut self) {
        if self.is_lacking() {
            *self = Self::new();
        }
    }

    /// It is another endpoint from now on.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::new();
    }

    /// The endpoint is known to fail.
    pub(super) fn lose(&mut self) {
        if !matches!(self, Self::Lacking { doubt: Doubt::Failing, .. }) {
            *self = Self::Lacking { doubt: Doubt::Failing, reserved: None, asked: self.asked(), failed: None };
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, id: DeliveryId, ease: Ease) {
        match (&self, ease) {
            (_, Ease::Unknown) => return,
            (_, Ease::Took) => *self = Self::Full,
            (Self::Full, Ease::Refused) => *self = Self::Shaken,
            (Self::Full | Self::Shaken, Ease::Refused | Ease::Strained) => *self = Self::new(),
            (Self::Lacking { .. }, Ease::Refused | Ease::Strained) => self.lose(),
        }
        if let Self::Lacking { failed, .. } = self {
            *failed = Some(id);
        }
    }

    /// Why an instant has to be reserved before anything starts at `now`; `None` when none has to be.
    pub(super) fn lacks_reservation(&self, now: Timestamp) -> Option<Doubt> {
        match self {
            Self::Lacking { doubt, .. } if self.reservation(now).is_none() => Some(*doubt),
            Self::Full | Self::Shaken | Self::Lacking { .. } => None,
        }
    }

    /// The next attempt may start at this instant.
    pub(super) fn reserve(&mut self, at: Timestamp) {
        if let Self::Lacking { reserved, .. } = self {
            *reserved = Some(at);
        }
    }

    /// An attempt starts. Others wait for its end, unless the endpoint has just failed for the first time since it worked, which
    /// is a matter of its pace, or this is the delivery that failed last: it may be at fault itself.
    pub(super) fn started(&mut self, id: DeliveryId) {
        let Self::Lacking { doubt, reserved, asked, failed } = self else { return };
        *reserved = None;
        if failed.is_none_or(|failed| *doubt == Doubt::Failing && failed != id) {
            *asked = Some(id);
        }
    }

    /// The attempt whose end has to be seen before the next one starts.
    pub(super) const fn asked(&self) -> Option<DeliveryId> {
        match self {
            Self::Full | Self::Shaken => None,
            Self::Lacking { asked, .. } => *asked,
        }
    }

    /// Nothing starts earlier, as far as is known at `now`.
    pub(super) fn not_before(&self, now: Timestamp) -> Timestamp {
        self.reservation(now).unwrap_or(Timestamp::EPOCH)
    }

    fn reservation(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Full | Self::Shaken => None,
            Self::Lacking { reserved, .. } => {
                reserved.filter(|at| now.since(*at).max(at.since(now)) <= RESERVATION_HOLDS_FOR)
            }
        }
    }
}

impl Queue {
    /// The endpoint worked when it was asked last, although that was not here.
    pub fn endpoint_worked(&mut self) {
        self.trust.gain();
    }

    /// The endpoint is another one from now on. What is in flight says nothing of it.
    pub fn endpoint_moved(&mut self) {
        self.trust.begin_anew();
        self.pace.begin_anew();
        self.breaker.endpoint_moved();
        self.elsewhere = self.in_flight.keys().copied().collect();
    }

    /// The endpoint is known to fail, although no attempt was made here.
    pub fn endpoint_fails(&mut self) {
        self.trust.lose();
    }

    /// The instant asked for by [`Step::Reserve`](super::Step::Reserve).
    pub fn reserved(&mut self, at: Timestamp) {
        self.trust.reserve(at);
    }
}
