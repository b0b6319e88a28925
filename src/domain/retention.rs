//! How long what was settled is kept, and what people did.
//!
//! What is pending is never touched, however old it is. Ages count from when a delivery was settled, not from its event:
//! an old one that was redelivered today can be looked at for as long as any other.

use std::{fmt, time::Duration};

use super::{delivery::State, time::Timestamp};

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// This long.
    For(Duration),
    /// Nobody clears it away.
    Forever,
}

impl Keep {
    /// What is as old as this instant, or older, may go; `None`: nothing may.
    #[must_use]
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::For(age) => Some(now.before(age)),
            Self::Forever => None,
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(age) => write!(f, "{age:?}"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// How long each kind of thing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Deliveries that arrived, with their attempts; and events that nobody had asked for.
    pub delivered: Keep,
    /// Dead, expired and cancelled deliveries, with their attempts.
    pub given_up: Keep,
    /// Payloads of which nothing is owed any more; they go with their event at the latest.
    pub payloads: Keep,
    /// What the audit log says.
    pub audit: Keep,
}

impl Retention {
    /// Deliveries in `state` that were settled at this instant or before may go; `None`: none may.
    #[must_use]
    pub fn settled_until(&self, state: State, now: Timestamp) -> Option<Timestamp> {
        match state {
            State::Pending | State::SetAside => None,
            State::Delivered => self.delivered.until(now),
            State::Dead | State::Expired | State::Cancelled => self.given_up.until(now),
        }
    }

    /// No delivery may go that was accepted after this instant; `None`: none may at all.
    #[must_use]
    pub fn accepted_until(&self, now: Timestamp) -> Option<Timestamp> {
        State::ALL.into_iter().filter_map(|state| self.settled_until(state, now)).max()
    }
}

/// After so many sweeps a walk begins again, however long it is.
const MOST_SWEEPS: u16 = 60;

/// How far a walk over rows in the order of their ids has come.
///
/// Most sweeps look only at what has become old since the last one. From time to time a walk begins again, because what could
/// not go when it was passed may go since: a walk of n pages after n sweeps, which is one page for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk<Id> {
    start: Id,
    after: Id,
    pages: u16,
    sweeps: u16,
}

impl<Id: Copy> Walk<Id> {
    /// A walk over everything after `start`.
    #[must_use]
    pub const fn new(start: Id) -> Self {
        Self { start, after: start, pages: 0, sweeps: 0 }
    }

    /// The last row that was looked at.
    #[must_use]
    pub const fn after(&self) -> Id {
        self.after
    }

    /// A page up to `last` was looked at; `None`: there was nothing left to look at. Gives whether this sweep goes on.
    pub fn looked_up_to(&mut self, last: Option<Id>) -> bool {
        if let Some(last) = last {
            self.after = last;
            self.pages = self.pages.saturating_add(1);
            return true;
        }
        self.sweeps += 1;
        if self.sweeps >= self.pages.min(MOST_SWEEPS) {
            *self = Self::new(self.start);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const FOREVER: Retention =
        Retention { delivered: Keep::Forever, given_up: Keep::Forever, payloads: Keep::Forever, audit: Keep::Forever };

    #[test]
    fn what_arrived_goes_first_and_what_is_owed_never() {
        let retention = Retention { delivered: Keep::For(30 * DAY), given_up: Keep::For(90 * DAY), ..FOREVER };
        let now = Timestamp::EPOCH.after(1_000 * DAY);
        let days_ago = |days: u32| Some(now.before(days * DAY));
        assert_eq!(retention.settled_until(State::Delivered, now), days_ago(30));
        for state in [State::Dead, State::Expired, State::Cancelled] {
            assert_eq!(retention.settled_until(state, now), days_ago(90));
        }
        assert_eq!(retention.settled_until(State::Pending, now), None);
        assert_eq!(retention.accepted_until(now), days_ago(30));
    }

    #[test]
    fn what_is_kept_forever_has_no_bound() {
        assert_eq!(FOREVER.accepted_until(Timestamp::EPOCH), None);
        let retention = Retention { given_up: Keep::For(DAY), ..FOREVER };
        assert_eq!(retention.settled_until(State::Delivered, Timestamp::EPOCH.after(DAY)), None);
        assert_eq!(retention.accepted_until(Timestamp::EPOCH.after(DAY)), Some(Timestamp::EPOCH));
    }

    #[test]
    fn a_walk_goes_on_and_begins_again_after_as_many_sweeps_as_it_has_pages() {
        for (pages, sweeps) in [(1, 1), (2, 2), (59, 59), (60, 60), (70_000, 60)] {
            let mut walk = Walk::new(0);
            for page in 1..=pages {
                assert!(walk.looked_up_to(Some(page)));
            }
            for _ in 1..sweeps {
                assert!(!walk.looked_up_to(None));
                assert_eq!(walk.after(), pages);
            }
            assert!(!walk.looked_up_to(None));
            assert_eq!(walk, Walk::new(0), "{pages} pages");
        }
    }
}
