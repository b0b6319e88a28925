//! What the engine weighs, and what each subscription with work adds.

use std::time::Duration;

use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback, subscribe_all},
    load::{batch, publish_batch},
    report::Report,
    support::{
        eventually::{eventually, pass},
        sink::{Behaviour, Keep, Sink},
    },
};

const TYPE: &str = "package.created";
const SUBSCRIPTIONS: usize = 2_000;
/// Owed to each, and kept in memory by it.
const EVENTS: usize = 20;
/// An engine that does nothing.
const IDLE_MIB: u64 = 50;
/// A subscription with work: its queue, its share of payloads, an attempt with its connection and client.
const KIB_EACH: u64 = 256;

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    pass(Duration::from_secs(2));
    let idle = bed.footprint();
    report.at_most("idle, in MiB", idle.mib(), IDLE_MIB);
    let hosts: Vec<_> = (0..SUBSCRIPTIONS).map(|n| loopback(4, n)).collect();
    let sink = Sink::start_at(&hosts, Keep::Nothing);
    sink.script("/in", [Behaviour::Hang]);
    let targets: Vec<_> = sink.urls("/in").into_iter().map(|url| (TYPE.to_owned(), url)).collect();
    subscribe_all(&bed.api, &targets, &json!({"config": {"timeout": 60}}));
    let registered = bed.footprint();
    report.note("with 2,000 subscriptions that have no work", registered);

    let watch = Watch::start(bed.engine.process_id());
    publish_batch(&bed.api, &batch(TYPE, 0, EVENTS));
    eventually("attempts at all endpoints", Duration::from_mins(1), || match sink.in_progress() {
        seen if seen >= SUBSCRIPTIONS => Ok(()),
        seen => Err(format!("{seen} attempts")),
    });
    pass(Duration::from_secs(2));
    let attempts = sink.in_progress();
    let most = watch.take();
    report.note(format!("while each has work ({attempts} attempts in flight)"), most);
    let each = most.rss_kib.saturating_sub(registered.rss_kib) / u64::try_from(SUBSCRIPTIONS).expect("a few");
    report.at_most("KiB for each subscription with work", each, KIB_EACH);
}
