//! What holds of every queue holds while its endpoint fails, too.

use super::*;

/// A queue that has read the store and found nothing, and whose endpoint fails.
fn failing(limits: Limits, breaker: BreakerSettings) -> Queue {
    let mut queue = Queue::new(limits, Gate::Open, breaker);
    assert!(matches!(queue.next(NOW, 100), Step::Reserve(_)));
    queue.reserved(NOW);
    assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
    queue.page_read(Page { keys: Some(KeysFound::default()), ..Page::default() });
    queue.endpoint_fails();
    queue
}

#[test]
fn what_fails_keeps_within_its_rate() {
    let rate = Some(Rate { per_second: 2, burst: 1 });
    let mut queue = failing(Limits { rate, ..limits(8, 20) }, BreakerSettings::default());
    queue.offer((1..=2).map(owed));
    assert_eq!(started(&mut queue, NOW), [1]);
    finish(&mut queue, 1, FAILED);
    let half_a_second_later = NOW.after(Duration::from_millis(500));
    assert!(matches!(queue.next(NOW, 100), Step::Wait(Some(at)) if at == half_a_second_later));
    assert_eq!(started(&mut queue, half_a_second_later), [2]);
}

#[test]
fn a_probe_does_not_wait_for_what_hangs() {
    let breaker = BreakerSettings { threshold: 2, ..BreakerSettings::default() };
    let mut queue = failing(limits(8, 20), breaker);
    queue.offer((1..=5).map(owed));
    assert_eq!(started(&mut queue, NOW), [1]);
    for ordered in [2, 3] {
        assert_eq!(queue.claim(DeliveryId::from_raw(ordered)), Claim::Granted);
        queue.claim_started(owed(ordered));
        finish(&mut queue, ordered, FAILED);
    }
    let probe_at = queue.breaker().expect("two failed").probe_at;
    assert_eq!(started(&mut queue, probe_at), [4], "and one at a time");
}

#[test]
fn what_fails_keeps_its_order() {
    let ordered = Limits { ordering: Ordering::Key, ..limits(8, 20) };
    let mut queue = failing(ordered, BreakerSettings::default());
    queue.offer((1..=4).map(keyed));
    for id in 1..=3 {
        assert_eq!(started(&mut queue, NOW), [id], "one at a time, each of another key");
        finish(&mut queue, id, FAILED);
        queue.recorded(DeliveryId::from_raw(id), Next::DueAt(Timestamp::from_micros(9_000)));
    }
    assert_eq!(started(&mut queue, NOW), Vec::<i64>::new(), "the fourth waits for the first");
}
