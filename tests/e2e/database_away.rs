//! A database that goes away takes nothing along that was answered with 202, and needs nobody to start the engine again.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection;
use serde_json::json;

use crate::{
    load::Load,
    scene::{SOON, Scene},
    support::{
        api::Reply,
        cable::Cable,
        database::Database,
        engine::Engine,
        eventually::{eventually, pass, throughout},
        mariadb::{Durability, PrivateMariaDb},
        sink::{Behaviour, Sink},
    },
};

const PATHS: [&str; 2] = ["/a", "/b"];

#[test]
fn a_killed_database_comes_back_and_deliveries_go_on_by_themselves() {
    let mut server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let scene = Scene::new(&database, &[]);
    let process = scene.engine.process_id();
    for path in PATHS {
        scene.sink.script(path, [Behaviour::slow(Duration::from_millis(5))]);
    }
    let subscriptions = PATHS.map(|path| scene.subscribe(path, json!({})));

    let load = Load::start(&scene.api, 8, usize::MAX);
    for round in 1..=3 {
        load.wait_for(round * 300);
        server.kill();
        let refused = refusal(&load);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{refused:?}");
        assert!(refused.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{refused:?}");
        scene.api.get("/healthz").expect("the engine lives").expect(200);
        scene.api.get("/readyz").expect("the engine answers").expect(503);
        scene.api.get("/api/v1/deliveries").expect("the engine answers").expect(503);
        let before = load.accepted();
        server.start_again();
        eventually("the engine to be ready", SOON, || match scene.api.get("/readyz") {
            Ok(reply) if reply.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        load.wait_for(before + 100);
    }
    assert_eq!(load.refused().iter().find(|reply| reply.status != 503).map(|reply| reply.body.clone()), None);
    assert_eq!(load.unanswered(), 0, "every request is answered, also without a database");
    let accepted = load.stop();

    for (path, subscription) in PATHS.into_iter().zip(subscriptions) {
        scene.settle(subscription, SOON * 2);
        let requests = scene.arrived(path);
        let arrived: HashSet<usize> = requests.iter().copied().collect();
        for event in &accepted {
            assert!(arrived.contains(&event.number), "{path}: {event:?} was answered with 202");
        }
        println!("{path}: {} accepted, {} arrived in {} requests", accepted.len(), arrived.len(), requests.len());
        // The engine kept what it could not record, so nothing had to be attempted twice.
        let deliveries = scene.api.all_deliveries(&format!("subscription={subscription}"));
        let recorded: u64 = deliveries.iter().filter_map(|delivery| delivery["attempts"].as_u64()).sum();
        assert_eq!(u64::try_from(requests.len()).expect("a few"), recorded, "{path}");
    }
    assert_eq!(scene.engine.process_id(), process);
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    assert!(status.contains("postrider"), "{status}");
}

/// What a publisher is told while the database is away.
fn refusal(load: &Load) -> Reply {
    let before = load.refused().len();
    eventually("a publisher to be refused", SOON, || match load.refused().get(before..) {
        Some([.., reply]) => Ok(reply.clone()),
        _ => Err("none since the kill"),
    })
}

#[test]
fn a_database_that_stalls_keeps_everybody_waiting_and_loses_nothing() {
    let server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let scene = Scene::new(&database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    let load = Load::start(&scene.api, 8, usize::MAX);
    load.wait_for(200);
    server.stall();
    throughout("the engine lives", Duration::from_secs(3), || match scene.api.get("/healthz") {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let before = load.accepted();
    server.go_on();
    load.wait_for(before + 200);
    assert_eq!(load.unanswered(), 0);
    let accepted = load.stop();
    scene.settle(subscription, SOON);
    let arrived: HashSet<usize> = scene.arrived("/in").into_iter().collect();
    for event in &accepted {
        assert!(arrived.contains(&event.number), "{event:?} was answered with 202");
    }
}

#[test]
fn the_engine_ends_in_time_although_the_database_is_away() {
    let mut server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let mut scene = Scene::new(&database, &[("POSTRIDER_DRAIN", "2")]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.sink.script("/in", [Behaviour::slow(Duration::from_millis(500))]);
    scene.publish_many(0..20);
    scene.sink.wait_for("/in", 20, SOON);
    server.kill();
    let asked = Instant::now();
    let status = scene.engine.terminate(SOON);
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took <= Duration::from_secs(5), "{took:?}");

    server.start_again();
    scene.engine.start_again();
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), 20);
}

/// A server that loses its power says nothing, and who waits for its answer would wait for hours. Started again, it gives the numbers
/// of sessions anew.
#[test]
fn a_server_that_vanished_without_a_word_is_not_waited_for() {
    let mut server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    connections_go_dead(&database, |cable| {
        // The server tells since when it is up in whole seconds.
        pass(Duration::from_secs(3));
        cable.go_dead();
        server.kill();
        server.start_again();
        // Others have the numbers of before, and something to do.
        for _ in 0..60 {
            let mut other = database.database_url().connect().expect("it is there again");
            thread::spawn(move || drop(other.batch_execute("DO SLEEP(90)")));
        }
    });
}

/// Nor does a network that forgets a connection; the server waits, too.
#[test]
fn a_connection_that_the_network_forgot_is_given_up() {
    connections_go_dead(&Database::mariadb(), Cable::go_dead);
}

fn connections_go_dead(database: &Database, happen: impl FnOnce(&Cable)) {
    let (cable, url) = database.by_cable().expect("a server");
    let engine = Engine::start(&url, &[]);
    let scene = Scene { api: engine.api(), engine, sink: Sink::start() };
    let subscription = scene.subscribe("/in", json!({}));
    let load = Load::start(&scene.api, 8, usize::MAX);
    load.wait_for(300);
    happen(&cable);
    let before = load.accepted();
    eventually("events to be accepted again", Duration::from_mins(1), || match load.accepted() - before {
        ..300 => Err(scene.engine.log()),
        300.. => Ok(()),
    });
    assert!(scene.engine.log().contains("what waits there is given up"));
    let accepted = load.stop();
    scene.settle(subscription, SOON * 2);
    let arrived: HashSet<usize> = scene.arrived("/in").into_iter().collect();
    for event in &accepted {
        assert!(arrived.contains(&event.number), "{event:?} was answered with 202");
    }
}

/// Also who was about to connect when the server vanished.
#[test]
fn a_connection_that_was_never_made_is_given_up() {
    let database = Database::mariadb();
    let (cable, url) = database.by_cable().expect("a server");
    let engine = Engine::start(&url, &[]);
    let scene = Scene { api: engine.api(), engine, sink: Sink::start() };
    let subscription = scene.subscribe("/in", json!({}));
    cable.go_dark();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let api = scene.api.clone();
            thread::spawn(move || drop(api.get("/api/v1/deliveries")))
        })
        .collect();
    for reader in readers {
        reader.join().expect("it is answered, or goes away after half a minute");
    }
    cable.plug_in();
    eventually("what is stored to be told", Duration::from_mins(1), || match scene.api.get("/api/v1/deliveries") {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(scene.engine.log().contains("what waits there is given up"));
    scene.publish(1);
    scene.settle(subscription, SOON);
}
