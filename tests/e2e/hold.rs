//! A pause holds: nothing starts, nothing is dropped, whatever happens meanwhile; and then everything goes out in order.

use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    load::Load,
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        engine::TOKEN,
        eventually::{eventually, pass, throughout},
        sink::Behaviour,
    },
};

on_both! { blocking:
    a_pause_under_load_holds_through_a_crash_and_ends_in_order,
    a_pause_ends_by_itself_at_its_time,
    a_pause_holds_retries_back_and_other_subscriptions_go_on,
    pausing_and_resuming_again_and_again_loses_and_repeats_nothing,
    a_pause_holds_although_whoever_asked_for_it_has_hung_up,
}

/// Attempts of one subscription at once.
const SLOTS: usize = 32;

fn a_pause_under_load_holds_through_a_crash_and_ends_in_order(database: &Database) {
    let mut scene = Scene::new(database, &[("POSTRIDER_WINDOW", "100")]);
    scene.sink.script("/in", [Behaviour::slow(Duration::from_millis(20))]);
    let subscription = scene.subscribe("/in", json!({}));
    let load = Load::start(&scene.api, 8, usize::MAX);
    load.wait_for(300);
    eventually("deliveries to be under way", SOON, || match scene.sink.count("/in") {
        0..100 => Err("few requests"),
        _ => Ok(()),
    });

    let answer = scene.api.pause(subscription, &json!({"reason": "stocktaking"}));
    let answered = Instant::now();
    assert_eq!(answer["state"], "paused");
    let accepted_at_pause = load.accepted();
    let held = |scene: &Scene| {
        let requests = scene.sink.requests("/in");
        let since: Vec<_> = requests.iter().filter_map(|r| r.arrived_at.checked_duration_since(answered)).collect();
        // What was in flight may still have been on its way.
        let late = since.iter().filter(|since| **since > Duration::from_millis(500)).count();
        if since.len() <= SLOTS && late == 0 { Ok(()) } else { Err(format!("requests after the pause: {since:?}")) }
    };
    throughout("nothing starts", Duration::from_secs(1), || held(&scene));
    load.wait_for(accepted_at_pause + 300);
    scene.crash();
    load.wait_for(accepted_at_pause + 600);
    throughout("nothing starts after a crash either", Duration::from_secs(1), || held(&scene));
    let accepted = load.stop();

    let shown = scene.api.subscription(subscription);
    assert_eq!((&shown["state"], &shown["hold"]["reason"]), (&json!("paused"), &json!("stocktaking")));
    assert_eq!(shown["hold"]["by"], "admin");
    let owed = scene.api.owed(subscription);
    assert!(owed >= 600, "{owed} owed");

    let before = scene.sink.count("/in");
    assert_eq!(scene.api.resume(subscription)["state"], "active");
    scene.settle(subscription, SOON * 2);
    let arrived = scene.arrived("/in");
    let numbers: HashSet<usize> = arrived.iter().copied().collect();
    for event in &accepted {
        assert!(numbers.contains(&event.number), "{event:?} was answered with 202");
    }
    assert_order_of_acceptance(&scene, subscription, before);
}

/// What arrived from request number `from` on came in the order of acceptance, as far as attempts that run at the same time
/// have an order.
#[track_caller]
fn assert_order_of_acceptance(scene: &Scene, subscription: i64, from: usize) {
    // The ids of deliveries grow in the order of acceptance.
    let mut deliveries = scene.api.all_deliveries(&format!("subscription={subscription}"));
    deliveries.sort_by_key(|delivery| delivery["id"].as_i64());
    let uuids: Vec<String> =
        deliveries.iter().filter_map(|delivery| Some(delivery["uuid"].as_str()?.replace('-', ""))).collect();
    let place = |uuid: &str| uuids.iter().position(|present| present == uuid).expect("a delivery");
    let requests = scene.sink.requests("/in");
    let places: Vec<usize> = requests[from..].iter().filter_map(|r| r.header("webhook-id")).map(place).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    for (turn, (place, expected)) in places.iter().zip(sorted).enumerate() {
        let off = place.abs_diff(expected);
        assert!(off <= SLOTS, "the {turn}th after the pause is {off} places off");
    }
}

fn a_pause_ends_by_itself_at_its_time(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let in_the_past = json!({"until": Timestamp::now().to_string()});
    let paths = ["/seen", "/missed"];
    let [seen, missed] = paths.map(|path| scene.subscribe(path, json!({})));
    let path = format!("/api/v1/subscriptions/{seen}/pause");
    scene.api.post_json(&path, &in_the_past, 422);
    scene.api.post_json(&path, &json!({"until": "tomorrow"}), 422);
    scene.api.post_json(&path, &json!({"untill": null}), 400);

    // One pause ends while the engine runs, after a crash; the other while there is no engine.
    let now = (Instant::now(), Timestamp::now());
    let wait = Duration::from_secs(4);
    let short = Duration::from_secs(1);
    scene.api.pause(seen, &json!({"until": (now.1 + wait).to_string()}));
    scene.api.pause(missed, &json!({"until": (now.1 + short).to_string()}));
    scene.publish(1);
    scene.engine.kill9();
    let until = short.saturating_sub(now.0.elapsed()) + Duration::from_millis(50);
    throughout("nothing arrives", until, || match scene.sink.requests_in_all() {
        0 => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
    scene.engine.start_again();
    scene.sink.wait_for("/missed", 1, Duration::from_secs(2));

    assert_eq!(scene.api.subscription(seen)["state"], "paused");
    let arrived_at = scene.sink.wait_for("/seen", 1, SOON).remove(0).arrived_at;
    let after = arrived_at - now.0;
    assert!(after + Duration::from_millis(50) >= wait, "after {after:?}");
    assert!(after <= wait + Duration::from_millis(950), "after {after:?}");
    assert_eq!(scene.api.subscription(seen)["state"], "active");
}

fn a_pause_holds_retries_back_and_other_subscriptions_go_on(database: &Database) {
    let scene = Scene::new(database, &[]);
    scene.sink.script("/held", [500, 200]);
    let held =
        scene.subscribe("/held", json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 1}}}));
    let other = scene.subscribe("/other", json!({}));
    scene.publish(1);
    scene.sink.wait_for("/held", 1, SOON);
    scene.api.pause(held, &json!({}));
    // Twice is as good as once, and the newer reason counts.
    scene.api.pause(held, &json!({"reason": "again"}));
    assert_eq!(scene.api.subscription(held)["hold"]["reason"], "again");
    scene.publish(2);
    throughout("no retry comes", Duration::from_secs(2), || match scene.sink.count("/held") {
        1 => Ok(()),
        seen => Err(format!("{seen} requests")),
    });
    scene.settle(other, SOON);
    assert_eq!(scene.sink.count("/other"), 2);

    let stranger = scene.api.with_token(&scene.engine.add_user(&["stranger"]));
    stranger.post_json(&format!("/api/v1/subscriptions/{held}/resume"), &json!({}), 404);
    scene.api.resume(held);
    scene.api.resume(held);
    scene.settle(held, SOON);
    let mut arrived = scene.arrived("/held");
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 1, 2]);
}

fn pausing_and_resuming_again_and_again_loses_and_repeats_nothing(database: &Database) {
    let scene = Scene::new(database, &[("POSTRIDER_WINDOW", "20")]);
    scene.sink.script("/in", [Behaviour::slow(Duration::from_millis(10))]);
    let subscription = scene.subscribe("/in", json!({}));
    let load = Load::start(&scene.api, 8, usize::MAX);
    for round in 1..=30 {
        load.wait_for(round * 20);
        scene.api.pause(subscription, &json!({}));
        scene.api.resume(subscription);
    }
    let accepted = load.stop();
    scene.settle(subscription, SOON);
    let mut arrived = scene.arrived("/in");
    arrived.sort_unstable();
    let mut expected: Vec<usize> = accepted.iter().map(|event| event.number).collect();
    expected.sort_unstable();
    assert_eq!(arrived, expected);
}

/// The pause is written when nobody waits for the answer any more.
fn a_pause_holds_although_whoever_asked_for_it_has_hung_up(database: &Database) {
    let scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let mut other = database.database_url().connect().expect("it is there");
    other.batch_execute("BEGIN; UPDATE subscriptions SET version = version").expect("nobody else writes");
    let address = scene.engine.base().trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(address).expect("the engine listens");
    // An answer that is not read makes hanging up a reset, which is heard at once.
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\
         POST /api/v1/subscriptions/{subscription}/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Token {TOKEN}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    client.write_all(request.as_bytes()).expect("the engine reads");
    pass(Duration::from_millis(500));
    drop(client);
    pass(Duration::from_millis(500));
    assert_eq!(scene.api.subscription(subscription)["state"], "active");
    other.batch_execute("ROLLBACK").expect("the connection lasts");
    eventually("it to be paused", SOON, || match scene.api.subscription(subscription) {
        shown if shown["state"] == "paused" => Ok(()),
        shown => Err(shown),
    });
    eventually("nothing to be sent any more", SOON, || {
        let before = scene.sink.count("/in");
        scene.publish(before);
        pass(Duration::from_millis(300));
        if scene.sink.count("/in") == before { Ok(()) } else { Err("it is sent") }
    });
}
