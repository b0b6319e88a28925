//! A person's order to stop starting attempts.

use super::time::Timestamp;

/// The longest reason, in characters.
pub const MAX_REASON_LENGTH: usize = 500;

/// Why, since when and until when a subscription is paused. While it holds nothing is attempted and nothing is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; `None` until somebody resumes.
    pub until: Option<Timestamp>,
    /// Why, in the words of whoever paused.
    pub reason: Option<String>,
    /// Who paused: the name of an owner, or `postrider` for the engine itself.
    pub by: String,
}

impl Hold {
    /// A hold by the engine itself, until a person resumes.
    #[must_use]
    pub fn by_engine(since: Timestamp, reason: &str) -> Self {
        Self { since, until: None, reason: Some(reason.to_owned()), by: "postrider".to_owned() }
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
