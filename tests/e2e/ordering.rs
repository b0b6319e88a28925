//! Order where it matters: whatever fails, crashes or pauses, events of a key arrive first in the order in which they were
//! accepted, each only after the one before it; with the ordering `subscription` all of them do. Other keys flow.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use diesel::{RunQueryDsl, connection::SimpleConnection};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    scene::{SOON, Scene, TYPE, id_in},
    support::{
        api::Api,
        database::{Database, on_both},
        eventually::{eventually, pass, throughout},
        sink::{Answer, Behaviour, Request},
    },
};

on_both! { blocking:
    order_holds_through_failures_kills_pauses_and_refills,
    other_keys_flow_while_one_is_blocked,
    what_can_only_later_be_set_aside_keeps_its_order,
    a_change_of_the_ordering_keeps_the_order_of_what_waits,
    a_subscription_in_order_waits_for_each,
}

const KEYS: usize = 8;
const BATCH: usize = 20;
/// Far more than the window has room for, so that pages are read all the time.
const WINDOW: &str = "6";
const ROUNDS: usize = 4;
const DEADLINE: Duration = Duration::from_secs(90);

/// What arrived at a path: the number of the event, and whether it was answered with 200.
type Log = Arc<Mutex<Vec<(usize, bool)>>>;

/// A quarter fails, the rest takes a moment; everything is noted.
fn answer_at(scene: &Scene, path: &str, seed: u64) -> Log {
    let log = Log::default();
    let (entries, mut random) = (Arc::clone(&log), StdRng::seed_from_u64(seed));
    scene.sink.decide(path, move |request| {
        let is_accepted = !random.random_ratio(1, 4);
        entries.lock().unwrap_or_else(PoisonError::into_inner).push((number_in(&request.json()), is_accepted));
        let status = if is_accepted { 200 } else { 500 };
        Behaviour::Slow(Duration::from_millis(random.random_range(0..8)), Answer::new(status))
    });
    log
}

/// First arrivals that came too early, or too late: each line (a key, say) wants its numbers growing, and each accepted
/// before the next one comes.
fn disorder(log: &Log, line_of: impl Fn(usize) -> usize) -> Vec<String> {
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut latest, mut seen, mut accepted) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut complaints = Vec::new();
    for (number, is_accepted) in &*log {
        if seen.insert(*number) {
            let before = latest.entry(line_of(*number)).or_insert(*number);
            if *before > *number {
                complaints.push(format!("{number} came first after {before}"));
            } else if *before < *number && !accepted.contains(before) {
                complaints.push(format!("{number} came before {before} was accepted"));
            }
            *before = (*before).max(*number);
        }
        if *is_accepted {
            accepted.insert(*number);
        }
    }
    complaints
}

fn key_of(number: usize) -> usize {
    number % KEYS
}

fn number_in(body: &Value) -> usize {
    body["payload"]["n"].as_u64().and_then(|number| number.try_into().ok()).expect("we published it")
}

fn event(number: usize) -> Value {
    json!({"event_type": TYPE, "payload": {"id": key_of(number), "n": number}})
}

/// Publishes batch after batch, alone, so that numbers grow in the order of acceptance; gives those that were answered
/// with 202.
fn publish_until(enough: &AtomicBool, api: &Api) -> Vec<usize> {
    let mut accepted = Vec::new();
    let mut next = 0;
    while !enough.load(Ordering::Relaxed) {
        let numbers = next..next + BATCH;
        next += BATCH;
        let answer = api.post("/api/v1/events/batch", &numbers.clone().map(event).collect());
        if answer.is_ok_and(|reply| reply.status == 202) {
            accepted.extend(numbers);
        }
        // What the receivers take meanwhile bounds how long the test needs at its end.
        pass(Duration::from_millis(300));
    }
    accepted
}

fn subscribe(scene: &Scene, path: &str, ordering: &str, retry_seconds: u32) -> i64 {
    let retry = json!({"choice": "fixed", "kwargs": {"seconds": retry_seconds}});
    let id = scene.subscribe(path, json!({"retry_countdown_config": retry}));
    scene.change(id, &json!({"ordering": ordering}));
    id
}

fn order_holds_through_failures_kills_pauses_and_refills(database: &Database) {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // Endpoints that fail a quarter of the time are what this is about, not those that are down.
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", WINDOW), ("POSTRIDER_BREAKER_THRESHOLD", "0")]);
    let paths = ["/key", "/subscription", "/none"];
    let logs = paths.map(|path| answer_at(&scene, path, random.random()));
    // Attempted again at once: nothing but the order holds the next one back.
    let subscriptions = paths.map(|path| subscribe(&scene, path, &path[1..], 0));

    let enough = Arc::new(AtomicBool::new(false));
    let publisher = thread::spawn({
        let (api, enough) = (scene.api.clone(), Arc::clone(&enough));
        move || publish_until(&enough, &api)
    });
    for round in 1..=ROUNDS {
        for path in paths {
            scene.sink.wait_for(path, round * 30, DEADLINE);
        }
        let (paused, flowing) = (subscriptions[round % paths.len()], paths[(round + 1) % paths.len()]);
        scene.api.pause(paused, &json!({}));
        scene.sink.wait_for(flowing, scene.sink.count(flowing) + 10, DEADLINE);
        scene.crash();
        scene.api.resume(paused);
    }
    enough.store(true, Ordering::Relaxed);
    let accepted = publisher.join().expect("the publisher does not panic");

    for ((path, subscription), log) in paths.iter().zip(subscriptions).zip(&logs) {
        scene.settle(subscription, DEADLINE);
        let arrived: HashSet<usize> =
            log.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|one| one.1).map(|one| one.0).collect();
        let lost: Vec<_> = accepted.iter().filter(|number| !arrived.contains(number)).collect();
        assert!(lost.is_empty(), "{path}: {lost:?} were answered with 202");
    }
    let [key, subscription, none] = &logs;
    assert_eq!(disorder(key, key_of), [""; 0], "in order by key");
    assert_eq!(disorder(subscription, |_| 0), [""; 0], "in order as a whole");
    // Or this would show nothing.
    assert!(!disorder(none, key_of).is_empty(), "without an ordering the same load comes out of order");
    assert!(!disorder(key, |_| 0).is_empty(), "an ordering by key lets other keys pass");
}

/// One key's endpoint refuses its first delivery again and again, also after a crash: nothing of that key passes it,
/// everything else arrives meanwhile, far more than a window of it.
fn other_keys_flow_while_one_is_blocked(database: &Database) {
    const EVENTS: usize = 160;
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", WINDOW)]);
    let is_open = open_gate(&scene);
    let subscription = subscribe(&scene, "/in", "key", 1);
    let publish = |from| scene.api.publish_batch(&(from..from + EVENTS / 2).map(event).collect::<Vec<_>>());
    publish(0);
    let others = |part: usize| part - part / KEYS;
    wait_for_others(&scene, others(EVENTS / 2));
    publish(EVENTS / 2);
    scene.crash();
    wait_for_others(&scene, others(EVENTS));
    assert!(blocked(&scene).iter().all(|number| *number == 0), "{:?} came while 0 is refused", blocked(&scene));

    is_open.store(true, Ordering::Relaxed);
    scene.settle(subscription, SOON * 2);
    let mut came = blocked(&scene);
    came.dedup();
    assert_eq!(came, (0..EVENTS).step_by(KEYS).collect::<Vec<_>>(), "then in order");
}

/// For a while the database refuses to set aside what waits behind the key that is blocked. Once it does not, other keys flow,
/// and nothing of that key was forgotten or passes another.
fn what_can_only_later_be_set_aside_keeps_its_order(database: &Database) {
    const EVENTS: usize = 160;
    let scene = Scene::new(database, &[("POSTRIDER_WINDOW", WINDOW)]);
    let is_open = open_gate(&scene);
    let subscription = subscribe(&scene, "/in", "key", 1);
    let mut other = database.database_url().connect().expect("the database is there");
    other.batch_execute(if database.is_mariadb() { REFUSE_ON_MARIADB } else { REFUSE_ON_SQLITE }).expect("a trigger");
    scene.api.publish_batch(&(0..EVENTS).map(event).collect::<Vec<_>>());
    eventually("it to be refused twice", SOON, || match scene.engine.log().matches(REFUSED).count() {
        2.. => Ok(()),
        times => Err(format!("{times} times")),
    });
    other.batch_execute("DROP TRIGGER not_now").expect("it is there");
    wait_for_others(&scene, EVENTS - EVENTS / KEYS);

    is_open.store(true, Ordering::Relaxed);
    scene.settle(subscription, SOON * 2);
    let mut came = blocked(&scene);
    came.dedup();
    assert_eq!(came, (0..EVENTS).step_by(KEYS).collect::<Vec<_>>());
}

/// First all deliveries wait behind one that is refused, most of them set aside in the store. While nobody works on the
/// subscription, because it is paused and the engine was started again, its ordering becomes one by key.
fn a_change_of_the_ordering_keeps_the_order_of_what_waits(database: &Database) {
    const EVENTS: usize = 80;
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", WINDOW)]);
    let is_open = open_gate(&scene);
    let subscription = subscribe(&scene, "/in", "subscription", 1);
    scene.api.publish_batch(&(0..EVENTS / 2).map(event).collect::<Vec<_>>());
    eventually("deliveries to be set aside", SOON, || match set_aside(database) {
        0 => Err("none is"),
        _ => Ok(()),
    });
    scene.api.pause(subscription, &json!({}));
    scene.crash();
    scene.change(subscription, &json!({"ordering": "key"}));
    scene.api.publish_batch(&(EVENTS / 2..EVENTS).map(event).collect::<Vec<_>>());
    scene.api.resume(subscription);
    wait_for_others(&scene, EVENTS - EVENTS / KEYS);
    is_open.store(true, Ordering::Relaxed);
    scene.settle(subscription, SOON * 2);
    let came: Vec<_> = scene.sink.requests("/in").iter().map(|one| number_in(&one.json())).collect();
    for key in 0..KEYS {
        let mut of_key: Vec<_> = came.iter().copied().filter(|number| key_of(*number) == key).collect();
        of_key.dedup();
        assert_eq!(of_key, (key..EVENTS).step_by(KEYS).collect::<Vec<_>>());
    }
}

/// How many deliveries are set aside behind their keys.
fn set_aside(database: &Database) -> i64 {
    let mut other = database.database_url().connect().expect("the database is there");
    let count =
        diesel::dsl::sql::<diesel::sql_types::BigInt>("COUNT(*) FROM deliveries WHERE due_at >= 4611686018427387904");
    diesel::select(count).get_result(&mut other).expect("a number")
}

/// What the engine says when deliveries are not set aside.
const REFUSED: &str = "parking deliveries waits";
/// Whatever is set aside has a `due_at` from 2^62 on.
const REFUSE_ON_SQLITE: &str = "CREATE TRIGGER not_now BEFORE UPDATE OF due_at ON deliveries \
     WHEN NEW.due_at >= 4611686018427387904 BEGIN SELECT RAISE(ABORT, 'not now'); END";
const REFUSE_ON_MARIADB: &str = "CREATE TRIGGER not_now BEFORE UPDATE ON deliveries FOR EACH ROW \
     IF NEW.due_at >= 4611686018427387904 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'; END IF";

/// With the ordering `subscription` there is no other key.
fn a_subscription_in_order_waits_for_each(database: &Database) {
    const EVENTS: usize = 40;
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", WINDOW)]);
    let is_open = open_gate(&scene);
    let subscription = subscribe(&scene, "/in", "subscription", 1);
    scene.api.publish_batch(&(0..EVENTS).map(event).collect::<Vec<_>>());
    scene.sink.wait_for("/in", 1, SOON);
    scene.crash();
    throughout("nothing passes the first", Duration::from_secs(2), || {
        match scene.sink.requests("/in").iter().map(|one| number_in(&one.json())).find(|number| *number > 0) {
            None => Ok(()),
            Some(number) => Err(number),
        }
    });
    is_open.store(true, Ordering::Relaxed);
    scene.settle(subscription, SOON * 2);
    let mut came: Vec<_> = scene.sink.requests("/in").iter().map(|one| number_in(&one.json())).collect();
    came.dedup();
    assert_eq!(came, (0..EVENTS).collect::<Vec<_>>());
}

/// The event number 0 is refused at `/in` until the gate is open.
fn open_gate(scene: &Scene) -> Arc<AtomicBool> {
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    scene.sink.decide("/in", move |request| {
        let is_refused = number_in(&request.json()) == 0 && !gate.load(Ordering::Relaxed);
        Behaviour::status(if is_refused { 500 } else { 200 })
    });
    is_open
}

/// What arrived of the key that is blocked.
fn blocked(scene: &Scene) -> Vec<usize> {
    let bodies: Vec<Value> = scene.sink.requests("/in").iter().map(Request::json).collect();
    bodies.iter().filter(|body| id_in(body) == 0).map(number_in).collect()
}

fn wait_for_others(scene: &Scene, count: usize) {
    eventually("other keys to flow", SOON * 2, || {
        let bodies: Vec<Value> = scene.sink.requests("/in").iter().map(Request::json).collect();
        match bodies.iter().filter(|body| id_in(body) != 0).map(number_in).collect::<HashSet<_>>().len() {
            seen if seen >= count => Ok(()),
            seen => Err(format!("{seen} of {count}")),
        }
    });
}
