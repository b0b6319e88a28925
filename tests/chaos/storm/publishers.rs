//! Publishers who go on whatever happens. Each has keys of its own and publishes one event after the other, so that for each
//! key the numbers grow in the order of acceptance.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::TYPES;
use crate::support::{api::Api, eventually::pass};

/// The last publishes what is ordered as a whole, and has to be alone for that.
const PUBLISHERS: u64 = 4;
const KEYS_EACH: u64 = 20;
/// Between two events of a publisher.
const PAUSE: Duration = Duration::from_millis(15);

/// What was answered with 202.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) number: u32,
    pub(crate) event_type: &'static str,
}

/// Everything that publishers saw.
#[derive(Default)]
pub(crate) struct Published {
    accepted: Mutex<Vec<Accepted>>,
    /// Answers other than 202, and none.
    refused: AtomicU32,
    next: AtomicU32,
    enough: AtomicBool,
}

/// Publishers at work.
pub(crate) struct Publishers {
    published: Arc<Published>,
    threads: Vec<JoinHandle<()>>,
}

impl Publishers {
    pub(crate) fn start(api: &Api, seed: u64) -> Self {
        let published: Arc<Published> = Arc::default();
        let start = |publisher: u64| {
            let (api, published) = (api.clone(), Arc::clone(&published));
            let mut random = StdRng::seed_from_u64(seed ^ publisher << 32);
            thread::spawn(move || {
                while !published.enough.load(Ordering::Relaxed) {
                    let key = publisher * KEYS_EACH + random.random_range(0..KEYS_EACH);
                    published.publish(&api, publisher, key);
                    pass(PAUSE);
                }
            })
        };
        Self { threads: (0..PUBLISHERS).map(start).collect(), published }
    }

    /// All events that are published from now on have at least this number.
    pub(crate) fn next_number(&self) -> u32 {
        self.published.next.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.published.accepted().len()
    }

    /// Ends the load; gives what came of it.
    pub(crate) fn stop(self) -> Arc<Published> {
        self.published.enough.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("publishers do not panic");
        }
        self.published
    }
}

impl Published {
    fn publish(&self, api: &Api, publisher: u64, key: u64) {
        let event_type = match publisher {
            0..3 if key.is_multiple_of(2) => TYPES[0],
            0..3 => TYPES[1],
            _ => TYPES[2],
        };
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let event = json!({"event_type": event_type, "payload": {"id": key, "n": number, "text": "x".repeat(200)}});
        match api.post("/api/v1/events", &event) {
            Ok(reply) if reply.status == 202 => {
                self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(Accepted { number, event_type });
            }
            Ok(_) | Err(_) => _ = self.refused.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many were refused, or not answered: some of these are stored all the same.
    pub(crate) fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }
}
