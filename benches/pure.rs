//! The pure core, timed: what an event and a delivery cost before any socket or row.
//!
//! `cargo bench --bench pure`, or with a filter: `cargo bench --bench pure -- queue`.

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, counter::BytesCount, counter::ItemsCount};
use postrider::domain::{
    attempt::{Answer, Outcome},
    breaker::BreakerSettings,
    delivery::{Course, Next},
    event::{Event, default_ordering_key, envelope, wire_uuid},
    event_type::EventType,
    headers::AdditionalHeaders,
    id::{DeliveryId, EventId, OwnerId, SubscriptionId},
    ordering::Ordering,
    queue::{Gate, KeysFound, Limits, Owed, Page, Queue, Step},
    retry::RetryPolicy,
    routing::RoutingTable,
    secret::Secret,
    signature::Signer,
    subscription::{Config, Flow, Subscription, Terms},
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::EPOCH;
/// What an order in JSON has, and what is large.
const BODIES: [usize; 2] = [2_900, 256 * 1024];

fn main() {
    divan::main();
}

fn event_type(name: &str) -> EventType {
    EventType::parse(name).expect("a type")
}

fn payload(bytes: usize) -> Bytes {
    let filler = "x".repeat(bytes.saturating_sub(20));
    format!(r#"{{"id":73,"note":"{filler}"}}"#).into()
}

/// Deliveries, each of a key of its own.
fn deliveries(count: usize) -> Vec<Owed> {
    let owed = |number: usize| {
        let id = i64::try_from(number + 1).expect("few");
        let event = Event {
            id: EventId::from_raw(id),
            event_type: event_type("package.created"),
            payload: Bytes::new(),
            ordering_key: Some(format!("package:{number}")),
            accepted_at: NOW,
        };
        Owed { id: DeliveryId::from_raw(id), attempts: 0, course: Course::default(), event: Arc::new(event) }
    };
    (0..count).map(owed).collect()
}

/// Offers deliveries as they come, a few at a time, and delivers each: it is started, ends well and is recorded. Time passes
/// where the pace asks for it. Says how many there were.
fn deliver(offered: Vec<Owed>, ordering: Ordering) -> usize {
    let limits = Limits { slots: 32, window: 200, rate: None, ordering, max_age: None };
    let mut queue = Queue::new(limits, Gate::Open, BreakerSettings::default());
    let answer = Answer { status: 200, retry_after: None, content_type: None, body: Bytes::new() };
    let ended = Outcome::Answered(answer).says();
    let (mut count, mut flying, mut now) = (0, Vec::new(), NOW);
    let mut offered = offered.into_iter();
    loop {
        match queue.next(now, 32) {
            Step::Start(owed) => flying.push(owed.id),
            // The store holds nothing else.
            Step::Read(order) => {
                queue.page_read(Page { keys: order.keys.then(KeysFound::default), ..Page::default() });
            }
            Step::Reserve(_) => queue.reserved(now),
            Step::Unpark => queue.unparked(),
            Step::Wait(_) | Step::Idle if !flying.is_empty() => {
                for id in flying.drain(..) {
                    queue.finished(id, ended, now, 0).expect("it was started");
                    queue.recorded(id, Next::Settled);
                    count += 1;
                }
            }
            Step::Wait(Some(until)) => now = until,
            Step::Wait(None) | Step::Idle if offered.len() > 0 => queue.offer(offered.by_ref().take(50)),
            Step::Wait(None) | Step::Idle | Step::Expire(_) | Step::Park(_) => return count,
        }
    }
}

/// From the offer to the record, per delivery.
#[divan::bench(args = [200, 10_000])]
fn queue_without_order(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| deliveries(count))
        .bench_values(|owed| assert_eq!(deliver(owed, Ordering::None), count));
}

/// The same with keys to keep account of, of which none waits.
#[divan::bench(args = [200, 10_000])]
fn queue_in_order_by_key(bencher: Bencher<'_, '_>, count: usize) {
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| deliveries(count))
        .bench_values(|owed| assert_eq!(deliver(owed, Ordering::Key), count));
}

/// The `id` that orders an event is its payload's first member, or its last.
#[divan::bench(args = ["first", "last"])]
fn ordering_key(bencher: Bencher<'_, '_>, place: &str) {
    let filler = "x".repeat(BODIES[0]);
    let payload = match place {
        "first" => format!(r#"{{"id":73,"note":"{filler}"}}"#),
        _ => format!(r#"{{"note":"{filler}","id":73}}"#),
    };
    let of = event_type("package.created");
    bencher.bench(|| assert!(default_ordering_key(&of, divan::black_box(&payload)).is_some()));
}

/// One event finds the one subscription of its type among many.
#[divan::bench(args = [1, 1_000, 10_000])]
fn routing(bencher: Bencher<'_, '_>, subscriptions: i32) {
    let mut table = RoutingTable::default();
    for id in 1..=subscriptions {
        table.put(subscription(
            id,
            &format!("parcel.weighed{}", if id == 1 { String::new() } else { format!("_{id}") }),
        ));
    }
    let wanted = event_type("parcel.weighed");
    bencher.bench(|| assert_eq!(divan::black_box(&table).matches(divan::black_box(&wanted), NOW).count(), 1));
}

fn subscription(id: i32, of_type: &str) -> Arc<Subscription> {
    let terms = Terms {
        event_type: event_type(of_type),
        target_url: "https://a.example/".to_owned(),
        secret: None,
        retiring: Vec::new(),
        retry: RetryPolicy::default(),
        is_active: true,
        callback: None,
        additional_headers: AdditionalHeaders::default(),
        config: Config::default(),
        flow: Flow::default(),
    };
    let (id, owner) = (SubscriptionId::from_raw(id), OwnerId::from_raw(1));
    Arc::new(Subscription { id, owner, version: 1, terms, hold: None, ramp: None, created_at: NOW, modified_at: NOW })
}

/// Both signatures of a body.
#[divan::bench(args = BODIES)]
fn signatures(bencher: Bencher<'_, '_>, bytes: usize) {
    let signer = Signer::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &[]);
    let (uuid, body) = (wire_uuid(DeliveryId::from_raw(73)), payload(bytes));
    bencher.counter(BytesCount::new(bytes)).bench(|| {
        let body = divan::black_box(&body);
        (signer.whisperer(body), signer.standard(&uuid, NOW, body))
    });
}

/// The body of a delivery out of its payload.
#[divan::bench(args = BODIES)]
fn envelopes(bencher: Bencher<'_, '_>, bytes: usize) {
    let (of_type, uuid, payload) = (event_type("package.created"), wire_uuid(DeliveryId::from_raw(73)), payload(bytes));
    bencher.counter(BytesCount::new(bytes)).bench(|| envelope(&of_type, &uuid, divan::black_box(&payload)));
}
