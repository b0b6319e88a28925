//! What trust does by itself, and how the queue heeds it.

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
    assert_eq!((trust.lacks_reservation(earlier), trust.not_before(earlier)), (Some(Doubt::Unsure), Timestamp::EPOCH));
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
