//! Whether the endpoint is trusted to take what it is sent, and when it is tried while it is not.
//!
//! An endpoint that failed is tried at an instant that its owner reserves for it among all such endpoints of the process: an
//! event that is owed to a thousand of them is no thousand attempts, and no thousand page reads, at once.

use std::time::Duration;

use super::{Queue, pace::Ease};
use crate::domain::time::Timestamp;

/// How far from now a reservation may lie. One that was not used for longer is given up, or what gathered over hours would
/// start all at once; one that lies further ahead was made before the clock was set back.
const HOLDS_FOR: Duration = Duration::from_secs(10);

/// What the latest attempts say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// There was none yet.
    #[default]
    Unknown,
    /// The latest arrived.
    Full,
    /// It took something, and refused the latest, as an endpoint that works may do.
    Doubted,
    /// It was not there, refused two in a row, or has taken nothing yet and refused.
    Lost {
        /// When the next attempt may start; `None` before that was asked for.
        reserved: Option<Timestamp>,
    },
}

impl Trust {
    pub(super) const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// It took the latest.
    pub(super) const fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// It is known to work.
    pub(super) const fn is_proven(&self) -> bool {
        matches!(self, Self::Full | Self::Doubted)
    }

    /// The endpoint worked when somebody else looked last.
    pub(super) fn gain(&mut self) {
        if *self == Self::Unknown {
            *self = Self::Full;
        }
    }

    /// It is another endpoint from now on.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::Unknown;
    }

    /// The endpoint is known to fail.
    pub(super) fn lose(&mut self) {
        if !self.is_lost() {
            *self = Self::Lost { reserved: None };
        }
    }

    /// An attempt ended.
    pub(super) fn ended(&mut self, ease: Ease) {
        match (&self, ease) {
            (_, Ease::Took) => *self = Self::Full,
            (Self::Full, Ease::Refused) => *self = Self::Doubted,
            (_, Ease::Refused | Ease::Strained) => self.lose(),
            (_, Ease::Unknown) => {}
        }
    }

    /// Whether an instant has to be reserved before anything starts at `now`.
    pub(super) fn lacks_reservation(&self, now: Timestamp) -> bool {
        self.is_lost() && self.reservation(now).is_none()
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

    /// Nothing starts earlier, as far as is known at `now`.
    pub(super) fn not_before(&self, now: Timestamp) -> Timestamp {
        self.reservation(now).unwrap_or(Timestamp::EPOCH)
    }

    fn reservation(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Unknown | Self::Full | Self::Doubted => None,
            Self::Lost { reserved } => reserved.filter(|at| now.since(*at).max(at.since(now)) <= HOLDS_FOR),
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Gate, Page, Step,
            tests::{FAILED, TOOK, finish, limits, owed, started},
        },
        *,
    };
    use crate::domain::{breaker::BreakerSettings, delivery::Next, id::DeliveryId};

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn one_refusal_costs_no_trust_and_two_in_a_row_do() {
        let mut trust = Trust::default();
        assert!(!trust.is_proven(), "nothing is known");
        for ease in [Ease::Took, Ease::Refused, Ease::Unknown, Ease::Took, Ease::Refused] {
            trust.ended(ease);
            assert!(trust.is_proven() && !trust.is_lost(), "{ease:?}");
        }
        trust.ended(Ease::Refused);
        assert!(trust.lacks_reservation(NOW) && !trust.is_proven());
        trust.ended(Ease::Took);
        assert_eq!(trust, Trust::Full);
        trust.ended(Ease::Strained);
        assert!(trust.is_lost(), "who does not answer is not trusted");
    }

    #[test]
    fn who_has_taken_nothing_yet_and_refuses_is_not_trusted() {
        let mut trust = Trust::default();
        trust.ended(Ease::Unknown);
        assert_eq!(trust, Trust::Unknown);
        trust.ended(Ease::Refused);
        assert!(trust.is_lost());
    }

    #[test]
    fn what_was_known_before_counts_only_while_nothing_is_known() {
        let mut trust = Trust::default();
        trust.gain();
        assert!(trust.is_proven());
        trust.lose();
        trust.gain();
        assert!(trust.is_lost());
        trust.begin_anew();
        assert_eq!(trust, Trust::Unknown, "another endpoint");
    }

    #[test]
    fn a_reservation_is_used_once_and_not_long_after() {
        let mut trust = Trust::Lost { reserved: None };
        let at = NOW.after(Duration::from_millis(3));
        trust.reserve(at);
        assert_eq!((trust.lacks_reservation(NOW), trust.not_before(NOW)), (false, at));
        assert!(trust.lacks_reservation(at.after(HOLDS_FOR * 2)));
        trust.started();
        assert!(trust.lacks_reservation(NOW));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let mut trust = Trust::Lost { reserved: None };
        trust.reserve(NOW);
        let earlier = NOW.before(Duration::from_mins(10));
        assert_eq!((trust.lacks_reservation(earlier), trust.not_before(earlier)), (true, Timestamp::EPOCH));
    }

    #[test]
    fn failures_of_an_endpoint_of_before_open_no_breaker() {
        let breaker = BreakerSettings { threshold: 3, ..BreakerSettings::default() };
        let mut queue = Queue::new(limits(8, 20), Gate::Open, breaker);
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        queue.page_read(Page::default());
        queue.offer((1..=8).map(owed));
        assert_eq!(started(&mut queue, NOW).len(), 8);
        (1..=2).for_each(|id| finish(&mut queue, id, FAILED));
        queue.endpoint_moved();
        (3..=8).for_each(|id| finish(&mut queue, id, FAILED));
        assert_eq!(queue.breaker(), None, "two there, and of the next one nothing is known");
    }

    #[test]
    fn what_went_to_an_endpoint_of_before_says_nothing_of_the_next() {
        let breaker = BreakerSettings { threshold: 2, ..BreakerSettings::default() };
        let mut queue = Queue::new(limits(8, 20), Gate::Open, breaker);
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        queue.page_read(Page::default());
        queue.offer((1..=12).map(owed));
        assert_eq!(started(&mut queue, NOW).len(), 8);
        (1..=8).for_each(|id| finish(&mut queue, id, FAILED));
        (1..=8).for_each(|id| queue.recorded(DeliveryId::from_raw(id), Next::Settled));
        let probe_at = queue.breaker().expect("it is open").probe_at;
        assert_eq!(started(&mut queue, probe_at), [9]);
        queue.try_endpoint(probe_at);
        assert_eq!(started(&mut queue, probe_at), Vec::<i64>::new(), "one probe at a time");

        queue.endpoint_moved();
        assert_eq!(started(&mut queue, probe_at), [10], "nobody waits for what the last one says");
        let past = queue.finished(DeliveryId::from_raw(9), TOOK, probe_at, 0);
        assert!(matches!(past, Some((_, None))));
        assert!(queue.breaker().is_some() && !queue.is_endpoint_proven());
        finish(&mut queue, 10, TOOK);
        assert!(queue.breaker().is_none() && queue.is_endpoint_proven());
    }
}
