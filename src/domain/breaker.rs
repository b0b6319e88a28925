//! Leaves an endpoint alone that fails whatever it is sent.
//!
//! After a number of consecutive failures of *different* deliveries the breaker opens: nothing is attempted but one probe
//! at a time, on the breaker's own backoff, so that an outage does not burn the attempts of all that waits behind it. The
//! first success closes it. One delivery that fails again and again says nothing about the others, and opens nothing.

use std::time::Duration;

use super::{id::DeliveryId, time::Timestamp};

/// How the breakers of all subscriptions behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many deliveries in a row have to fail; 0 for a breaker that never opens.
    pub threshold: u16,
    /// The wait before the first probe; it doubles with each that fails.
    pub first_wait: Duration,
    /// The longest wait between probes.
    pub longest_wait: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { threshold: 10, first_wait: Duration::from_secs(2), longest_wait: Duration::from_mins(5) }
    }
}

/// One subscription's breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The deliveries that failed since the last success, at most the threshold.
    Closed {
        failed: Vec<DeliveryId>,
    },
    Open {
        since: Timestamp,
        probe_at: Timestamp,
        wait: Duration,
        probe: Option<DeliveryId>,
    },
}

/// What an attempt says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It accepted the delivery.
    Success,
    /// It refused the delivery, or was not there.
    Failure,
    /// Nothing: no attempt was made.
    None,
}

/// Whether an attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Free,
    /// It may, as the only one.
    Probe,
    /// It may not before this instant; `None`: before the probe under way has ended.
    NotBefore(Option<Timestamp>),
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// The endpoint fails from now on.
    Opened,
    /// The endpoint works again.
    Closed,
}

/// An open breaker, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Since when.
    pub since: Timestamp,
    /// When the endpoint is tried next; in the past while a probe is under way.
    pub probe_at: Timestamp,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub const fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failed: Vec::new() } }
    }

    /// Whether an attempt may start at `now`.
    #[must_use]
    pub fn permit(&self, now: Timestamp) -> Permit {
        match &self.state {
            State::Closed { .. } => Permit::Free,
            State::Open { probe: Some(_), .. } => Permit::NotBefore(None),
            State::Open { probe_at, .. } if *probe_at <= now => Permit::Probe,
            State::Open { probe_at, .. } => Permit::NotBefore(Some(*probe_at)),
        }
    }

    /// An attempt starts; while the breaker is open it is the probe.
    pub fn started(&mut self, id: DeliveryId) {
        if let State::Open { probe, .. } = &mut self.state {
            *probe = Some(id);
        }
    }

    /// An attempt ended. `draw` is any random number: probes of many subscriptions must not fall together.
    pub fn ended(&mut self, id: DeliveryId, sign: Sign, now: Timestamp, draw: u64) -> Turn {
        match (&mut self.state, sign) {
            (State::Closed { failed }, Sign::Success) => failed.clear(),
            (State::Closed { failed }, Sign::Failure) => {
                if self.settings.threshold > 0 && !failed.contains(&id) {
                    failed.push(id);
                }
                if self.settings.threshold > 0 && failed.len() >= usize::from(self.settings.threshold) {
                    let wait = self.settings.first_wait;
                    self.state = State::Open { since: now, probe_at: now.after(spread(wait, draw)), wait, probe: None };
                    return Turn::Opened;
                }
            }
            (State::Open { .. }, Sign::Success) => {
                self.state = State::Closed { failed: Vec::new() };
                return Turn::Closed;
            }
            (State::Open { probe_at, wait, probe, .. }, Sign::Failure) if *probe == Some(id) => {
                *probe = None;
                *wait = (*wait * 2).min(self.settings.longest_wait);
                *probe_at = now.after(spread(*wait, draw));
            }
            (State::Open { probe_at, wait, probe, .. }, Sign::None) if *probe == Some(id) => {
                *probe = None;
                *probe_at = now.after(spread(*wait, draw));
            }
            // Attempts that were in flight when it opened say nothing new.
            (State::Open { .. }, Sign::Failure | Sign::None) | (State::Closed { .. }, Sign::None) => {}
        }
        Turn::None
    }

    /// Somebody may have mended the endpoint, or pointed to another: an open breaker probes at once, and its waits begin anew.
    pub fn try_now(&mut self, now: Timestamp) {
        if let State::Open { probe_at, wait, .. } = &mut self.state {
            *probe_at = now;
            *wait = self.settings.first_wait;
        }
    }

    /// The endpoint is another one: a closed breaker begins anew, and an open one does not wait for the probe under way. It stays
    /// open until the next success, so that the end is told of what was told to have begun.
    pub fn endpoint_moved(&mut self) {
        match &mut self.state {
            State::Closed { failed } => failed.clear(),
            State::Open { probe, .. } => *probe = None,
        }
    }

    /// Since when the endpoint fails, and when it is tried next; `None` while the breaker is closed.
    #[must_use]
    pub const fn open(&self) -> Option<Open> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, probe_at, .. } => Some(Open { since, probe_at }),
        }
    }
}

/// `wait` and up to a tenth more.
fn spread(wait: Duration, draw: u64) -> Duration {
    let tenth = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX) / 10;
    wait + Duration::from_micros(if tenth == 0 { 0 } else { draw % tenth })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings =
        BreakerSettings { threshold: 3, first_wait: Duration::from_secs(2), longest_wait: Duration::from_secs(7) };

    fn id(number: i64) -> DeliveryId {
        DeliveryId::from_raw(number)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        let turns = [1, 2, 3].map(|number| breaker.ended(id(number), Sign::Failure, at(0), 0));
        assert_eq!(turns, [Turn::None, Turn::None, Turn::Opened]);
        breaker
    }

    #[test]
    fn failures_of_different_deliveries_in_a_row_open_it() {
        let breaker = opened();
        assert_eq!(breaker.permit(at(1)), Permit::NotBefore(Some(at(2))));
        assert_eq!(breaker.open(), Some(Open { since: at(0), probe_at: at(2) }));
    }

    #[test]
    fn it_probes_at_once_when_asked_to_and_waits_from_the_beginning() {
        let mut breaker = opened();
        for probe in 0..3 {
            breaker.started(id(7));
            breaker.ended(id(7), Sign::Failure, at(100 + probe), 0);
        }
        assert_eq!(breaker.permit(at(103)), Permit::NotBefore(Some(at(109))));
        breaker.try_now(at(103));
        assert_eq!(breaker.permit(at(103)), Permit::Probe);
        breaker.started(id(8));
        assert_eq!(breaker.permit(at(103)), Permit::NotBefore(None), "still one at a time");
        breaker.ended(id(8), Sign::Failure, at(104), 0);
        assert_eq!(breaker.permit(at(104)), Permit::NotBefore(Some(at(108))));
    }

    #[test]
    fn one_delivery_that_keeps_failing_opens_nothing() {
        let mut breaker = Breaker::new(SETTINGS);
        for second in 0..20 {
            assert_eq!(breaker.ended(id(1), Sign::Failure, at(second), 0), Turn::None);
        }
        assert_eq!(breaker.permit(at(20)), Permit::Free);
    }

    #[test]
    fn a_success_between_starts_the_count_again() {
        let mut breaker = Breaker::new(SETTINGS);
        for sign in [Sign::Failure, Sign::Failure, Sign::Success, Sign::Failure, Sign::Failure, Sign::None] {
            assert_eq!(breaker.ended(id(1), sign, at(0), 0), Turn::None);
        }
        assert_eq!(breaker.permit(at(0)), Permit::Free);
    }

    #[test]
    fn probes_go_one_at_a_time_and_wait_longer_and_longer() {
        let mut breaker = opened();
        let mut now = at(2);
        for (number, wait) in [(4, 4), (5, 7), (6, 7)] {
            assert_eq!(breaker.permit(now), Permit::Probe);
            breaker.started(id(number));
            assert_eq!(breaker.permit(now), Permit::NotBefore(None), "one at a time");
            assert_eq!(breaker.ended(id(99), Sign::Failure, now, 0), Turn::None, "of before it opened");
            assert_eq!(breaker.permit(now), Permit::NotBefore(None));
            breaker.ended(id(number), Sign::Failure, now, 0);
            let next = now.after(Duration::from_secs(wait));
            assert_eq!(breaker.permit(now), Permit::NotBefore(Some(next)));
            now = next;
        }
        breaker.started(id(7));
        assert_eq!(breaker.ended(id(7), Sign::Success, now, 0), Turn::Closed);
        assert_eq!((breaker.permit(now), breaker.open()), (Permit::Free, None));
    }

    #[test]
    fn a_probe_that_was_not_made_does_not_count() {
        let mut breaker = opened();
        breaker.started(id(4));
        breaker.ended(id(4), Sign::None, at(2), 0);
        assert_eq!(breaker.permit(at(2)), Permit::NotBefore(Some(at(4))));
    }

    #[test]
    fn a_threshold_of_zero_never_opens() {
        let mut breaker = Breaker::new(BreakerSettings { threshold: 0, ..SETTINGS });
        for number in 0..100 {
            assert_eq!(breaker.ended(id(number), Sign::Failure, at(0), 0), Turn::None);
        }
        assert_eq!(breaker.permit(at(0)), Permit::Free);
    }

    #[test]
    fn probes_of_many_subscriptions_are_spread() {
        assert_eq!(spread(Duration::from_secs(10), 0), Duration::from_secs(10));
        assert!((0..50).all(|draw| spread(Duration::from_secs(10), draw * 77_777) < Duration::from_secs(11)));
        assert_eq!(spread(Duration::ZERO, 5), Duration::ZERO);
    }
}
