//! What the queue does in the situations that have a name.

mod failing;

use bytes::Bytes;

use super::*;
use crate::domain::{event_type::EventType, id::EventId};

const LIMITS: Limits = limits(2, 10);
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_000);

pub(super) const TOOK: Ended = Ended { sign: Sign::Success, ease: Ease::Took };
pub(super) const FAILED: Ended = Ended { sign: Sign::Failure, ease: Ease::Strained };

pub(super) const fn limits(slots: usize, window: usize) -> Limits {
    Limits { slots, window, rate: None, ordering: Ordering::None, max_age: None }
}

pub(super) fn finish(queue: &mut Queue, id: i64, ended: Ended) {
    queue.finished(DeliveryId::from_raw(id), ended, NOW, 0).expect("it is in flight");
}

/// A delivery of one of three keys.
pub(super) fn keyed(id: i64) -> Owed {
    let mut owed = owed(id);
    let event = Event { ordering_key: Some(format!("package:{}", id % 3)), ..(*owed.event).clone() };
    owed.event = Arc::new(event);
    owed
}

pub(super) fn owed(id: i64) -> Owed {
    let event = Event {
        id: EventId::from_raw(id),
        event_type: EventType::parse("package.created").expect("a type"),
        payload: Bytes::new(),
        ordering_key: None,
        accepted_at: Timestamp::EPOCH,
    };
    Owed { id: DeliveryId::from_raw(id), attempts: 0, course: Course::default(), event: Arc::new(event) }
}

/// A queue that knows nothing but that its endpoint works.
pub(super) fn working(limits: Limits) -> Queue {
    with_breaker(limits, BreakerSettings::default())
}

fn with_breaker(limits: Limits, breaker: BreakerSettings) -> Queue {
    let mut queue = Queue::new(limits, Gate::Open, breaker);
    queue.endpoint_worked();
    queue
}

/// A queue that has read the store and found nothing.
pub(super) fn caught_up() -> Queue {
    let mut queue = working(LIMITS);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page::default());
    queue
}

/// A queue with the first eight of twelve deliveries in flight, whose breaker opens after `threshold` failures.
pub(super) fn eight_in_flight(threshold: u16) -> Queue {
    let breaker = BreakerSettings { threshold, ..BreakerSettings::default() };
    let mut queue = with_breaker(limits(8, 20), breaker);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page::default());
    queue.offer((1..=12).map(owed));
    assert_eq!(started(&mut queue, NOW).len(), 8);
    queue
}

pub(super) fn started(queue: &mut Queue, now: Timestamp) -> Vec<i64> {
    std::iter::from_fn(|| {
        loop {
            match queue.next(now, 100) {
                Step::Start(owed) => break Some(owed.id.as_raw()),
                Step::Reserve(_) => queue.reserved(now),
                Step::Expire(_) | Step::Park(_) | Step::Unpark | Step::Read(_) | Step::Wait(_) | Step::Idle => {
                    break None;
                }
            }
        }
    })
    .collect()
}

#[test]
fn attempts_take_slots_and_give_them_back() {
    let mut queue = caught_up();
    queue.offer((1..=3).map(owed));
    assert_eq!(started(&mut queue, NOW), [1, 2]);
    finish(&mut queue, 1, TOOK);
    assert_eq!(started(&mut queue, NOW), [3], "the slot is free before the record is durable");
}

#[test]
fn what_a_crash_would_repeat_is_bounded_when_the_database_is_slow() {
    let mut queue = caught_up();
    queue.set_limits(limits(1, 1_000));
    queue.offer((1..=100).map(owed));
    let mut attempted = Vec::new();
    while let [id] = started(&mut queue, NOW)[..] {
        finish(&mut queue, id, TOOK);
        attempted.push(id);
    }
    assert_eq!(attempted, [1, 2, 3, 4], "four for the one slot, and none is durable");
    queue.recorded(DeliveryId::from_raw(1), Next::Settled);
    assert_eq!(started(&mut queue, NOW), [5]);
}

#[test]
fn a_full_window_leaves_the_rest_to_the_store() {
    let mut queue = caught_up();
    queue.offer((1..=12).map(owed));
    assert_eq!(queue.stock(), LIMITS.window);
    queue.offer([owed(13)]);
    assert_eq!(queue.stock(), LIMITS.window, "later ones must not overtake those left to the store");
}

#[test]
fn nothing_starts_while_held_and_everything_is_read_again_after() {
    let mut queue = caught_up();
    queue.offer((1..=3).map(owed));
    assert_eq!(started(&mut queue, NOW).len(), 2);
    queue.set_gate(Gate::Held { until: None });
    queue.offer([owed(4)]);
    finish(&mut queue, 1, TOOK);
    assert!(matches!(queue.next(NOW, 100), Step::Wait(None)));
    queue.set_gate(Gate::Open);
    let Step::Read(order) = queue.next(NOW, 100) else { panic!("a read is due") };
    assert_eq!(order.known, [1, 2].map(DeliveryId::from_raw).into());
}

#[test]
fn a_hold_ends_by_itself() {
    let mut queue = caught_up();
    let until = Timestamp::from_micros(5_000);
    queue.set_gate(Gate::Held { until: Some(until) });
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == until));
    assert!(matches!(queue.next(until, 100), Step::Read(_)));
}

#[test]
fn a_retry_is_read_when_it_is_due_and_not_before() {
    let mut queue = caught_up();
    queue.offer([owed(1)]);
    assert_eq!(started(&mut queue, NOW), [1]);
    finish(&mut queue, 1, TOOK);
    let due = Timestamp::from_micros(9_000);
    queue.recorded(DeliveryId::from_raw(1), Next::DueAt(due));
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == due));
    let Step::Read(order) = queue.next(due, 100) else { panic!("a read is due") };
    assert_eq!((order.fresh, order.due), (0, 5), "nothing that was never attempted is left behind");
}

#[test]
fn a_window_of_one_sees_retries_too() {
    let mut queue = working(limits(1, 1));
    let Step::Read(order) = queue.next(NOW, 100) else { panic!("a read is due") };
    assert_eq!((order.fresh, order.due), (1, 1));
}

#[test]
fn retries_and_first_attempts_take_turns() {
    let mut queue = working(limits(4, 10));
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    let page = Page { fresh: vec![owed(11), owed(12)], due: vec![owed(1), owed(2)], ..Page::default() };
    queue.page_read(page);
    assert_eq!(started(&mut queue, NOW), [11, 1, 12, 2]);
}

#[test]
fn an_old_page_does_not_bring_back_what_was_settled_meanwhile() {
    let mut queue = caught_up();
    queue.offer([owed(1)]);
    assert_eq!(started(&mut queue, NOW), [1]);
    queue.look_again();
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    finish(&mut queue, 1, TOOK);
    queue.recorded(DeliveryId::from_raw(1), Next::Settled);
    queue.page_read(Page { fresh: vec![owed(1)], ..Page::default() });
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new());
}

#[test]
fn an_offer_that_a_page_overtook_is_not_attempted_twice() {
    let mut queue = working(LIMITS);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page { fresh: vec![owed(5)], ..Page::default() });
    assert_eq!(started(&mut queue, NOW), [5]);
    finish(&mut queue, 5, TOOK);
    queue.recorded(DeliveryId::from_raw(5), Next::Settled);
    queue.offer([owed(5)]);
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new());
}

#[test]
fn what_is_offered_while_a_page_is_read_follows_it() {
    let mut queue = working(limits(4, 10));
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.offer([owed(2), owed(3)]);
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new(), "something older may be on the page");
    queue.page_read(Page { fresh: vec![owed(1), owed(2)], ..Page::default() });
    assert_eq!(started(&mut queue, NOW), [1, 2, 3]);
}

#[test]
fn what_is_offered_while_a_page_is_read_is_dropped_when_more_is_left_behind() {
    let mut queue = working(limits(4, 10));
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.offer([owed(9)]);
    queue.page_read(Page { fresh: vec![owed(1)], more_fresh: true, ..Page::default() });
    assert_eq!(started(&mut queue, NOW), [1]);
    assert!(queue.behind.is_reading(), "the rest is read, and 9 with it");
}

#[test]
fn a_failed_read_is_repeated_later() {
    let mut queue = working(LIMITS);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    let later = Timestamp::from_micros(2_000);
    queue.read_failed(later);
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == later));
    assert!(matches!(queue.next(later, 100), Step::Read(_)));
}

#[test]
fn a_shut_queue_lets_go_once_its_attempts_are_recorded() {
    let mut queue = caught_up();
    queue.offer([owed(1)]);
    assert_eq!(started(&mut queue, NOW), [1]);
    queue.set_gate(Gate::Shut);
    assert!(matches!(queue.next(NOW, 100), Step::Wait(None)));
    finish(&mut queue, 1, TOOK);
    queue.recorded(DeliveryId::from_raw(1), Next::Settled);
    assert!(matches!(queue.next(NOW, 100), Step::Idle));
}

#[test]
fn one_key_waits_while_others_flow() {
    let mut queue = working(Limits { ordering: Ordering::Key, ..limits(8, 20) });
    assert!(matches!(queue.next(NOW, 100), Step::Read(ReadOrder { keys: true, .. })));
    queue.page_read(Page { keys: Some(KeysFound::default()), ..Page::default() });
    queue.offer((1..=6).map(keyed));
    assert_eq!(started(&mut queue, NOW), [1, 2, 3]);
    finish(&mut queue, 1, FAILED);
    let due = Timestamp::from_micros(9_000);
    queue.recorded(DeliveryId::from_raw(1), Next::DueAt(due));
    finish(&mut queue, 2, TOOK);
    queue.recorded(DeliveryId::from_raw(2), Next::Settled);
    assert_eq!(started(&mut queue, NOW), [5], "4 waits for the retry of 1");
    assert_eq!(queue.holder_of(KeyHash::of("package:1")), Some(DeliveryId::from_raw(1)));
}

#[test]
fn an_order_by_hand_does_not_free_the_key_of_one_that_waits() {
    let key = Limits { ordering: Ordering::Key, ..limits(8, 20) };
    let mut queue = working(key);
    assert_eq!(queue.claim(DeliveryId::from_raw(7)), Claim::Granted);
    queue.claim_started(keyed(7));
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    let waiting = vec![(KeyHash::of("package:1"), DeliveryId::from_raw(1))];
    let keys = Some(KeysFound { waiting, parked: Vec::new() });
    queue.page_read(Page { keys, fresh: vec![keyed(4)], ..Page::default() });
    finish(&mut queue, 7, TOOK);
    queue.recorded(DeliveryId::from_raw(7), Next::Settled);
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new(), "4 waits for the retry of 1, although 7 has arrived");
}

#[test]
fn a_whole_subscription_in_order_is_one_line() {
    let limits = Limits { ordering: Ordering::Subscription, ..limits(8, 20) };
    let mut queue = working(limits);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page { keys: Some(KeysFound::default()), ..Page::default() });
    queue.offer((1..=3).map(owed));
    assert_eq!(started(&mut queue, NOW), [1]);
    finish(&mut queue, 1, TOOK);
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new(), "it is not durable yet");
    queue.recorded(DeliveryId::from_raw(1), Next::Settled);
    assert_eq!(started(&mut queue, NOW), [2]);
}

#[test]
fn an_endpoint_that_fails_is_probed_one_at_a_time() {
    let mut queue = eight_in_flight(2);
    finish(&mut queue, 1, FAILED);
    finish(&mut queue, 2, FAILED);
    let probe_at = queue.breaker().expect("it is open").probe_at;
    (3..=8).for_each(|id| finish(&mut queue, id, FAILED));
    (1..=8).for_each(|id| queue.recorded(DeliveryId::from_raw(id), Next::DueAt(NOW)));
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == probe_at));
    assert_eq!(started(&mut queue, probe_at), [9]);
    queue.finished(DeliveryId::from_raw(9), TOOK, probe_at, 0).expect("in flight");
    assert_eq!(queue.breaker(), None);
    assert_eq!(started(&mut queue, probe_at).len(), 1, "a recovered endpoint is not flattened");
}

#[test]
fn a_rate_holds_starts_back() {
    let rate = Some(Rate { per_second: 2, burst: 1 });
    let mut queue = working(Limits { rate, ..limits(8, 20) });
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page::default());
    queue.offer((1..=3).map(owed));
    assert_eq!(started(&mut queue, NOW), [1]);
    let next = NOW.after(Duration::from_millis(500));
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == next));
    assert_eq!(started(&mut queue, next), [2]);
}

#[test]
fn what_is_too_old_is_given_up() {
    let max_age = Some(Duration::from_micros(500));
    let mut queue = working(Limits { max_age, ..limits(8, 20) });
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page::default());
    queue.offer([owed(1)]);
    assert!(matches!(queue.next(NOW, 100), Step::Expire(owed) if owed.id.as_raw() == 1));
    queue.recorded(DeliveryId::from_raw(1), Next::Settled);
    assert!(matches!(queue.next(NOW, 100), Step::Idle));
}

#[test]
fn a_fair_share_bounds_the_slots() {
    let mut queue = working(limits(8, 20));
    assert!(matches!(queue.next(NOW, 2), Step::Read(_)));
    queue.page_read(Page::default());
    queue.offer((1..=5).map(owed));
    assert!(matches!(queue.next(NOW, 2), Step::Start(_)));
    assert!(matches!(queue.next(NOW, 2), Step::Start(_)));
    assert!(matches!(queue.next(NOW, 2), Step::Wait(None)));
}

#[test]
fn what_is_offered_while_a_page_fails_is_read_later() {
    let mut queue = caught_up();
    queue.offer([owed(1)]);
    assert_eq!(started(&mut queue, NOW), [1]);
    finish(&mut queue, 1, TOOK);
    queue.recorded(DeliveryId::from_raw(1), Next::DueAt(NOW));
    assert!(matches!(queue.next(NOW, 100), Step::Read(ReadOrder { fresh: 0, .. })));
    queue.offer([owed(2)]);
    queue.read_failed(NOW);
    assert!(matches!(queue.next(NOW, 100), Step::Read(ReadOrder { fresh: 1.., .. })), "it is in the store only");
}

#[test]
fn an_attempt_that_the_database_does_not_record_is_made_again() {
    let mut queue = caught_up();
    queue.offer([owed(1)]);
    assert_eq!(started(&mut queue, NOW), [1]);
    finish(&mut queue, 1, TOOK);
    let until = NOW.after(Duration::from_mins(1));
    queue.recorded(DeliveryId::from_raw(1), Next::Refused(until));
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == until));
    // To the store it was never attempted.
    assert!(matches!(queue.next(until, 100), Step::Read(ReadOrder { fresh: 1.., .. })));
    queue.page_read(Page { fresh: vec![owed(1)], ..Page::default() });
    assert_eq!(started(&mut queue, until), [1]);
}
