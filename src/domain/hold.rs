//! A person's order to stop starting attempts, and how to catch up after it.

use std::num::NonZeroU32;

use super::{id::DeliveryId, queue::Rate, time::Timestamp};

/// The longest reason, in characters.
pub const MAX_REASON_LENGTH: usize = 500;
/// The fastest pace that can be asked for, in deliveries per second: beyond it there is no need for one.
pub const MAX_PER_SECOND: u32 = 100_000;

/// Why, since when and until when a subscription is paused. While it holds nothing is attempted, and what is owed already
/// stays owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; `None` until somebody resumes.
    pub until: Option<Timestamp>,
    /// What happens to events that are accepted meanwhile.
    pub mode: HoldMode,
    /// Why, in the words of whoever paused.
    pub reason: Option<String>,
    /// Who paused: the name of an owner, or `postrider` for the engine itself.
    pub by: String,
}

/// What a pause does to the events that are accepted while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldMode {
    /// They are owed, and delivered after it.
    Keep,
    /// They are not owed: the subscription never gets them.
    Drop,
}

impl HoldMode {
    /// Every mode, for requests.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Drop];

    /// The name in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "hold",
            Self::Drop => "drop",
        }
    }
}

impl Hold {
    /// A hold by the engine itself, until a person resumes.
    #[must_use]
    pub fn by_engine(since: Timestamp, reason: &str) -> Self {
        let (reason, by) = (Some(reason.to_owned()), "postrider".to_owned());
        Self { since, until: None, mode: HoldMode::Keep, reason, by }
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How a subscription catches up with what it was owed when it was resumed: at a pace that its endpoint can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// Attempts that may start per second, first ones and retries alike; at most [`MAX_PER_SECOND`].
    pub per_second: NonZeroU32,
    /// The last delivery that may have been owed then. The ramp is over when none up to it waits for its turn any more; one
    /// that waits for a retry does not.
    pub up_to: DeliveryId,
}

impl Ramp {
    /// As a limit on starts. A tenth of a second's worth may start at once: timers are not exact, and what starts late would
    /// be lost for the pace.
    #[must_use]
    pub fn rate(self) -> Rate {
        let per_second = self.per_second.get();
        Rate { per_second, burst: per_second.div_ceil(10) }
    }
}
