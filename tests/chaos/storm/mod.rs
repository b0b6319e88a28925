//! Everything at once, drawn from a seed: the engine and its database are killed, endpoints flap, people pause, resume, change
//! and deactivate. At the end the weather clears, and everything that was accepted must be settled, in order, and once.

mod calamities;
mod orders;
mod publishers;
mod receiver;
mod verdict;

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::{
    bed::{Bed, Kind, loopback},
    report::Report,
    support::{
        eventually::pass,
        process::Footprint,
        sink::{Keep, Sink},
    },
};
use calamities::Calamities;
use publishers::Publishers;
use receiver::{Order, Receiver};

/// Most events are of the first two; the last is rare, because some subscriptions get it one by one.
pub(crate) const TYPES: [&str; 3] = ["package.created", "stock_location.updated", "transfer.status.created"];
const RARE: usize = 2;
/// Small, so that backlogs pass through the store.
const WINDOW: &str = "50";
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(3);

/// A subscription of the storm.
pub(crate) struct Subscription {
    pub(crate) id: i64,
    pub(crate) event_type: &'static str,
    pub(crate) receiver: Receiver,
    /// The engine is told now and then to keep the order of all instead of that of each key, and back.
    pub(crate) is_reordered: bool,
    /// Which of the endpoints.
    pub(crate) endpoint: usize,
    /// Somebody deactivates it now and then.
    pub(crate) is_fickle: bool,
    /// It is owed all that is published with this number or a later one; `None` while it is not active.
    pub(crate) owed_from: Option<u32>,
}

/// What each subscription is: its type, order, endpoint, and whether it is fickle.
const PLAN: [(usize, Order, usize, bool); 9] = [
    (0, Order::Key, 0, false),
    (1, Order::Key, 1, false),
    (RARE, Order::All, 2, false),
    (0, Order::None, 3, false),
    (1, Order::None, 0, false),
    (RARE, Order::None, 1, false),
    (0, Order::Key, 2, true),
    (1, Order::None, 3, true),
    (RARE, Order::Key, 1, false),
];
const ENDPOINTS: usize = 4;

/// The engine, its endpoints and its subscriptions.
pub(crate) struct Scene {
    pub(crate) bed: Bed,
    pub(crate) endpoints: Vec<Sink>,
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Scene {
    fn new(kind: Kind, seed: u64) -> Self {
        let bed = Bed::on_a_cable(
            kind,
            &[("POSTRIDER_WINDOW", WINDOW), ("POSTRIDER_BREAKER_WAIT", "0.5"), ("POSTRIDER_BREAKER_LONGEST_WAIT", "2")],
        );
        let endpoints: Vec<_> = (0..ENDPOINTS).map(|n| Sink::start_at(&[loopback(8, n)], Keep::Nothing)).collect();
        let subscribe = |(n, (event_type, order, endpoint, is_fickle)): (usize, (usize, Order, usize, bool))| {
            let is_reordered = event_type == RARE && order == Order::Key;
            let (path, event_type) = (format!("/{n}"), TYPES[event_type]);
            let receiver = Receiver::start(&endpoints[endpoint], &path, order, is_fickle, seed ^ n as u64);
            let terms = json!({"config": {"timeout": 2}});
            let id = bed.api.subscribe(event_type, &endpoints[endpoint].url(&path), terms);
            let flow = json!({"ordering": order.name()});
            bed.api.patch(&format!("/api/v1/subscriptions/{id}"), &flow).expect("the engine answers").expect(200);
            Subscription { id, event_type, receiver, is_reordered, endpoint, is_fickle, owed_from: Some(0) }
        };
        let subscriptions = PLAN.into_iter().enumerate().map(subscribe).collect();
        Self { bed, endpoints, subscriptions }
    }

    /// The weather at an endpoint, for all subscriptions there.
    pub(crate) fn set_mood(&self, endpoint: usize, mood: receiver::Mood) {
        for subscription in self.subscriptions.iter().filter(|one| one.endpoint == endpoint) {
            subscription.receiver.set_mood(mood);
        }
    }
}

pub(crate) fn run(kind: Kind, time: Duration, seed: u64, report: &mut Report) {
    let mut scene = Scene::new(kind, seed);
    let publishers = Publishers::start(&scene.bed.api, seed);
    pass(WARM_UP);
    let before = scene.bed.footprint();
    report.note("before", before);
    let mut calamities = Calamities::new(StdRng::seed_from_u64(seed));
    let most = rage(&mut scene, &mut calamities, &publishers, time);
    calamities.clear_up(&mut scene);
    report.note("what happened", &calamities);
    report.note("most that the engine held", most);
    let published = publishers.stop();
    verdict::judge(&scene, &published, before, report);
}

/// Calamity after calamity until `time` is over; gives the most that the engine held.
fn rage(scene: &mut Scene, calamities: &mut Calamities, publishers: &Publishers, time: Duration) -> Footprint {
    let start = Instant::now();
    let (mut most, mut told) = (Footprint::default(), Instant::now());
    while start.elapsed() < time {
        calamities.next(scene, publishers);
        let now = scene.bed.footprint();
        most = most.max(now);
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let arrived: usize = scene.subscriptions.iter().map(|one| one.receiver.counts().arrived).sum();
            println!(
                "   {:4} s: {} accepted, {arrived} attempts arrived, engine {now}; {calamities}",
                start.elapsed().as_secs(),
                publishers.accepted()
            );
        }
    }
    most
}
