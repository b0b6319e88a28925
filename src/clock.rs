//! The only place that asks what time it is.

use crate::domain::time::Timestamp;

/// A source of the present time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// Follows the timers of the runtime: under a paused runtime time passes only as timers are waited for.
    Runtime {
        start: tokio::time::Instant,
        at: Timestamp,
    },
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `at` now and from then on agrees with the timers of the runtime, for tests in virtual time.
    #[must_use]
    pub fn of_runtime(at: Timestamp) -> Self {
        Self(Source::Runtime { start: tokio::time::Instant::now(), at })
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_time(),
            Source::Runtime { start, at } => at.after(start.elapsed()),
        }
    }
}

/// `at` as `2026-11-24T14:24:24.123456Z` (RFC 3339).
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_time() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since_epoch)
}
