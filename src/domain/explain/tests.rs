use super::*;
use crate::domain::{
    delivery::Course,
    edits::{Edit, Edits},
    event_type::EventType,
    hold::{Hold, HoldMode},
    id::{EventId, OwnerId, SubscriptionId},
    queue::Rate,
};

fn at(second: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(second))
}

/// The present of all tests.
const NOW: u64 = 100;

fn subscription(edits: &[Edit]) -> Subscription {
    let mut all = vec![
        Edit::TargetUrl("https://a.example/".to_owned()),
        Edit::EventType(EventType::parse("package.created").expect("a type")),
    ];
    all.extend(edits.iter().cloned());
    Subscription {
        id: SubscriptionId::from_raw(1),
        owner: OwnerId::from_raw(1),
        version: 1,
        terms: Edits::new(all).to_new_terms().expect("complete"),
        hold: None,
        ramp: None,
        created_at: at(0),
        modified_at: at(0),
    }
}

fn delivery(state: State, attempts: u16, due_at: Option<u64>) -> Delivery {
    Delivery {
        id: DeliveryId::from_raw(7),
        event: EventId::from_raw(6),
        subscription: SubscriptionId::from_raw(1),
        state,
        attempts,
        due_at: due_at.map(at),
        course: Course::default(),
        recorded_at: None,
    }
}

const IDLE: Live =
    Live { place: None, in_flight: 0, slots: 8, next_start: Timestamp::EPOCH, breaker: None, holder: None };

fn told(subscription: &Subscription, delivery: &Delivery, live: Option<Live>) -> Explanation {
    let latest = (delivery.attempts > 0).then(|| "status 503".to_owned());
    explain(&Facts { delivery, subscription, accepted_at: at(50), latest, live, now: at(NOW) })
}

#[test]
fn what_is_settled_says_how_and_nothing_follows() {
    for (state, reason, word) in [
        (State::Delivered, Reason::Delivered, "accepted"),
        (State::Dead, Reason::GivenUp, "19 attempts"),
        (State::Expired, Reason::TooOld, "older"),
        (State::Cancelled, Reason::CalledOff, "called off"),
    ] {
        let told = told(&subscription(&[]), &delivery(state, 19, None), None);
        assert_eq!((told.reason, told.next), (reason, None));
        assert!(told.why.contains(word), "{}", told.why);
    }
}

#[test]
fn each_reason_to_wait_has_its_words() {
    let open = Open { since: at(10), probe_at: at(120) };
    let fresh = || delivery(State::Pending, 0, None);
    let failed = || delivery(State::Pending, 3, Some(110));
    let rate = [Edit::Rate(Some(Rate { per_second: 5, burst: 5 }))];
    let holder = |due_at| Some((DeliveryId::from_raw(5), due_at));
    for (delivery, edits, live, reason, next) in [
        (fresh(), &[][..], Some(Live { place: Some(Place::InFlight), ..IDLE }), Reason::InFlight, None),
        (fresh(), &[], Some(Live { place: Some(Place::Recording), ..IDLE }), Reason::Recording, None),
        (fresh(), &[Edit::IsActive(false)], None, Reason::Ended, None),
        (fresh(), &[Edit::MaxAge(Some(Duration::from_secs(50)))], None, Reason::TooOld, None),
        (fresh(), &[], Some(Live { holder: holder(Some(at(130))), ..IDLE }), Reason::OrderKey, Some(130)),
        (failed(), &[], None, Reason::Backoff, Some(110)),
        (failed(), &[], Some(Live { breaker: Some(open), ..IDLE }), Reason::Backoff, Some(120)),
        (fresh(), &[], Some(Live { breaker: Some(open), ..IDLE }), Reason::Breaker, Some(120)),
        (fresh(), &[], Some(Live { in_flight: 8, ..IDLE }), Reason::Slots, None),
        (fresh(), &rate, Some(Live { next_start: at(101), ..IDLE }), Reason::Pace, Some(101)),
        (fresh(), &[], Some(IDLE), Reason::InLine, None),
        (fresh(), &[], None, Reason::InLine, None),
    ] {
        let told = told(&subscription(edits), &delivery, live);
        assert_eq!(told.reason, reason, "{told:?}");
        assert_eq!(told.next.as_ref().map(|next| next.at), Some(next.map(at)), "{told:?}");
    }
}

#[test]
fn a_delivery_does_not_wait_for_itself_or_for_what_is_over() {
    let own = Live { holder: Some((DeliveryId::from_raw(7), None)), ..IDLE };
    assert_eq!(told(&subscription(&[]), &delivery(State::Pending, 0, None), Some(own)).reason, Reason::InLine);
    assert_eq!(told(&subscription(&[]), &delivery(State::Pending, 1, Some(NOW)), Some(IDLE)).reason, Reason::InLine);
}

#[test]
fn a_pause_is_told_with_its_reason_and_its_end() {
    let hold = |until: Option<u64>| Hold {
        since: at(1),
        until: until.map(at),
        mode: HoldMode::Keep,
        reason: Some("stocktaking".to_owned()),
        by: "ops".to_owned(),
    };
    let paused = |until| Subscription { hold: Some(hold(until)), ..subscription(&[]) };
    let waits = delivery(State::Pending, 3, Some(110));
    for (until, next) in [(None, None), (Some(200), Some(200))] {
        let told = told(&paused(until), &waits, None);
        assert_eq!((told.reason, told.next.and_then(|next| next.at)), (Reason::Hold, next.map(at)));
        assert_eq!(told.why, "Its subscription is paused by ops: stocktaking.");
    }
    assert_eq!(told(&paused(Some(99)), &waits, None).reason, Reason::Backoff);
}
