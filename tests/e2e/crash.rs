//! A `kill -9` at any moment loses nothing that was answered with 202, and repeats no more than was under way.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use crate::{
    load::{Accepted, Load, event_of},
    scene::{Scene, TYPE, id_in},
    support::{
        database::{Database, on_both},
        engine::Engine,
        eventually::{eventually, pass},
        sink::{Answer, Behaviour, Request, Sink},
    },
};

on_both! { blocking:
    every_accepted_event_survives_kills_at_full_speed,
    a_publisher_who_asks_again_under_its_key_never_publishes_twice,
    an_engine_killed_while_it_starts_for_the_first_time_starts_in_the_end,
}

const EVENTS: usize = 5_000;
const CONNECTIONS: usize = 16;
const KILLS: usize = 12;
/// Each with a subscription of its own.
const PATHS: [&str; 3] = ["/a", "/b", "/c"];
/// Deliveries of one subscription in memory; the load outruns them, so that kills find some left to the store.
const WINDOW: usize = 200;
/// Attempts of one subscription at once.
const SLOTS: usize = 8;
/// What a kill can repeat of one subscription: what is in flight, and four times as much that waits for its record.
const UNDER_WAY: usize = SLOTS * (1 + 4);
const DEADLINE: Duration = Duration::from_secs(90);

fn every_accepted_event_survives_kills_at_full_speed(database: &Database) {
    let mut random = seeded();
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", &WINDOW.to_string())]);
    for path in PATHS {
        scene.sink.decide(path, sometimes_failing(random.random()));
    }
    let subscriptions = PATHS.map(|path| scene.subscribe(path, json!({})));
    for subscription in subscriptions {
        scene.change(subscription, &json!({"max_in_flight": SLOTS}));
    }
    let load = Load::start(&scene.api, CONNECTIONS, EVENTS);

    let mut moments: Vec<usize> = (0..KILLS).map(|_| random.random_range(1..EVENTS)).collect();
    moments.sort_unstable();
    let (mut kills, mut repeats) = (0, 0);
    for (kill, moment) in moments.into_iter().enumerate() {
        load.wait_for(moment);
        pass(Duration::from_micros(random.random_range(0..30_000)));
        scene.engine.kill9();
        kills += 1;
        if kill % 4 == 3 {
            // Once more while it starts: reading its tables, opening its door, waking its subscriptions.
            scene.engine.spawn();
            pass(Duration::from_millis(random.random_range(0..400)));
            scene.engine.kill9();
            kills += 1;
        }
        scene.engine.start_again();
    }
    let unanswered = load.unanswered();
    let accepted = load.finish();

    let mut seen_by_all: HashMap<i64, usize> = HashMap::new();
    for (path, subscription) in PATHS.into_iter().zip(subscriptions) {
        scene.settle(subscription, DEADLINE);
        let requests = scene.sink.requests(path);
        let deliveries = Deliveries::of(&scene, subscription);
        repeats += deliveries.check(&requests, &accepted);
        for event in deliveries.events() {
            *seen_by_all.entry(event).or_default() += 1;
        }
    }
    // What was committed and not answered is delivered, too: to everybody or, when it was not committed, to nobody.
    assert!(
        seen_by_all.values().all(|count| *count == PATHS.len()),
        "an event was owed to a part of its subscriptions"
    );
    println!(
        "{} accepted, {} stored, {unanswered} without an answer; {repeats} attempts repeated after {kills} kills",
        accepted.len(),
        seen_by_all.len()
    );
    let most = kills * PATHS.len() * UNDER_WAY;
    assert!(repeats <= most, "{repeats} attempts were repeated, at most {most} were under way");
}

/// Random moments, which the output of a failed test allows to repeat.
fn seeded() -> StdRng {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// Mostly 200 after a few milliseconds, so that kills find attempts in flight; now and then 500, so that they find some
/// waiting for a retry.
fn sometimes_failing(seed: u64) -> impl FnMut(&Request) -> Behaviour {
    let mut random = StdRng::seed_from_u64(seed);
    move |_| {
        let status = if random.random_ratio(1, 100) { 500 } else { 200 };
        Behaviour::Slow(Duration::from_millis(random.random_range(0..20)), Answer::new(status))
    }
}

/// What the API says about the deliveries of one subscription: uuid on the wire → event, attempts.
struct Deliveries(HashMap<String, (i64, usize)>);

impl Deliveries {
    fn of(scene: &Scene, subscription: i64) -> Self {
        let all = scene.api.all_deliveries(&format!("subscription={subscription}"));
        let entry = |delivery: &serde_json::Value| {
            assert_eq!(delivery["state"], "delivered", "{delivery}");
            let uuid = delivery["uuid"].as_str().expect("a delivery has a uuid").replace('-', "");
            let attempts = delivery["attempts"].as_u64().expect("a delivery counts its attempts");
            (uuid, (event_of(delivery), usize::try_from(attempts).expect("a few")))
        };
        Self(all.iter().map(entry).collect())
    }

    fn events(&self) -> impl Iterator<Item = i64> {
        self.0.values().map(|(event, _)| *event)
    }

    /// Each accepted event arrived, under the one uuid of its one delivery. Gives how many requests are in no record:
    /// attempts that were under way at a kill.
    fn check(&self, requests: &[Request], accepted: &[Accepted]) -> usize {
        let mut numbers: HashMap<&str, HashSet<usize>> = HashMap::new();
        for request in requests {
            let uuid = request.header("webhook-id").expect("every request has an id");
            let body = request.json();
            assert_eq!(body["event"]["uuid"], uuid);
            numbers.entry(uuid).or_default().insert(id_in(&body));
        }
        let mut arrived: HashMap<i64, usize> = HashMap::new();
        for (uuid, numbers) in numbers {
            let (event, _) = self.0.get(uuid).unwrap_or_else(|| panic!("{uuid} is no delivery"));
            assert_eq!(numbers.len(), 1, "{uuid} stood for several events: {numbers:?}");
            let another = arrived.insert(*event, numbers.into_iter().next().expect("one"));
            assert_eq!(another, None, "event {event} arrived under two uuids");
        }
        assert_eq!(arrived.len(), self.0.len(), "everything that is said to be delivered has arrived");
        for event in accepted {
            assert_eq!(arrived.get(&event.event), Some(&event.number), "{event:?} was answered with 202");
        }
        let recorded: usize = self.0.values().map(|(_, attempts)| attempts).sum();
        requests.len().checked_sub(recorded).expect("no attempt is recorded that was not made")
    }
}

/// What at-least-once publishers do: the same request until it is answered.
fn a_publisher_who_asks_again_under_its_key_never_publishes_twice(database: &Database) {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 150;
    let mut random = seeded();
    let mut scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let done = Arc::new(AtomicUsize::new(0));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (api, done) = (scene.api.clone(), Arc::clone(&done));
            thread::spawn(move || {
                for number in (publisher..PUBLISHERS * EACH).step_by(PUBLISHERS) {
                    let event =
                        json!({"event_type": TYPE, "payload": {"id": number}, "idempotency_key": number.to_string()});
                    eventually("an answer", DEADLINE, || match api.post("/api/v1/events", &event) {
                        Ok(reply) if reply.status == 202 => Ok(()),
                        other => Err(format!("{other:?}")),
                    });
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for kill in 1..=6 {
        eventually("a part to be accepted", DEADLINE, || match done.load(Ordering::Relaxed) {
            seen if seen >= kill * PUBLISHERS * EACH / 7 => Ok(()),
            seen => Err(format!("{seen} accepted")),
        });
        pass(Duration::from_micros(random.random_range(0..20_000)));
        scene.crash();
    }
    for publisher in publishers {
        publisher.join().expect("every event is accepted in the end");
    }
    scene.settle(subscription, DEADLINE);
    let mut numbers: Vec<usize> = Vec::new();
    let mut uuids = HashSet::new();
    for request in scene.sink.requests("/in") {
        // A kill may repeat an attempt; it cannot make another delivery.
        if uuids.insert(request.header("webhook-id").expect("an id").to_owned()) {
            numbers.push(id_in(&request.json()));
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..PUBLISHERS * EACH).collect::<Vec<_>>());
}

fn an_engine_killed_while_it_starts_for_the_first_time_starts_in_the_end(database: &Database) {
    let mut random = seeded();
    let mut engine = Engine::not_started(&database.url(), &[]);
    for kill in 0..12 {
        engine.spawn();
        pass(Duration::from_millis(20 + kill * 10) + Duration::from_micros(random.random_range(0..10_000)));
        engine.kill9();
    }
    engine.start_again();
    let sink = Sink::start();
    engine.api().subscribe(TYPE, &sink.url("/in"), json!({}));
    engine.api().publish(TYPE, &json!({"id": 1}));
    sink.wait_for("/in", 1, DEADLINE);
}
