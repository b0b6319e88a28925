//! How long an endpoint has failed without a success between, and when that is too long.
//!
//! It has failed *since the first failure after its last success*, and it fails *still* when the latest attempt failed. Only
//! the end of an attempt decides anything: an endpoint that is sent nothing is never found failing. A pause, and its end, begin
//! the count anew, and so does another endpoint: somebody looked after it.
//!
//! The beginning has to outlive the process, so it is stored; but only once the trouble has lasted for a while, because an
//! endpoint that refuses every tenth delivery would cost two writes for each. A crash before that forgets as much.

use std::time::Duration;

use super::{breaker::Sign, time::Timestamp};

/// Trouble that has lasted so long is stored.
const WORTH_STORING: Duration = Duration::from_mins(1);
/// The same as a part of the time after which the subscription is paused, when that is less.
const PARTS: u32 = 10;

/// The trouble with one endpoint.
#[derive(Debug)]
pub struct Failing {
    pause_after: Option<Duration>,
    since: Option<Timestamp>,
    failures: u64,
    /// Whether it began before this was made.
    is_old: bool,
    row: Row,
    /// Whether anything has arrived.
    has_worked: bool,
    /// The pause is ordered.
    is_over: bool,
}

/// What the row of the subscription says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// It was not read yet. `stale`: whatever it says is over.
    Unknown {
        stale: bool,
    },
    Says(Option<Timestamp>),
}

/// What follows from the end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    Nothing,
    /// It works again, after trouble that began then.
    Recovered(Recovery),
    /// It has failed since then, which is too long: pause the subscription.
    Pause(Timestamp),
}

/// The end of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The first failure.
    pub since: Timestamp,
    /// Whether that was in an earlier life of the engine, or of whoever looks after the subscription.
    pub is_old: bool,
}

impl Failing {
    /// Nothing is known yet. `pause_after`: how long an endpoint may fail; `None` for ever.
    #[must_use]
    pub const fn new(pause_after: Option<Duration>) -> Self {
        Self {
            pause_after,
            since: None,
            failures: 0,
            is_old: false,
            row: Row::Unknown { stale: false },
            has_worked: false,
            is_over: false,
        }
    }

    /// Whether it is known what the row says.
    #[must_use]
    pub fn is_known(&self) -> bool {
        matches!(self.row, Row::Says(_))
    }

    /// The row says this. Gives the recovery when the endpoint was found working before that was known.
    pub fn found(&mut self, stored: Option<Timestamp>) -> Option<Recovery> {
        let Row::Unknown { stale } = self.row else { return None };
        self.row = Row::Says(stored);
        let since = stored?;
        if stale {
            return self.has_worked.then_some(Recovery { since, is_old: true });
        }
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        self.is_old = true;
        None
    }

    /// An attempt ended.
    pub fn attempted(&mut self, sign: Sign, now: Timestamp) -> Finding {
        match sign {
            Sign::None => Finding::Nothing,
            Sign::Success => {
                let recovered = self.since.map(|since| Recovery { since, is_old: self.is_old });
                self.begin_anew();
                self.has_worked = true;
                recovered.map_or(Finding::Nothing, Finding::Recovered)
            }
            Sign::Failure => {
                self.failures += 1;
                let since = *self.since.get_or_insert(now);
                let is_too_long = self.pause_after.is_some_and(|most| since.after(most) <= now);
                if !is_too_long || self.is_over {
                    return Finding::Nothing;
                }
                self.is_over = true;
                Finding::Pause(since)
            }
        }
    }

    /// Whatever was counted counts no more.
    pub fn begin_anew(&mut self) {
        self.since = None;
        self.failures = 0;
        self.is_old = false;
        self.is_over = false;
        if let Row::Unknown { stale } = &mut self.row {
            *stale = true;
        }
    }

    /// What the row should say instead of what it says; `None` when it is right, not worth a write, or not known.
    #[must_use]
    pub fn to_store(&self, now: Timestamp) -> Option<Option<Timestamp>> {
        let Row::Says(stored) = self.row else { return None };
        let wanted = self.since.filter(|since| stored.is_some() || since.after(self.worth_storing_after()) <= now);
        (wanted != stored).then_some(wanted)
    }

    /// How long trouble has to last until it is stored.
    #[must_use]
    pub fn worth_storing_after(&self) -> Duration {
        self.pause_after.map_or(WORTH_STORING, |most| WORTH_STORING.min(most / PARTS))
    }

    /// The row says this from now on.
    pub fn stored(&mut self, since: Option<Timestamp>) {
        self.row = Row::Says(since);
    }

    /// The first failure since the last success; `None` while it works.
    #[must_use]
    pub const fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Attempts that have failed in a row, as far as anybody has counted.
    #[must_use]
    pub const fn failures(&self) -> u64 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(hours: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_hours(hours))
    }

    fn looked(stored: Option<Timestamp>) -> Failing {
        let mut failing = Failing::new(Some(5 * DAY));
        assert_eq!(failing.found(stored), None);
        failing
    }

    #[test]
    fn five_days_from_the_first_failure_without_a_success_between() {
        let mut failing = looked(None);
        assert_eq!(failing.attempted(Sign::Failure, at(0)), Finding::Nothing);
        assert_eq!(failing.attempted(Sign::Failure, at(119)), Finding::Nothing);
        assert_eq!(failing.attempted(Sign::None, at(121)), Finding::Nothing, "nothing was attempted");
        assert_eq!(failing.attempted(Sign::Failure, at(121)), Finding::Pause(at(0)));
        assert_eq!(failing.attempted(Sign::Failure, at(122)), Finding::Nothing, "once is enough");
        assert_eq!(failing.failures(), 4);
    }

    #[test]
    fn a_success_and_a_person_begin_the_count_anew() {
        let mut failing = looked(Some(at(0)));
        let recovery = Recovery { since: at(0), is_old: true };
        assert_eq!(failing.attempted(Sign::Success, at(130)), Finding::Recovered(recovery));
        assert_eq!(failing.attempted(Sign::Failure, at(131)), Finding::Nothing);
        failing.begin_anew();
        assert_eq!(failing.attempted(Sign::Failure, at(252)), Finding::Nothing);
        assert_eq!(failing.since(), Some(at(252)));
    }

    #[test]
    fn the_beginning_outlives_whoever_counts() {
        let mut failing = Failing::new(Some(5 * DAY));
        assert_eq!(failing.attempted(Sign::Failure, at(121)), Finding::Nothing, "the row is not read yet");
        assert_eq!(failing.found(Some(at(0))), None);
        assert_eq!(failing.attempted(Sign::Failure, at(121)), Finding::Pause(at(0)));
    }

    #[test]
    fn a_success_before_the_row_is_read_overrules_it() {
        let mut failing = Failing::new(Some(5 * DAY));
        assert_eq!(failing.attempted(Sign::Success, at(121)), Finding::Nothing);
        assert_eq!(failing.found(Some(at(0))), Some(Recovery { since: at(0), is_old: true }));
        assert_eq!(failing.to_store(at(121)), Some(None));
        assert_eq!(failing.attempted(Sign::Failure, at(122)), Finding::Nothing);
    }

    #[test]
    fn a_moment_of_trouble_is_not_written_down() {
        let mut failing = looked(None);
        let soon = at(0).after(Duration::from_secs(59));
        failing.attempted(Sign::Failure, at(0));
        failing.attempted(Sign::Failure, soon);
        assert_eq!(failing.to_store(soon), None);
        failing.attempted(Sign::Success, soon);
        assert_eq!(failing.to_store(at(9)), None);

        failing.attempted(Sign::Failure, at(10));
        assert_eq!(failing.to_store(at(11)), Some(Some(at(10))));
        failing.stored(Some(at(10)));
        assert_eq!(failing.to_store(at(12)), None);
        failing.attempted(Sign::Success, at(13));
        assert_eq!(failing.to_store(at(13)), Some(None));
    }

    #[test]
    fn without_a_limit_nobody_is_paused() {
        let mut failing = Failing::new(None);
        failing.found(Some(Timestamp::EPOCH));
        assert_eq!(failing.attempted(Sign::Failure, at(1_000_000)), Finding::Nothing);
    }
}
