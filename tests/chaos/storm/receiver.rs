//! What one subscription's endpoint sees, and how it behaves.
//!
//! It judges as requests arrive, because an hour of them would fit into no memory: of each event it keeps whether it has
//! arrived, a digest of its uuid, and nothing else.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::sink::{Answer, Behaviour, Request, Sink};

/// After so many failures a delivery is let through, whatever the weather: from the twelfth attempt on the contract's
/// policies wait for an hour.
const MOST_FAILURES: usize = 5;
/// How long after a pause what was in flight may still arrive: an attempt has 2 s.
const IN_FLIGHT: Duration = Duration::from_secs(3);
/// Complaints that are kept; the rest is counted.
const MOST_COMPLAINTS: usize = 5;

/// The ordering of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    None,
    Key,
    /// All events one by one.
    All,
}

impl Order {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
            Self::All => "subscription",
        }
    }
}

/// How an endpoint feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Slow,
    Failing,
    Hanging,
    Resetting,
    /// One of these at each request.
    Moody,
}

impl Mood {
    pub(crate) const ALL: [Self; 6] =
        [Self::Well, Self::Slow, Self::Failing, Self::Hanging, Self::Resetting, Self::Moody];
}

/// What arrived so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Attempts.
    pub(crate) arrived: usize,
    /// Events that came again after they had been answered with 200.
    pub(crate) repeats: usize,
    /// What an ordering would not have allowed, where there is none.
    pub(crate) disorder: usize,
    /// What must not happen.
    pub(crate) complaints: usize,
}

struct State {
    order: Order,
    /// What it is owed may be called off, which frees keys.
    is_fickle: bool,
    mood: Mood,
    random: StdRng,
    /// By number of the event.
    uuids: HashMap<u32, u64>,
    accepted: HashSet<u32>,
    failures: HashMap<u32, usize>,
    /// The latest event of each key that has arrived at all.
    latest: HashMap<u64, u32>,
    paused_at: Option<Instant>,
    arrived_at: Option<Instant>,
    counts: Counts,
    complaints: Vec<String>,
    /// Numbers of the events that complaints are about.
    suspects: BTreeSet<u32>,
}

/// One subscription's endpoint; clones are the same.
#[derive(Clone)]
pub(crate) struct Receiver(Arc<Mutex<State>>);

impl Receiver {
    /// Answers at `path` of `sink`, in the mood `Well`.
    pub(crate) fn start(sink: &Sink, path: &str, order: Order, is_fickle: bool, seed: u64) -> Self {
        let receiver = Self(Arc::new(Mutex::new(State {
            order,
            is_fickle,
            mood: Mood::Well,
            random: StdRng::seed_from_u64(seed),
            uuids: HashMap::new(),
            accepted: HashSet::new(),
            failures: HashMap::new(),
            latest: HashMap::new(),
            paused_at: None,
            arrived_at: None,
            counts: Counts::default(),
            complaints: Vec::new(),
            suspects: BTreeSet::new(),
        })));
        let rule = receiver.clone();
        sink.decide(path, move |request| rule.state().answer(request));
        receiver
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The subscription is paused: from now on nothing more starts.
    pub(crate) fn paused(&self) {
        self.state().paused_at.get_or_insert_with(Instant::now);
    }

    /// The subscription will be resumed. Complains of what arrived while it was paused.
    pub(crate) fn to_be_resumed(&self) {
        let mut state = self.state();
        if let (Some(paused_at), Some(arrived_at)) = (state.paused_at.take(), state.arrived_at) {
            let late = arrived_at.saturating_duration_since(paused_at);
            if late > IN_FLIGHT {
                state.complain(format!("an attempt arrived {late:.1?} after a pause"));
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The first complaints.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// The events that the first complaints are about.
    pub(crate) fn suspects(&self) -> BTreeSet<u32> {
        self.state().suspects.clone()
    }

    /// Whether the event with this number was answered with 200.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.state().accepted.contains(&number)
    }

    /// How many different events arrived, and under how many different uuids.
    pub(crate) fn events_and_uuids(&self) -> (usize, usize) {
        let state = self.state();
        (state.uuids.len(), state.uuids.values().collect::<HashSet<_>>().len())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Behaviour {
        let body = request.json();
        let member = |name: &str| body["payload"][name].as_u64().expect("we published it");
        let (key, number) = (member("id"), u32::try_from(member("n")).expect("we counted it"));
        let uuid = request.header("webhook-id").unwrap_or_default();
        self.counts.arrived += 1;
        self.arrived_at = Some(Instant::now());
        if body["event"]["uuid"].as_str() != Some(uuid) {
            self.complain(format!("{number}: {uuid} in the header, {} in the body", body["event"]["uuid"]));
        }
        self.identify(number, key, uuid);
        if self.accepted.contains(&number) {
            self.counts.repeats += 1;
        }
        let behaviour = self.behaviour(number);
        let is_accepted =
            matches!(&behaviour, Behaviour::Answer(answer) | Behaviour::Slow(_, answer) if answer.status == 200);
        if is_accepted {
            self.accepted.insert(number);
            self.failures.remove(&number);
        } else {
            *self.failures.entry(number).or_default() += 1;
        }
        behaviour
    }

    /// One uuid for each event, and at its first arrival the place that it must have.
    fn identify(&mut self, number: u32, key: u64, uuid: &str) {
        let mut hasher = DefaultHasher::new();
        uuid.hash(&mut hasher);
        let digest = hasher.finish();
        match self.uuids.insert(number, digest) {
            Some(before) if before != digest => self.complain(format!("{number} came under two uuids")),
            Some(_) => {}
            None => self.check_order(number, key),
        }
    }

    fn check_order(&mut self, number: u32, key: u64) {
        let line = match self.order {
            Order::None | Order::Key => key,
            Order::All => 0,
        };
        let Some(before) = self.latest.insert(line, number) else { return };
        let disorder = if before > number {
            self.latest.insert(line, before);
            format!("key {key}: {number} came first after {before}")
        } else if !self.is_fickle && !self.accepted.contains(&before) {
            format!("key {key}: {number} came while {before} had not been accepted")
        } else {
            return;
        };
        match self.order {
            Order::None => self.counts.disorder += 1,
            Order::Key | Order::All => {
                if self.complaints.len() < MOST_COMPLAINTS {
                    self.suspects.extend([before, number]);
                }
                self.complain(disorder);
            }
        }
    }

    fn behaviour(&mut self, number: u32) -> Behaviour {
        let mood = match self.mood {
            Mood::Moody => Mood::ALL[self.random.random_range(0..5)],
            Mood::Well | Mood::Slow | Mood::Failing | Mood::Hanging | Mood::Resetting => self.mood,
        };
        if self.failures.get(&number).is_some_and(|failures| *failures >= MOST_FAILURES) {
            return Behaviour::status(200);
        }
        match mood {
            Mood::Well | Mood::Moody => Behaviour::status(200),
            Mood::Slow => Behaviour::Slow(Duration::from_millis(self.random.random_range(5..300)), Answer::new(200)),
            Mood::Failing => Behaviour::status(if self.random.random() { 500 } else { 503 }),
            Mood::Hanging => Behaviour::Hang,
            Mood::Resetting => {
                if self.random.random() {
                    Behaviour::Reset
                } else {
                    Behaviour::Close
                }
            }
        }
    }

    fn complain(&mut self, complaint: String) {
        self.counts.complaints += 1;
        if self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.push(complaint);
        }
    }
}
