//! What the engine weighs, and what each subscription with work and each delivery in memory adds.
//!
//! What was once in use stays with the allocator, so what is compared are engines that were just started, or one before and
//! after something that it keeps.

#![expect(clippy::cast_precision_loss, reason = "figures far below what a float holds exactly")]

use std::time::Duration;

use postrider::domain::event_type::OMS_EVENT_TYPES;
use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback, subscribe_all},
    load::{batch, publish_batch},
    report::Report,
    support::{
        eventually::{eventually, pass},
        process::{anonymous_kib, proportional_kib},
        sink::{Behaviour, Keep, Sink},
    },
};

/// What counts the bytes of all payloads in memory.
const PAYLOAD: &str = "postrider_payload_bytes";
const SOON: Duration = Duration::from_mins(1);
/// Until an engine has begun everything that it begins, and has recorded what has ended.
const AT_REST: Duration = Duration::from_secs(4);

/// An engine that does nothing; its share of what programs have in common.
const IDLE_MIB: f64 = 25.0;

/// A type, and how many subscriptions to it wait.
const WAITED_FOR: &str = OMS_EVENT_TYPES[0];
const WAITING: usize = 5_000;
/// A subscription with work, besides its window.
const KIB_WAITING: f64 = 8.0;

/// Of subscriptions with full windows: ten that have a type to themselves, and fifty that share one.
const ALONE: [&str; 10] = {
    let [_, a, b, c, d, e, f, g, h, i, j, ..] = OMS_EVENT_TYPES;
    [a, b, c, d, e, f, g, h, i, j]
};
const SHARED: [&str; 50] = [OMS_EVENT_TYPES[11]; 50];
/// A type of which as much was delivered before, so that what passes through the engine has found its room.
const BEFORE: &str = OMS_EVENT_TYPES[13];
/// After so many successes an endpoint has a window of 1,000.
const WARM_UP: usize = 40;
/// In each window.
const IN_MEMORY: usize = 900;
/// A delivery in a window that shares its event, besides the event.
const BYTES_QUEUED: f64 = 200.0;

/// A type, and how many subscriptions to it have an attempt in flight.
const ATTEMPTED: &str = OMS_EVENT_TYPES[12];
const ATTEMPTING: usize = 2_000;
/// Owed to each, and kept in memory by it.
const EVENTS: usize = 20;
/// A subscription with work and an attempt, with its connection and client.
const KIB_ATTEMPTING: f64 = 128.0;

pub(crate) fn run(mut bed: Bed, report: &mut Report) {
    pass(AT_REST);
    let kib = proportional_kib(bed.engine.process_id()).expect("the engine runs");
    report.at_most("idle, in MiB", float(kib) / 1_024.0, IDLE_MIB);
    waiting(&mut bed, report);
    queued(&bed, report);
    attempting(&bed, report);
}

/// Subscriptions whose deliveries wait for a retry: actors with nothing in flight, connected to nothing.
fn waiting(bed: &mut Bed, report: &mut Report) {
    let sink = Sink::start_at(&[loopback(5, 0)], Keep::Nothing);
    sink.otherwise(Behaviour::status(500));
    let targets: Vec<_> = (0..WAITING).map(|n| (WAITED_FOR.to_owned(), sink.url(&format!("/{n}")))).collect();
    let in_ten_hours = json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 36_000}}});
    subscribe_all(&bed.api, &targets, &in_ten_hours);
    let without = weigh_anew(bed);
    publish_batch(&bed.api, &batch(WAITED_FOR, 0, 1));
    eventually("an attempt of each", SOON, || match sink.requests_in_all() {
        seen if seen >= WAITING => Ok(()),
        seen => Err(format!("{seen} attempts")),
    });
    pass(AT_REST);
    let with = weigh_anew(bed);
    // Whoever is owed something is at work: it waits for the time of its retry.
    let owing = bed.api.gauge("postrider_subscriptions_owed");
    report.check("subscriptions that wait", owing, "all of them", owing == WAITING);
    report.at_most(
        "KiB for each subscription that waits",
        float(with.saturating_sub(without)) / WAITING as f64,
        KIB_WAITING,
    );
}

/// Kills the engine; gives what the next one weighs in KiB once it has begun.
fn weigh_anew(bed: &mut Bed) -> u64 {
    bed.engine.kill9();
    bed.engine.start_again();
    pass(AT_REST);
    weigh(bed)
}

/// Deliveries in windows: behind a rate of one a second.
fn queued(bed: &Bed, report: &mut Report) {
    let sink = Sink::start_at(&[loopback(6, 0)], Keep::Nothing);
    let subscription = bed.api.subscribe(BEFORE, &sink.url("/before"), json!({}));
    for _ in ALONE {
        publish_batch(&bed.api, &batch(BEFORE, 0, IN_MEMORY));
    }
    bed.settle(subscription, SOON);
    let alone = bytes_queued(bed, &sink, &ALONE, "/alone");
    report.note("bytes for each delivery in a window, with its event and without its payload", format!("{alone:.0}"));
    let shared = bytes_queued(bed, &sink, &SHARED, "/shared");
    report.at_most("bytes for each delivery in a window that shares its event with 49", shared, BYTES_QUEUED);
}

/// What a delivery costs in the windows of subscriptions to these types, besides payloads.
fn bytes_queued(bed: &Bed, sink: &Sink, types: &[&'static str], path: &str) -> f64 {
    let subscribe =
        |(n, event_type): (usize, &&str)| bed.api.subscribe(event_type, &sink.url(&format!("{path}/{n}")), json!({}));
    let subscriptions: Vec<_> = types.iter().enumerate().map(subscribe).collect();
    let mut different = types.to_vec();
    different.dedup();
    for event_type in &different {
        publish_batch(&bed.api, &batch(event_type, 0, WARM_UP));
    }
    for subscription in &subscriptions {
        bed.settle(*subscription, SOON);
        let slowly = json!({"rate": {"per_second": 1, "burst": 1}});
        bed.api.patch(&format!("/api/v1/subscriptions/{subscription}"), &slowly).expect("an answer").expect(200);
    }
    pass(AT_REST);
    let (before, payload_before) = (weigh(bed), bed.api.gauge(PAYLOAD));
    for event_type in &different {
        publish_batch(&bed.api, &batch(event_type, WARM_UP, IN_MEMORY));
    }
    pass(AT_REST);
    let (after, payload) = (weigh(bed), bed.api.gauge(PAYLOAD) - payload_before);
    let events = IN_MEMORY * different.len();
    assert!(payload >= events * 100 * 9 / 10, "{payload} bytes of {events} payloads are in memory");
    let deliveries = IN_MEMORY * types.len();
    (float(after) * 1_024.0 - float(before) * 1_024.0 - payload as f64) / deliveries as f64
}

/// Attempts that hang, each with a connection of its own.
fn attempting(bed: &Bed, report: &mut Report) {
    let hosts: Vec<_> = (0..ATTEMPTING).map(|n| loopback(4, n)).collect();
    let sink = Sink::start_at(&hosts, Keep::Nothing);
    sink.script("/in", [Behaviour::Hang]);
    let targets: Vec<_> = sink.urls("/in").into_iter().map(|url| (ATTEMPTED.to_owned(), url)).collect();
    subscribe_all(&bed.api, &targets, &json!({"config": {"timeout": 60}}));
    let registered = weigh(bed);

    let watch = Watch::start(bed.engine.process_id());
    publish_batch(&bed.api, &batch(ATTEMPTED, 0, EVENTS));
    eventually("attempts at all endpoints", SOON, || match sink.in_progress() {
        seen if seen >= ATTEMPTING => Ok(()),
        seen => Err(format!("{seen} attempts")),
    });
    pass(AT_REST);
    report.note(format!("with {} attempts in flight", sink.in_progress()), watch.take());
    let more = weigh(bed).saturating_sub(registered);
    report.at_most("KiB for each subscription with attempts", float(more) / ATTEMPTING as f64, KIB_ATTEMPTING);
}

/// What the engine has for itself, in KiB.
fn weigh(bed: &Bed) -> u64 {
    anonymous_kib(bed.engine.process_id()).expect("the engine runs")
}

fn float(kib: u64) -> f64 {
    kib as f64
}
