//! Answers that never end: 300 MB as fast as the engine takes them, and a byte a second. Each costs 64 KiB and one deadline.

use std::time::Duration;

use serde_json::json;

use crate::{
    bed::{Bed, Watch},
    load::{batch, publish_batch},
    report::Report,
    support::{
        eventually::eventually,
        sink::{Behaviour, Sink},
    },
};

const TYPE: &str = "package.created";
const EVENTS: usize = 200;
const HUGE: usize = 300 * 1024 * 1024;
/// Of an attempt, set by the subscription.
const DEADLINE: Duration = Duration::from_secs(3);
/// Attempts at once of both subscriptions, 64 KiB each, and buffers around them.
const MIB_MORE: u64 = 32;
/// The kernel takes some megabytes off the endpoint's hands before the engine has closed the connection.
const MIB_EACH: usize = 16;

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    let sink = Sink::start();
    sink.script("/huge", [Behaviour::Huge(HUGE)]);
    sink.script("/drip", [Behaviour::Drip(1_000_000, Duration::from_secs(1))]);
    let terms = json!({"config": {"timeout": DEADLINE.as_secs()}});
    let huge = bed.api.subscribe(TYPE, &sink.url("/huge"), terms.clone());
    let drip = bed.api.subscribe(TYPE, &sink.url("/drip"), terms);
    let before = bed.footprint();
    let watch = Watch::start(bed.engine.process_id());
    publish_batch(&bed.api, &batch(TYPE, 0, EVENTS));
    bed.settle(huge, Duration::from_mins(2));
    eventually("dripped answers to be recorded", DEADLINE * 10, || {
        match bed.api.deliveries(&format!("subscription={drip}")).iter().filter(|one| one["attempts"] != 0).count() {
            seen if seen >= 8 => Ok(()),
            seen => Err(format!("{seen} recorded")),
        }
    });
    let most = watch.take();

    let attempts = sink.count("/huge");
    report.note("attempts answered with 300 MB", attempts);
    report.at_most("MB sent of each such answer", sink.poured() / attempts.max(1) / 1_000_000, MIB_EACH);
    report.at_most("MiB of memory more than before", most.mib().saturating_sub(before.mib()), MIB_MORE);
    for (name, subscription) in [("300 MB", huge), ("a byte a second", drip)] {
        let longest = longest_attempt(bed, subscription);
        report.at_most(format!("longest attempt, {name}"), longest, DEADLINE + Duration::from_millis(500));
    }
}

fn longest_attempt(bed: &Bed, subscription: i64) -> Duration {
    let deliveries = bed.api.deliveries(&format!("subscription={subscription}"));
    let ids = deliveries.iter().filter_map(|delivery| delivery["id"].as_i64());
    let attempts = ids.filter_map(|id| bed.api.delivery(id)["attempt_log"].as_array().cloned()).flatten();
    let millis = attempts.filter_map(|attempt| attempt["duration_ms"].as_f64());
    Duration::from_secs_f64(millis.fold(0.0, f64::max) / 1_000.0)
}
