//! Whether the endpoint is trusted to take what it is sent, and when it is tried while it is not.
//!
//! An endpoint whose latest attempt failed is tried at an instant that its owner reserves for it among all such endpoints of
//! the process: an event that is owed to a thousand of them is no thousand attempts, and no thousand page reads, at once.

use std::time::Duration;

use crate::domain::{breaker::Sign, time::Timestamp};

/// A reservation that was not used is given up after this time, or what gathered over hours would start all at once.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// What the latest attempt says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// It arrived, or there was none yet.
    #[default]
    Full,
    /// It failed.
    Lost {
        /// When the next attempt may start; `None` before that was asked for.
        reserved: Option<Timestamp>,
    },
}

impl Trust {
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// The endpoint is known to fail.
    pub(super) fn lose(&mut self) {
        if *self == Self::Full {
            *self = Self::Lost { reserved: None };
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, sign: Sign) {
        match sign {
            Sign::Success => *self = Self::Full,
            Sign::Failure => self.lose(),
            Sign::None => {}
        }
    }

    /// Whether an instant has to be reserved before anything starts at `now`.
    pub(super) fn lacks_reservation(&self, now: Timestamp) -> bool {
        match self {
            Self::Full => false,
            Self::Lost { reserved } => reserved.is_none_or(|at| now.since(at) > KEPT_FOR),
        }
    }

    /// The next attempt may start at this instant.
    pub(super) fn reserve(&mut self, at: Timestamp) {
        if let Self::Lost { reserved } = self {
            *reserved = Some(at);
        }
    }

    /// An attempt starts.
    pub(super) fn started(&mut self) {
        if let Self::Lost { reserved } = self {
            *reserved = None;
        }
    }

    /// Nothing starts earlier.
    pub(super) fn not_before(&self) -> Timestamp {
        match self {
            Self::Full | Self::Lost { reserved: None } => Timestamp::EPOCH,
            Self::Lost { reserved: Some(at) } => *at,
        }
    }
}
