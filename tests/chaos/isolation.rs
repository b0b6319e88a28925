//! One endpoint cannot hurt another: ten healthy ones alone, and beside 2,100 dead ones.
//!
//! First in turns, so that whatever else the machine does befalls both. "Alone" the dead are paused in the mode `drop`: they
//! are owed nothing then, and nothing is attempted. Each resumption is the beginning of a bad day: all the dead are tried, and
//! what they fail is tried again and again. Then the bad day lasts: their breakers are open, and the dead are probed. What
//! counts are medians, of alone before and after each of them, because the database grows meanwhile.

use std::time::{Duration, Instant};

use postrider::domain::event_type::OMS_EVENT_TYPES;
use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback, subscribe_all},
    load::{Ledger, Phase, batch, publish_batch},
    report::{Report, median, per_second, ratio},
    support::{
        eventually::{eventually, pass},
        port::free_port,
        process::{Footprint, processor_time},
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
/// Events per second, of which each [`ONE_IN`]th is owed to the dead ones, too: 1,000 deliveries a second to healthy
/// endpoints, 420 to dead ones, and all that these fail again and again.
const RATE: u32 = 100;
const ONE_IN: usize = 50;
const ROUNDS: usize = 3;
const PHASE: Duration = Duration::from_secs(12);
/// Events of a burst, each owed to all healthy endpoints.
const BURST: usize = 1_000;
/// "Within 1.3 times".
const FACTOR: f64 = 1.3;
/// The grain of a scheduler and of a disk that others use, too.
const GRAIN: Duration = Duration::from_micros(500);
/// Failures in a row after which a breaker opens, by default.
const UNTIL_OPEN: usize = 10;
/// Attempts of those that hang take 10 s, the pace leaves them one at a time, and every other one is a retry.
const OPEN_WITHIN: Duration = Duration::from_mins(5);
/// Until the first probes, which come in quick succession, have failed.
const PROBES_ARE_RARE: Duration = Duration::from_mins(1);
/// Attempts end after 10 s, connections that rest are closed after 30 s.
const BACK_WITHIN: Duration = Duration::from_mins(1);
/// What may stay open: resting connections of the API and to healthy endpoints.
const FILES_MORE: usize = 100;
/// The allocator keeps what it once had. What counts is that the second and the third bad day cost no more than the first.
const MIB: u64 = 256;
const MIB_MORE: u64 = 48;

/// Events with a number that no phase has are not in its waits.
const UNMEASURED: usize = usize::MAX >> 12;

/// What counts attempts without a complete answer.
const FAILED: &str = "postrider_attempt_duration_seconds_count{outcome=\"failed\"}";

/// What was measured on one side in one round.
struct Side {
    phase: Phase,
    /// Attempts that failed meanwhile.
    failed: usize,
    burst: Duration,
}

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    let ledger = Ledger::default();
    let hosts: Vec<_> = (0..HEALTHY).map(|n| loopback(9, n)).collect();
    let healthy = Sink::start_at(&hosts, Keep::Nothing);
    ledger.watch(&healthy, "/in");
    for (n, url) in healthy.urls("/in").iter().enumerate() {
        bed.api.subscribe(PLAIN, url, json!({}));
        bed.api.subscribe(shared(n), url, json!({}));
    }
    let (hang, drip) = (endpoints(1, HANGING), endpoints(3, DRIPPING));
    hang.script("/in", [Behaviour::Hang]);
    drip.script("/in", [Behaviour::Drip(1_000_000, Duration::from_secs(1))]);
    subscribe_the_dead(bed, &hang, &drip);
    pause_the_dead(bed);
    // The first connections, and the first pages of the database.
    measure(bed, &ledger, Duration::from_secs(3));
    let before = bed.footprint();
    report.note("before", before);

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut during, mut after) = (Footprint::default(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(side(bed, &ledger));
        bed.api.post_json("/api/v1/holds/release", &json!({"filter": {"owner": "dead"}}), 200);
        let watch = Watch::start(bed.engine.process_id());
        beside.push(side(bed, &ledger));
        report.note("attempts that hang or drip", hang.in_progress() + drip.in_progress());
        during = during.max(watch.take());
        pause_the_dead(bed);
        after.push(bed.files_back(before.files + FILES_MORE, BACK_WITHIN));
    }
    alone.push(side(bed, &ledger));
    tell(report, "alone", &alone);
    tell(report, "beside the dead", &beside);
    judge(report, &alone, &beside);
    report.note("during", during);
    report.at_most("MiB at most", during.mib(), MIB);
    let (first, last) = (after[0], after[ROUNDS - 1]);
    report.at_most("files once the dead are paused", last.files, before.files + FILES_MORE);
    report.note("once the dead are paused, first time", first);
    report.at_most("MiB once the dead are paused, last time", last.mib(), first.mib() + MIB_MORE);
    let lasting = lasting(bed, &ledger, report);
    tell(report, "while it lasts", &lasting);
    pause_the_dead(bed);
    let again: Vec<_> = (0..ROUNDS).map(|_| side(bed, &ledger)).collect();
    tell(report, "alone again", &again);
    // Alone before and after: a machine that others slow down for a while must not tell for the dead or against them.
    alone.extend(again);
    let (lasting, alone) = (middle(&lasting, p99), middle(&alone, p99));
    report.note("p99 while it lasts, in times of alone", format!("{:.2}", ratio(lasting, alone)));
    let slower = ratio(lasting, alone + GRAIN);
    report.at_most("p99 while it lasts, in times of alone (and 0.5 ms)", slower, FACTOR);
}

/// The dead are resumed until their breakers are open, and stay so.
fn lasting(bed: &Bed, ledger: &Ledger, report: &mut Report) -> Vec<Side> {
    let start = Instant::now();
    bed.api.post_json("/api/v1/holds/release", &json!({"filter": {"owner": "dead"}}), 200);
    let before = ledger.count();
    for n in 0..SHARED {
        publish_batch(&bed.api, &batch(shared(n), UNMEASURED, UNTIL_OPEN));
    }
    ledger.wait_for(before + SHARED * UNTIL_OPEN, Duration::from_mins(1));
    eventually("all breakers to open", OPEN_WITHIN, || match bed.api.gauge("postrider_breakers_open") {
        open if open >= HANGING + REFUSING + DRIPPING => Ok(()),
        open => Err(format!("{open} are open")),
    });
    report.note("until all breakers are open", format!("{:.0} s", start.elapsed().as_secs_f64()));
    pass(PROBES_ARE_RARE);
    (0..ROUNDS).map(|_| side(bed, ledger)).collect()
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

fn pause_the_dead(bed: &Bed) {
    bed.api.post_json("/api/v1/holds", &json!({"filter": {"owner": "dead"}, "mode": "drop"}), 200);
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
        let body = batch(PLAIN, UNMEASURED, BURST);
        let (start, before) = (Instant::now(), ledger.count());
        publish_batch(&bed.api, &body);
        ledger.wait_for(before + BURST * HEALTHY, Duration::from_mins(1));
        *time = ledger.latest().expect("some arrived").saturating_duration_since(start);
        pass(Duration::from_millis(200));
    }
    times.sort_unstable();
    times[1]
}

fn side(bed: &Bed, ledger: &Ledger) -> Side {
    let before = bed.api.gauge(FAILED);
    let phase = measure(bed, ledger, PHASE);
    let failed = bed.api.gauge(FAILED) - before;
    Side { phase, failed, burst: burst(bed, ledger) }
}

fn tell(report: &mut Report, name: &str, rounds: &[Side]) {
    for Side { phase, failed, burst } in rounds {
        report.note(format!("publishing to 202, {name}"), &phase.answers);
        report.note(format!("publishing to arrival, {name}"), &phase.arrivals);
        report.note(format!("cores that the engine uses, {name}"), format!("{:.2}", phase.cores));
        report.note(format!("attempts that failed, {name}"), failed);
        report.note(format!("deliveries/s at full speed, {name}"), per_second(BURST * HEALTHY, *burst));
        report.check(format!("refused, {name}"), phase.refused, "none", phase.refused == 0);
    }
}

fn p99(side: &Side) -> Duration {
    side.phase.arrivals.percentile(99.0)
}

fn judge(report: &mut Report, alone: &[Side], beside: &[Side]) {
    let slower = |wait, grain| ratio(middle(beside, wait), middle(alone, wait) + grain);
    report.note("p99 beside the dead, in times of alone", format!("{:.2}", slower(p99, Duration::ZERO)));
    report.at_most("p99 beside the dead, in times of alone (and 0.5 ms)", slower(p99, GRAIN), FACTOR);
    let slower = slower(|side| side.burst, Duration::ZERO);
    report.at_most("a burst beside the dead, in times of alone", slower, FACTOR);
}

/// The median of what `wait` says of each.
fn middle(sides: &[Side], wait: fn(&Side) -> Duration) -> Duration {
    Duration::from_secs_f64(median(sides.iter().map(|side| wait(side).as_secs_f64())))
}
