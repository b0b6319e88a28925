//! Publishers that do not give up: each goes on with a new event when it gets no answer.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

use super::scene::TYPE;
use crate::support::{
    api::{Api, Reply},
    eventually::eventually,
};

/// How long a publisher goes without a 202 before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// An event that was answered with 202.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The `id` in its payload, of which there is no other.
    pub(crate) number: usize,
    /// The event's id in the answer.
    pub(crate) event: i64,
}

/// What publishers have seen so far.
#[derive(Default)]
struct Seen {
    accepted: Mutex<Vec<Accepted>>,
    refused: Mutex<Vec<Reply>>,
    unanswered: AtomicUsize,
    numbers: AtomicUsize,
    enough: AtomicBool,
}

/// Publishers at work.
pub(crate) struct Load {
    seen: Arc<Seen>,
    publishers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Publishes on so many connections at once, one event after the other on each, until [`Load::stop`], or until `most`
    /// are accepted.
    pub(crate) fn start(api: &Api, connections: usize, most: usize) -> Self {
        let seen: Arc<Seen> = Arc::default();
        let publishers = (0..connections).map(|_| {
            let (api, seen) = (api.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                while !seen.enough.load(Ordering::Relaxed) && seen.accepted() < most {
                    publish_one(&api, &seen);
                }
            })
        });
        Self { publishers: publishers.collect(), seen }
    }

    /// How many events were answered with 202.
    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted()
    }

    /// Waits until so many events were answered with 202.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        eventually("events to be accepted", PATIENCE * 2, || match self.accepted() {
            seen if seen >= count => Ok(()),
            seen => Err(format!("{seen} of {count}, the last refusal {:?}", self.refused().last())),
        });
    }

    /// Answers other than 202.
    pub(crate) fn refused(&self) -> Vec<Reply> {
        self.seen.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that got no answer: whether their events were accepted is not known.
    pub(crate) fn unanswered(&self) -> usize {
        self.seen.unanswered.load(Ordering::Relaxed)
    }

    /// Ends the load; gives what was accepted.
    pub(crate) fn stop(self) -> Vec<Accepted> {
        self.seen.enough.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until as many were accepted as was asked for; gives them.
    pub(crate) fn finish(self) -> Vec<Accepted> {
        for publisher in self.publishers {
            publisher.join().expect("the engine accepts events in the end");
        }
        self.seen.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Publishes event after event until one is accepted, or nobody wants one any more.
fn publish_one(api: &Api, seen: &Seen) {
    eventually("an event to be accepted", PATIENCE, || {
        let number = seen.numbers.fetch_add(1, Ordering::Relaxed);
        let answer = api.post("/api/v1/events", &json!({"event_type": TYPE, "payload": {"id": number}}));
        let told = match answer {
            Ok(reply) if reply.status == 202 => {
                let event = reply.body["id"].as_i64().expect("an accepted event has an id");
                let accepted = Accepted { number, event };
                seen.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(accepted);
                return Ok(());
            }
            Ok(reply) => {
                seen.refused.lock().unwrap_or_else(PoisonError::into_inner).push(reply.clone());
                format!("{reply:?}")
            }
            Err(error) => {
                seen.unanswered.fetch_add(1, Ordering::Relaxed);
                error.to_string()
            }
        };
        if seen.enough.load(Ordering::Relaxed) { Ok(()) } else { Err(told) }
    });
}

/// The ids of the events in a list of deliveries.
pub(crate) fn event_of(delivery: &Value) -> i64 {
    delivery["event"]["id"].as_i64().unwrap_or_else(|| panic!("a delivery names its event: {delivery}"))
}
