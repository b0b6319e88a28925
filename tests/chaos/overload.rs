//! More events than the database can commit: a bounded number waits, the rest is told at once to come again, and nothing
//! that was accepted is lost.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    bed::{Bed, Watch, loopback},
    load::batch,
    report::{Report, per_second},
    support::{
        api::Api,
        eventually::{eventually, pass},
        sink::{Behaviour, Keep, Sink},
        waits::Waits,
    },
};

const TYPE: &str = "package.created";
const PUBLISHERS: usize = 48;
const BATCH: usize = 500;
const TIME: Duration = Duration::from_secs(20);
/// At most 10,000 events wait, and any database commits more than 2,000 a second.
const P99: Duration = Duration::from_secs(5);
/// A refusal has nothing to wait for but its turn on a busy core.
const REFUSED_P99: Duration = Duration::from_secs(1);
const MIB: u64 = 256;
/// How much more the second half may hold than the first.
const MIB_MORE: u64 = 48;

/// What one publisher saw.
#[derive(Default)]
struct Seen {
    accepted: Waits,
    refused: Waits,
    without_retry_after: usize,
    other: Vec<String>,
}

pub(crate) fn run(bed: &Bed, report: &mut Report) {
    let sink = Sink::start_at(&[loopback(6, 0)], Keep::Nothing);
    sink.script("/in", [Behaviour::status(200)]);
    let subscription = bed.api.subscribe(TYPE, &sink.url("/in"), json!({}));
    let watch = Watch::start(bed.engine.process_id());
    let start = Instant::now();
    let (seen, halves) = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS).map(|_| scope.spawn(|| flood(&bed.api, start))).collect();
        pass(TIME / 2);
        let first = watch.take();
        let seen: Vec<Seen> = publishers.into_iter().map(|one| one.join().expect("publishers do not panic")).collect();
        (seen, [first, watch.take()])
    });
    let time = start.elapsed();
    let seen = seen.into_iter().fold(Seen::default(), Seen::and);

    let accepted = seen.accepted.len() * BATCH;
    report.note("events accepted per second", per_second(accepted, time));
    report.note("batches refused with 503", seen.refused.len());
    report.check("it was too much", seen.refused.len(), "some are refused", seen.refused.len() > 0);
    report.check("refusals without Retry-After", seen.without_retry_after, "none", seen.without_retry_after == 0);
    report.check("other answers", format!("{:?}", seen.other), "none", seen.other.is_empty());
    report.at_most("p99 until 202", seen.accepted.percentile(99.0), P99);
    report.at_most("p99 until 503", seen.refused.percentile(99.0), REFUSED_P99);
    report.note("the first half", halves[0]);
    report.note("the second half", halves[1]);
    report.at_most("MiB at most", halves[1].mib(), MIB);
    report.at_most("MiB more in the second half", halves[1].mib().saturating_sub(halves[0].mib()), MIB_MORE);

    eventually("what was accepted to arrive", Duration::from_mins(5), || match sink.requests_in_all() {
        seen if seen >= accepted => Ok(()),
        seen => Err(format!("{seen} of {accepted}")),
    });
    bed.settle(subscription, Duration::from_secs(30));
    let arrived = sink.requests_in_all();
    report.check("arrived", format!("{arrived} of {accepted}"), "all that was accepted, once", arrived == accepted);
}

/// Batch after batch, as fast as they are answered; one that is refused waits a moment, though not as long as it is told.
fn flood(api: &Api, start: Instant) -> Seen {
    let body = batch(TYPE, 0, BATCH);
    let mut seen = Seen::default();
    while start.elapsed() < TIME {
        let asked = Instant::now();
        match api.send("POST", "/api/v1/events/batch", &[("Content-Type", "application/json")], &body) {
            Ok(reply) if reply.status == 202 => seen.accepted.add(asked.elapsed()),
            Ok(reply) if reply.status == 503 => {
                seen.refused.add(asked.elapsed());
                let wait = reply.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
                seen.without_retry_after += usize::from(wait.is_none());
                pass(Duration::from_millis(100));
            }
            other => seen.other.push(format!("{other:?}")),
        }
    }
    seen
}

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.accepted.extend(&other.accepted);
        self.refused.extend(&other.refused);
        self.without_retry_after += other.without_retry_after;
        self.other.extend(other.other);
        self
    }
}
