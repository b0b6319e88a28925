//! One endpoint cannot hurt another: ten healthy ones alone, beside 2,100 dead ones, and beside the same while they are
//! paused. The last tells what the mere rows of so many deliveries cost, of which no endpoint is guilty.

use std::time::{Duration, Instant};

use postrider::domain::event_type::OMS_EVENT_TYPES;
use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback, subscribe_all},
    load::{Ledger, Phase, batch, publish_batch},
    report::{Report, per_second, ratio},
    support::{
        eventually::pass,
        port::free_port,
        process::processor_time,
        sink::{Behaviour, Keep, Sink},
    },
};

const HANGING: usize = 1_000;
const REFUSING: usize = 1_000;
const DRIPPING: usize = 100;
const HEALTHY: usize = 10;
/// Only the healthy endpoints ask for these.
const PLAIN: &str = OMS_EVENT_TYPES[0];
/// Each is owed to one healthy endpoint and to a tenth of the dead ones.
const SHARED: usize = 10;
/// Events per second, of which each [`ONE_IN`]th is owed to the dead ones, too.
const RATE: u32 = 100;
const ONE_IN: usize = 20;
const PHASE: Duration = Duration::from_secs(20);
/// Events of a burst, each owed to all healthy endpoints.
const BURST: usize = 1_000;
/// "Within 1.3 times", and what a busy machine adds to any percentile.
const FACTOR: f64 = 1.3;
const GRACE: Duration = Duration::from_millis(5);
/// Connections that rest are closed after 30 s.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// What may stay open: resting connections of the API and to healthy endpoints.
const FILES_MORE: usize = 100;
const MIB_MORE: u64 = 100;

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    let ledger = Ledger::default();
    let hosts: Vec<_> = (0..HEALTHY).map(|n| loopback(9, n)).collect();
    let healthy = Sink::start_at(&hosts, Keep::Nothing);
    ledger.watch(&healthy, "/in");
    for (n, url) in healthy.urls("/in").iter().enumerate() {
        bed.api.subscribe(PLAIN, url, json!({}));
        bed.api.subscribe(shared(n), url, json!({}));
    }
    // The first connections, and the first pages of the database.
    measure(bed, &ledger, Duration::from_secs(3));
    let before = bed.footprint();
    report.note("before", before);
    let alone = measure(bed, &ledger, PHASE);
    let burst_alone = burst(bed, &ledger);

    let (hang, drip) = (endpoints(1, HANGING), endpoints(3, DRIPPING));
    hang.script("/in", [Behaviour::Hang]);
    drip.script("/in", [Behaviour::Drip(1_000_000, Duration::from_secs(1))]);
    subscribe_the_dead(bed, &hang, &drip);
    let watch = Watch::start(bed.engine.process_id());
    let beside = measure(bed, &ledger, PHASE);
    report.note("attempts that hang or drip at the end", hang.in_progress() + drip.in_progress());
    let burst_beside = burst(bed, &ledger);
    let during = watch.take();

    bed.api.post_json("/api/v1/holds", &json!({"filter": {"owner": "dead"}, "reason": "dead"}), 200);
    let after = bed.files_back(before.files + FILES_MORE, BACK_WITHIN);
    let paused = measure(bed, &ledger, PHASE);
    let burst_paused = burst(bed, &ledger);

    for (name, phase) in [("alone", &alone), ("beside the dead", &beside), ("beside the paused", &paused)] {
        report.note(format!("publishing to arrival, {name}"), &phase.arrivals);
        report.note(format!("publishing to 202, {name}"), &phase.answers);
        report.note(format!("cores that the engine uses, {name}"), format!("{:.2}", phase.cores));
        report.check(format!("refused, {name}"), phase.refused, "none", phase.refused == 0);
    }
    judge_p99(report, &beside, [("alone", &alone), ("beside the paused", &paused)]);
    for (name, burst) in
        [("alone", burst_alone), ("beside the dead", burst_beside), ("beside the paused", burst_paused)]
    {
        report.note(format!("deliveries/s at full speed, {name}"), per_second(BURST * HEALTHY, burst));
    }
    let slower = ratio(burst_beside, burst_alone.max(burst_paused));
    report.at_most("full speed beside the dead takes so many times as long", slower, FACTOR);
    report.note("during", during);
    report.at_most("files once the dead are paused", after.files, before.files + FILES_MORE);
    report.at_most("MiB once the dead are paused", after.mib(), before.mib() + MIB_MORE);
}

/// The dead are all of one other owner, so that one order pauses them.
fn subscribe_the_dead(bed: &Bed, hang: &Sink, drip: &Sink) {
    let refusing = free_port();
    let refuse = (0..REFUSING).map(|n| format!("http://{}:{refusing}/in", loopback(2, n)));
    let urls = hang.urls("/in").into_iter().chain(refuse).chain(drip.urls("/in"));
    let targets: Vec<_> = urls.enumerate().map(|(n, url)| (shared(n).to_owned(), url)).collect();
    let owner = bed.api.with_token(&bed.engine.add_user(&["dead"]));
    // What subscriptions have unless they say otherwise.
    let retry = json!({"choice": "exponential", "kwargs": {"base": 2, "factor": 1, "limit": 3600}});
    subscribe_all(&owner, &targets, &json!({"retry_countdown_config": retry}));
}

fn shared(n: usize) -> &'static str {
    OMS_EVENT_TYPES[1 + n % SHARED]
}

fn endpoints(net: u8, count: usize) -> Sink {
    let hosts: Vec<_> = (0..count).map(|n| loopback(net, n)).collect();
    Sink::start_at(&hosts, Keep::Nothing)
}

fn measure(bed: &Bed, ledger: &Ledger, time: Duration) -> Phase {
    let owed = |n: usize| if n.is_multiple_of(ONE_IN) { (shared(n / ONE_IN), 1) } else { (PLAIN, HEALTHY) };
    let (engine, start) = (bed.engine.process_id(), Instant::now());
    let before = processor_time(engine);
    let phase = ledger.phase(&bed.api, RATE, time, owed);
    Phase { cores: ratio(processor_time(engine).saturating_sub(before), start.elapsed()), ..phase }
}

/// How long a burst takes until all of it has arrived: the median of three.
fn burst(bed: &Bed, ledger: &Ledger) -> Duration {
    let mut times = [Duration::ZERO; 3];
    for time in &mut times {
        // Numbers that no phase has: bursts are not in its waits.
        let body = batch(PLAIN, usize::MAX >> 12, BURST);
        let (start, before) = (Instant::now(), ledger.count());
        publish_batch(&bed.api, &body);
        ledger.wait_for(before + BURST * HEALTHY, Duration::from_mins(1));
        *time = start.elapsed();
        pass(Duration::from_millis(200));
    }
    times.sort_unstable();
    times[1]
}

/// Against the slower of both: a machine that was busy during one of them says nothing about the engine.
fn judge_p99(report: &mut Report, beside: &Phase, others: [(&str, &Phase); 2]) {
    let p99 = beside.arrivals.percentile(99.0);
    let mut slowest = Duration::ZERO;
    for (name, phase) in others {
        let other = phase.arrivals.percentile(99.0);
        report.note(format!("p99 beside the dead, in times of {name}"), format!("{:.2}", ratio(p99, other)));
        slowest = slowest.max(other);
    }
    report.at_most("p99 beside the dead", p99, slowest.mul_f64(FACTOR) + GRACE);
}
