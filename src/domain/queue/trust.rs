//! Whether the endpoint is trusted to take what it is sent, and when it is tried while it is not.
//!
//! One that failed, or of which nothing is known, is tried at an instant that its owner reserves for it among all such
//! endpoints of the process: an event that is owed to a thousand of them is no thousand attempts, and no thousand page reads,
//! at once. Nothing more is sent to it before that attempt has ended, but for probes and what a person orders: what hangs holds
//! one connection or two, not one for each delivery. Those that go on failing wait among themselves: one that mostly works does
//! not stand in line with the dead.

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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Bearing, Gate, Page, Step,
            tests::{FAILED, TOOK, caught_up, eight_in_flight, finish, limits, owed, started},
        },
        *,
    };
    use crate::domain::{breaker::BreakerSettings, delivery::Next};

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const ID: DeliveryId = DeliveryId::from_raw(1);

    #[test]
    fn one_refusal_costs_no_trust_and_two_in_a_row_do() {
        let mut trust = Trust::new();
        assert!(trust.is_lacking(), "nothing is known");
        for ease in [Ease::Took, Ease::Refused, Ease::Unknown, Ease::Took, Ease::Refused] {
            trust.ended(ID, ease);
            assert!(!trust.is_lacking(), "{ease:?}");
        }
        trust.ended(ID, Ease::Refused);
        assert_eq!(trust.lacks_reservation(NOW), Some(Doubt::Unsure));
        trust.ended(ID, Ease::Took);
        assert_eq!(trust, Trust::Full);
        trust.ended(ID, Ease::Strained);
        assert_eq!(trust.lacks_reservation(NOW), Some(Doubt::Unsure), "who does not answer is not trusted");
    }

    #[test]
    fn who_fails_again_stands_in_line_with_the_dead_until_it_works_or_somebody_looked_after_it() {
        let failing = Some(Doubt::Failing);
        for before in [Ease::Took, Ease::Unknown] {
            let mut trust = Trust::new();
            trust.ended(ID, before);
            trust.ended(ID, Ease::Strained);
            trust.ended(ID, Ease::Refused);
            assert_eq!(trust.lacks_reservation(NOW), failing);
            trust.ended(ID, Ease::Unknown);
            assert_eq!(trust.lacks_reservation(NOW), failing);
            trust.hope();
            assert_eq!(trust.lacks_reservation(NOW), Some(Doubt::Unsure));
            trust.ended(ID, Ease::Refused);
            assert_eq!(trust.lacks_reservation(NOW), failing);
            trust.ended(ID, Ease::Took);
            trust.hope();
            assert_eq!(trust, Trust::Full);
        }
    }

    #[test]
    fn what_was_known_before_counts_only_while_nothing_is_known() {
        let mut trust = Trust::new();
        trust.gain();
        assert!(!trust.is_lacking());
        trust.lose();
        trust.gain();
        assert!(trust.is_lacking());
        trust.begin_anew();
        assert_eq!(trust, Trust::new(), "another endpoint");
    }

    #[test]
    fn a_reservation_is_used_once_and_not_long_after() {
        for doubt in [Doubt::Unsure, Doubt::Failing] {
            let mut trust = Trust::Lacking { doubt, reserved: None, asked: None, failed: None };
            let at = NOW.after(Duration::from_millis(3));
            trust.reserve(at);
            assert_eq!((trust.lacks_reservation(NOW), trust.not_before(NOW)), (None, at));
            assert_eq!(trust.lacks_reservation(at.after(RESERVATION_HOLDS_FOR * 2)), Some(doubt));
            trust.started(ID);
            assert_eq!(trust.lacks_reservation(NOW), Some(doubt));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting() {
        let mut trust = Trust::new();
        trust.reserve(NOW);
        let earlier = NOW.before(Duration::from_mins(10));
        assert_eq!(
            (trust.lacks_reservation(earlier), trust.not_before(earlier)),
            (Some(Doubt::Unsure), Timestamp::EPOCH)
        );
    }

    #[test]
    fn failures_of_an_endpoint_of_before_open_no_breaker() {
        let mut queue = eight_in_flight(3);
        (1..=2).for_each(|id| finish(&mut queue, id, FAILED));
        queue.endpoint_moved();
        (3..=8).for_each(|id| finish(&mut queue, id, FAILED));
        assert_eq!(queue.breaker(), None, "two there, and of the next one nothing is known");
    }

    #[test]
    fn what_went_to_an_endpoint_of_before_says_nothing_of_the_next() {
        let mut queue = eight_in_flight(2);
        (1..=8).for_each(|id| finish(&mut queue, id, FAILED));
        (1..=8).for_each(|id| queue.recorded(DeliveryId::from_raw(id), Next::Settled));
        let probe_at = queue.breaker().expect("it is open").probe_at;
        assert_eq!(started(&mut queue, probe_at), [9]);
        queue.try_endpoint(probe_at);
        assert_eq!(started(&mut queue, probe_at), Vec::<i64>::new(), "one probe at a time");

        queue.endpoint_moved();
        assert_eq!(started(&mut queue, probe_at), [10], "nobody waits for what the last one says");
        let past = queue.finished(DeliveryId::from_raw(9), TOOK, probe_at, 0);
        assert!(matches!(past, Some((_, Bearing::Past))));
        assert!(queue.breaker().is_some() && !queue.is_endpoint_proven());
        finish(&mut queue, 10, TOOK);
        assert!(queue.breaker().is_none() && queue.is_endpoint_proven());
    }

    #[test]
    fn an_endpoint_that_fails_is_tried_and_read_for_when_its_time_comes() {
        let mut queue = caught_up();
        queue.offer((1..=3).map(owed));
        assert_eq!(started(&mut queue, NOW), [1, 2]);
        finish(&mut queue, 1, FAILED);
        assert!(matches!(queue.next(NOW, 100), Step::Reserve(Doubt::Unsure)));
        let at = NOW.after(Duration::from_millis(5));
        queue.reserved(at);
        assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(until)) if until == at));
        assert_eq!(started(&mut queue, at), [3]);
        finish(&mut queue, 3, FAILED);
        queue.look_again();
        assert!(matches!(queue.next(at, 100), Step::Reserve(Doubt::Failing)), "a page, too, is read in its time");
        let later = at.after(Duration::from_millis(5));
        queue.reserved(later);
        assert!(matches!(queue.next(at, 100), Step::Wait(Some(until)) if until == later));
        assert!(matches!(queue.next(later, 100), Step::Read(_)));
        queue.page_read(Page::default());
        finish(&mut queue, 2, TOOK);
        queue.offer([owed(4)]);
        assert_eq!(started(&mut queue, later), [4], "what arrives gives the trust back");
    }

    #[test]
    fn an_endpoint_of_which_nothing_is_known_is_tried_in_its_turn() {
        let mut queue = Queue::new(limits(8, 20), Gate::Open, BreakerSettings::default());
        queue.offer([owed(1)]);
        assert!(matches!(queue.next(NOW, 100), Step::Reserve(Doubt::Unsure)));
        let at = NOW.after(Duration::from_millis(5));
        queue.reserved(at);
        assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(until)) if until == at), "also for its first page");
        assert!(matches!(queue.next(at, 100), Step::Read(_)));
        queue.page_read(Page { fresh: (1..=3).map(owed).collect(), ..Page::default() });
        assert!(matches!(queue.next(at, 100), Step::Start(_)));
        assert!(matches!(queue.next(at, 100), Step::Wait(None)), "one at a time");
        finish(&mut queue, 1, TOOK);
        assert_eq!(started(&mut queue, at), [2, 3], "now it is known");
    }

    #[test]
    fn an_endpoint_that_fails_is_sent_one_at_a_time() {
        let mut queue = caught_up();
        queue.endpoint_fails();
        queue.offer((1..=6).map(owed));
        assert_eq!(started(&mut queue, NOW), [1]);
        finish(&mut queue, 1, FAILED);
        assert_eq!(started(&mut queue, NOW), [2]);
        queue.try_endpoint(NOW);
        assert_eq!(started(&mut queue, NOW), [3], "somebody looked after it");
    }

    #[test]
    fn what_slips_is_left_to_its_pace_and_a_delivery_that_fails_again_holds_up_no_other() {
        let [poison, other] = [2, 3].map(DeliveryId::from_raw);
        let mut trust = Trust::Full;
        trust.ended(poison, Ease::Strained);
        trust.started(other);
        assert_eq!(trust.asked(), None, "it worked until now");
        for _ in 0..3 {
            trust.ended(poison, Ease::Strained);
            trust.started(poison);
            assert_eq!(trust.asked(), None, "the endpoint need not be at fault");
        }
        trust.started(other);
        assert_eq!(trust.asked(), Some(other));
    }

    #[test]
    fn an_endpoint_that_somebody_looked_after_leaves_the_line_of_those_that_fail() {
        let mut queue = caught_up();
        queue.endpoint_fails();
        queue.offer([owed(1)]);
        assert!(matches!(queue.next(NOW, 100), Step::Reserve(Doubt::Failing)));
        queue.try_endpoint(NOW);
        assert!(matches!(queue.next(NOW, 100), Step::Reserve(Doubt::Unsure)));
    }

    #[test]
    fn an_instant_that_was_not_used_is_given_up() {
        let mut queue = caught_up();
        queue.endpoint_fails();
        queue.offer([owed(1)]);
        assert!(matches!(queue.next(NOW, 100), Step::Reserve(Doubt::Failing)));
        queue.reserved(NOW);
        queue.set_gate(Gate::Held { until: None });
        queue.set_gate(Gate::Open);
        let later = NOW.after(Duration::from_mins(1));
        assert!(matches!(queue.next(later, 100), Step::Reserve(Doubt::Failing)));
    }
}
