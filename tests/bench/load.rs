//! One load on one database, and what it costs.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use postrider::domain::event_type::OMS_EVENT_TYPES;
use serde_json::json;

use super::{
    event::Template,
    figures::{Figures, Shares},
    history,
    publisher::{Order, Posting, Published, publish},
    receiver::{Arrival, Receiver},
};
use crate::support::{
    bed::{Bed, Kind, loopback},
    eventually::{eventually, pass},
    process::{processor_time, processor_time_by_thread, proportional_kib},
    waits::Waits,
};

/// The type of all events, when there is one endpoint.
pub(crate) const TYPE: &str = OMS_EVENT_TYPES[0];
/// Before the idle engine is weighed.
const AT_REST: Duration = Duration::from_secs(2);
/// Events that are not measured: connections, first pages of the database, code that was never run.
const WARM_UP: usize = 1_000;
/// The same for each endpoint: of the first the engine learns that it works, and then it makes other connections.
const WARM_UP_EACH: usize = 10;
/// Until outcomes are recorded that nobody waits for; the engine itself takes 10 ms.
const RECORDED: Duration = Duration::from_millis(200);
const WEIGHED_EVERY: Duration = Duration::from_millis(200);
const ARRIVED_WITHIN: Duration = Duration::from_mins(2);

/// What is published, and to whom it is owed.
#[derive(Debug)]
pub(crate) struct Load {
    /// The head of its column.
    pub(crate) name: &'static str,
    pub(crate) events: usize,
    /// Events per second; `None` is as fast as they are answered.
    pub(crate) rate: Option<u32>,
    /// To how many subscriptions each event is owed, all at one endpoint.
    pub(crate) fan_out: usize,
    /// Among how many endpoints the events are divided; each has an event type of its own.
    pub(crate) endpoints: usize,
    /// Subscriptions of types that nobody publishes.
    pub(crate) others: usize,
    /// Deliveries that were made long ago.
    pub(crate) past: usize,
}

impl Load {
    /// The types that are published; those that the engine does not know are registered.
    fn types(&self, bed: &Bed) -> Vec<String> {
        if self.endpoints == 1 {
            return vec![TYPE.to_owned()];
        }
        let headers = [("Content-Type", "application/json")];
        let register = |n: usize| {
            let name = format!("parcel.weighed_{n}");
            let reply = bed.api.send("PUT", &format!("/api/v1/event-types/{name}"), &headers, b"{}");
            let reply = reply.expect("the engine answers");
            assert!(matches!(reply.status, 200 | 201), "{reply:?}");
            name
        };
        (0..self.endpoints).map(register).collect()
    }

    /// Event type and URL of each subscription, first those that get anything.
    fn targets(&self, types: &[String], receiver: &Receiver) -> Vec<(String, String)> {
        let url = |endpoint, n| receiver.url(endpoint, &format!("/{n}"));
        let busy = types
            .iter()
            .enumerate()
            .flat_map(|(endpoint, event_type)| (0..self.fan_out).map(move |n| (event_type.clone(), url(endpoint, n))));
        // No two of a type may have one URL.
        let others = OMS_EVENT_TYPES[1..].iter().cycle().zip(self.fan_out..).take(self.others);
        busy.chain(others.map(|(event_type, n)| ((*event_type).to_owned(), url(0, n)))).collect()
    }
}

/// Measures it once, with an engine and a database of its own.
///
/// # Panics
/// When an event is refused or does not arrive: then there is nothing to tell.
pub(crate) fn measure(kind: Kind, load: &Load) -> Figures {
    let mut bed = Bed::new(kind, &[]);
    let hosts: Vec<_> = (0..load.endpoints).map(|n| loopback(11, n)).collect();
    let receiver = Receiver::start(&hosts);
    let types = load.types(&bed);
    let targets = load.targets(&types, &receiver);
    let (busy, others) = targets.split_at(targets.len() - load.others);
    let subscriptions = subscribe(&bed, busy);
    let others = subscribe(&bed, others);
    let start = (load.past > 0).then(|| {
        bed.engine.kill9();
        history::write(&bed.database, &[&*subscriptions, &*others].concat(), load.past);
        start(&mut bed, &receiver, &subscriptions)
    });
    pass(AT_REST);
    let idle = weigh(&bed);

    let templates: Vec<_> = types.iter().map(|event_type| Template::new(event_type)).collect();
    let to: SocketAddr = bed.engine.base().trim_start_matches("http://").parse().expect("it listens there");
    let order = |first, count| Order { to, templates: &templates, first, count, rate: load.rate };
    let warm_up = WARM_UP.max(WARM_UP_EACH * load.endpoints);
    publish(&order(0, warm_up));
    settle(&bed, &receiver, warm_up * load.fan_out, &subscriptions);
    receiver.take();

    let before = Costs::so_far(&bed, &receiver);
    let deliveries = load.events * load.fan_out;
    let (published, most) = while_weighed(&bed, || {
        let published = publish(&order(warm_up, load.events));
        arrive(&receiver, deliveries);
        published
    });
    let costs = Costs::so_far(&bed, &receiver).since(&before);
    settle(&bed, &receiver, deliveries, &subscriptions);
    let seen = Seen::new(&published.postings, &receiver.take(), load.fan_out);
    figures(&bed, load, &published, &costs, &seen, start, [idle, most])
}

/// Starts the engine; gives how long it took to the first delivery of what the past has left.
fn start(bed: &mut Bed, receiver: &Receiver, subscriptions: &[i64]) -> Duration {
    let start = Instant::now();
    bed.engine.spawn();
    eventually("the first delivery", ARRIVED_WITHIN, || match receiver.count() {
        0 => Err("none".to_owned()),
        _ => Ok(()),
    });
    bed.engine.wait_until_healthy();
    settle(bed, receiver, history::OWED, subscriptions);
    let first = receiver.take().iter().map(|arrival| arrival.at).min();
    first.map_or(Duration::ZERO, |first| first.saturating_duration_since(start))
}

/// By the native API, which knows all types; gives the ids.
fn subscribe(bed: &Bed, targets: &[(String, String)]) -> Vec<i64> {
    let one = |(event_type, url): &(String, String)| {
        let order = json!({"event_type": event_type, "endpoint": url});
        bed.api.post_json("/api/v1/subscriptions", &order, 201)["id"].as_i64().expect("a subscription has an id")
    };
    targets.iter().map(one).collect()
}

/// Waits until as many deliveries have arrived, and are recorded.
fn arrive(receiver: &Receiver, deliveries: usize) {
    eventually("deliveries to arrive", ARRIVED_WITHIN, || match receiver.count() {
        seen if seen >= deliveries => Ok(()),
        seen => Err(format!("{seen} of {deliveries}")),
    });
    pass(RECORDED);
}

/// The same, and until the engine says that it owes nothing; this costs, so it is no part of what is measured.
fn settle(bed: &Bed, receiver: &Receiver, deliveries: usize, subscriptions: &[i64]) {
    arrive(receiver, deliveries);
    for subscription in subscriptions {
        bed.settle(*subscription, ARRIVED_WITHIN);
    }
}

/// Processor time.
struct Costs {
    engine: Duration,
    /// The same for each kind of its threads. One that ends takes its time with it: those that store do after ten idle seconds.
    threads: BTreeMap<String, Duration>,
    /// `None` where the database is part of the engine.
    database: Option<Duration>,
    receiver: Duration,
}

impl Costs {
    fn so_far(bed: &Bed, receiver: &Receiver) -> Self {
        Self {
            engine: processor_time(bed.engine.process_id()),
            threads: processor_time_by_thread(bed.engine.process_id()),
            database: bed.server.as_ref().map(|server| processor_time(server.process_id())),
            receiver: receiver.processor_time(),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            engine: self.engine.saturating_sub(before.engine),
            threads: self
                .threads
                .iter()
                .map(|(name, time)| (name.clone(), time.saturating_sub(before.of(name))))
                .collect(),
            database: self.database.zip(before.database).map(|(now, before)| now.saturating_sub(before)),
            receiver: self.receiver.saturating_sub(before.receiver),
        }
    }

    /// What threads of this name used.
    fn of(&self, name: &str) -> Duration {
        self.threads.get(name).copied().unwrap_or_default()
    }

    fn shares(&self) -> Shares {
        let all: Duration = self.threads.values().sum();
        let share = |names: &[&str]| {
            let time: Duration = names.iter().map(|name| self.of(name)).sum();
            time.as_secs_f64() * 100.0 / all.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        // Queries that begin on threads that serve wait on threads of that server, which have no name of ours.
        let (server, client, store) = (share(&["http"]), share(&["delivery", "unproven"]), share(&["store", "tokio"]));
        Shares { server, client, store, router: 100.0 - server - client - store }
    }
}

/// What publishers and receiver saw together.
struct Seen {
    since_post: Waits,
    since_answer: Waits,
    took: Duration,
    /// Arrivals beyond what was owed.
    repeated: usize,
}

impl Seen {
    fn new(postings: &[Posting], arrivals: &[Arrival], fan_out: usize) -> Self {
        let mut by_number: Vec<_> = postings.to_vec();
        by_number.sort_unstable_by_key(|posting| posting.number);
        let first = by_number.first().expect("something was published").number;
        let mut counts = vec![0; by_number.len()];
        let (mut since_post, mut since_answer) = (Waits::default(), Waits::default());
        for arrival in arrivals {
            let position = arrival.number - first;
            let posting = by_number[position];
            counts[position] += 1;
            since_post.add(arrival.at.saturating_duration_since(posting.posted_at));
            // What overtakes its own answer took no time after it.
            since_answer.add(arrival.at.saturating_duration_since(posting.answered_at));
        }
        assert!(counts.iter().all(|count| *count >= fan_out), "what the engine calls delivered never arrived");
        let start = postings.iter().map(|posting| posting.posted_at).min();
        let end: Option<Instant> = arrivals.iter().map(|arrival| arrival.at).max();
        let took = end.zip(start).map_or(Duration::ZERO, |(end, start)| end.saturating_duration_since(start));
        Self { since_post, since_answer, took, repeated: arrivals.len() - postings.len() * fan_out }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below what a float holds exactly")]
fn figures(
    bed: &Bed,
    load: &Load,
    published: &Published,
    costs: &Costs,
    seen: &Seen,
    start: Option<Duration>,
    [idle_kib, most_kib]: [u64; 2],
) -> Figures {
    let deliveries = (load.events * load.fan_out) as f64;
    let each_thousand = |time: Duration, of: f64| time.as_secs_f64() * 1_000.0 / of;
    let ms = |waits: &Waits, percent| waits.percentile(percent).as_secs_f64() * 1_000.0;
    Figures {
        database_version: super::machine::database_version(bed),
        rate: deliveries / seen.took.as_secs_f64(),
        engine: each_thousand(costs.engine, deliveries),
        shares: costs.shares(),
        database: costs.database.map(|time| each_thousand(time, deliveries)),
        receiver: each_thousand(costs.receiver, deliveries),
        publisher: each_thousand(published.processor_time, load.events as f64),
        post_median: ms(&seen.since_post, 50.0),
        post_p99: ms(&seen.since_post, 99.0),
        answer_median: ms(&seen.since_answer, 50.0),
        answer_p99: ms(&seen.since_answer, 99.0),
        idle_mib: idle_kib as f64 / 1_024.0,
        most_mib: most_kib as f64 / 1_024.0,
        start: start.map(|took| took.as_secs_f64() * 1_000.0),
        repeated: seen.repeated as f64,
    }
}

/// The memory of the engine, in KiB.
fn weigh(bed: &Bed) -> u64 {
    proportional_kib(bed.engine.process_id()).expect("the engine runs")
}

/// Does `work`; gives the most that the engine weighed meanwhile, in KiB.
fn while_weighed<T>(bed: &Bed, work: impl FnOnce() -> T) -> (T, u64) {
    thread::scope(|scope| {
        let (working, is_done) = mpsc::channel::<()>();
        let scales = scope.spawn(move || {
            let mut most = weigh(bed);
            while is_done.recv_timeout(WEIGHED_EVERY) == Err(RecvTimeoutError::Timeout) {
                most = most.max(weigh(bed));
            }
            most
        });
        let done = work();
        drop(working);
        (done, scales.join().expect("the engine runs"))
    })
}
