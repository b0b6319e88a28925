//! A million deliveries behind a paused subscription: they cost no memory, do not hold up the start after a crash, and drain
//! at full speed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback},
    load::{Ledger, batch, publish_batch},
    report::{Report, per_second},
    support::{
        eventually::eventually,
        sink::{Behaviour, Keep, Sink},
    },
};

const PAUSED: &str = "stock_location.updated";
const OTHER: &str = "package.created";
const BATCH: usize = 1_000;
/// One more than the writer takes at once.
const PUBLISHERS: usize = 3;
const MIB: u64 = 200;
const START: Duration = Duration::from_secs(3);
/// Of the backlog, how much is watched while it drains.
const DRAINED: usize = 100_000;

pub(crate) fn run(mut bed: Bed, owed: usize, report: &mut Report) {
    let (first, second) =
        (Sink::start_at(&[loopback(5, 0)], Keep::Nothing), Sink::start_at(&[loopback(5, 1)], Keep::Nothing));
    first.script("/in", [Behaviour::status(200)]);
    let ledger = Ledger::default();
    ledger.watch(&second, "/in");
    let paused = bed.api.subscribe(PAUSED, &first.url("/in"), json!({}));
    bed.api.subscribe(OTHER, &second.url("/in"), json!({}));
    bed.api.pause(paused, &json!({"reason": "stocktaking"}));

    let watch = Watch::start(bed.engine.process_id());
    let start = Instant::now();
    publish(&bed, owed);
    report.note("events accepted per second", per_second(owed, start.elapsed()));
    report.at_most("MiB while they are accepted", watch.take().mib(), MIB);
    drop(watch);

    let took = crash(&mut bed, &ledger);
    report.at_most("from the start after kill -9 to the first delivery to another subscription", took, START);
    let watch = Watch::start(bed.engine.process_id());
    let asked = Instant::now();
    bed.api.subscription(paused);
    report.note("looking at the subscription with its backlog", format!("{:.1?}", asked.elapsed()));

    bed.api.resume(paused);
    let resumed = Instant::now();
    let part = DRAINED.min(owed);
    let beside = thread::scope(|scope| {
        let beside = scope.spawn(|| ledger.phase(&bed.api, 20, Duration::from_secs(10), |_| (OTHER, 1)));
        eventually("the backlog to drain", Duration::from_mins(3), || match first.requests_in_all() {
            seen if seen >= part => Ok(()),
            seen => Err(format!("{seen} drained")),
        });
        report.note("deliveries/s while it drains", per_second(part, resumed.elapsed()));
        beside.join().expect("publishers do not panic")
    });
    report.note("publishing to arrival at another subscription meanwhile", &beside.arrivals);
    report.check("refused meanwhile", beside.refused, "none", beside.refused == 0);
    report.at_most("MiB from the start on", watch.take().mib(), MIB);
}

/// In batches, on a few connections at once.
fn publish(bed: &Bed, owed: usize) {
    let next = AtomicUsize::new(0);
    // One body for all: what is in it makes no difference here, and making a thousand would be most of the work.
    let body = batch(PAUSED, 0, BATCH);
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                while next.fetch_add(BATCH, Ordering::Relaxed) < owed {
                    publish_batch(&bed.api, &body);
                }
            });
        }
    });
}

/// Kills the engine, starts it, publishes to the other subscription as soon as that is possible; gives how long it took
/// from the start of the process to the arrival.
fn crash(bed: &mut Bed, ledger: &Ledger) -> Duration {
    bed.engine.kill9();
    let before = ledger.count();
    let start = Instant::now();
    bed.engine.spawn();
    eventually("an event to be accepted", Duration::from_mins(2), || {
        match bed.api.post("/api/v1/events", &json!({"event_type": OTHER, "payload": {"id": u32::MAX}})) {
            Ok(reply) if reply.status == 202 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    ledger.wait_for(before + 1, Duration::from_mins(1));
    start.elapsed()
}
