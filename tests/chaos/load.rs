//! Publishers with a timetable, and how long it takes until what they publish arrives.
//!
//! Waits count from the moment at which an event *should* have been published: a publisher that is held up by one slow
//! answer would otherwise hide what all later events had to wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    api::Api,
    eventually::{eventually, pass},
    sink::{Behaviour, Request, Sink},
    waits::Waits,
};

/// Publishers at once: enough that one slow answer holds up few others.
const CONNECTIONS: usize = 16;

/// When what was published, and how long each arrival took.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    published: Vec<Instant>,
    arrivals: Waits,
    count: usize,
    latest: Option<Instant>,
}

/// What publishers saw in a phase.
#[derive(Default)]
pub(crate) struct Phase {
    /// From the timetable to the answer 202.
    pub(crate) answers: Waits,
    /// From the timetable to the arrival at an endpoint.
    pub(crate) arrivals: Waits,
    /// Answers other than 202, and none.
    pub(crate) refused: usize,
    /// Processor time that the engine used per second, where somebody looked.
    pub(crate) cores: f64,
}

impl Ledger {
    /// What it sees at `path` of the sink is answered with 200 and noted.
    pub(crate) fn watch(&self, sink: &Sink, path: &str) {
        let ledger = self.clone();
        sink.decide(path, move |request| {
            ledger.arrived(request);
            Behaviour::status(200)
        });
    }

    fn arrived(&self, request: &Request) {
        let number = request.json()["payload"]["id"].as_u64().expect("we published it");
        let mut entries = self.entries();
        entries.count += 1;
        entries.latest = entries.latest.max(Some(request.arrived_at));
        let published = usize::try_from(number).ok().and_then(|number| entries.published.get(number).copied());
        if let Some(published) = published {
            entries.arrivals.add(request.arrived_at.saturating_duration_since(published));
        }
    }

    /// Arrivals so far.
    pub(crate) fn count(&self) -> usize {
        self.entries().count
    }

    /// When the latest came; `None` before the first.
    pub(crate) fn latest(&self) -> Option<Instant> {
        self.entries().latest
    }

    /// Waits until there were `count` arrivals in all.
    pub(crate) fn wait_for(&self, count: usize, deadline: Duration) {
        eventually("events to arrive", deadline, || match self.count() {
            seen if seen >= count => Ok(()),
            seen => Err(format!("{seen} of {count} arrived")),
        });
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes `rate` events a second for `time`, the `n`th of the type that `event_type` says, and waits until as many
    /// arrivals as `owed` says of each are there.
    pub(crate) fn phase(
        &self,
        api: &Api,
        rate: u32,
        time: Duration,
        event_type: impl Fn(usize) -> (&'static str, usize) + Sync,
    ) -> Phase {
        let events = usize::try_from(u128::from(rate) * time.as_millis() / 1_000).expect("a few thousand");
        let start = Instant::now();
        let due = |n: usize| start + Duration::from_secs(1) * u32::try_from(n).expect("a few thousand") / rate;
        let (first, before) = {
            let mut entries = self.entries();
            entries.arrivals = Waits::default();
            let first = entries.published.len();
            entries.published.extend((0..events).map(due));
            (first, entries.count)
        };
        let publisher = |connection: usize| {
            let mut seen = Phase::default();
            for n in (connection..events).step_by(CONNECTIONS) {
                pass(due(n).saturating_duration_since(Instant::now()));
                let event = json!({"event_type": event_type(n).0, "payload": {"id": first + n}});
                match api.post("/api/v1/events", &event) {
                    Ok(reply) if reply.status == 202 => seen.answers.add(due(n).elapsed()),
                    Ok(_) | Err(_) => seen.refused += 1,
                }
            }
            seen
        };
        let mut all = thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS).map(|n| scope.spawn(move || publisher(n))).collect();
            threads.into_iter().map(|thread| thread.join().expect("publishers do not panic")).fold(
                Phase::default(),
                |mut all, seen| {
                    all.answers.extend(&seen.answers);
                    all.refused += seen.refused;
                    all
                },
            )
        });
        if all.refused == 0 {
            let owed: usize = (0..events).map(|n| event_type(n).1).sum();
            self.wait_for(before + owed, Duration::from_mins(1));
        }
        all.arrivals = std::mem::take(&mut self.entries().arrivals);
        all
    }
}

/// `count` events of a type as the body of a batch, numbered from `first`.
pub(crate) fn batch(event_type: &str, first: usize, count: usize) -> Vec<u8> {
    let event = |id: usize| json!({"event_type": event_type, "payload": {"id": id, "text": "x".repeat(100)}});
    (first..first + count).map(event).collect::<Value>().to_string().into_bytes()
}

/// Publishes such a batch, again and again while it is refused.
pub(crate) fn publish_batch(api: &Api, body: &[u8]) {
    let headers = [("Content-Type", "application/json")];
    eventually("a batch to be accepted", Duration::from_mins(1), || {
        match api.send("POST", "/api/v1/events/batch", &headers, body) {
            Ok(reply) if reply.status == 202 => Ok(()),
            Ok(reply) => Err(reply.status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    });
}
