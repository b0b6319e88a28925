//! Two engines on one database: one works, the other stands by and goes on where the first one ends.

use std::{collections::HashSet, time::Duration};

#[cfg(feature = "mysql")]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

#[cfg(feature = "mysql")]
use crate::support::{
    eventually::pass,
    mariadb::{Durability, PrivateMariaDb},
    sink::Sink,
};
use crate::{
    scene::{SOON, Scene},
    support::{
        database::{Database, on_both},
        engine::Engine,
        eventually::{eventually, throughout},
    },
};

on_both! { blocking: a_second_engine_stands_by_and_goes_on_where_the_first_is_killed }

/// Waits until it has said that it stands by.
fn stand_by(database: &Database) -> Engine {
    let mut engine = Engine::not_started(&database.url(), &[]);
    engine.spawn();
    eventually("the second to stand by", SOON, || match engine.log() {
        log if log.contains("standing by until it ends") => Ok(()),
        log => Err(log),
    });
    engine
}

/// Waits until the engine of the scene has ended for the second, with which the scene goes on.
#[cfg(feature = "mysql")]
fn give_way(scene: &mut Scene, second: &Engine) {
    let status = scene.engine.wait_for_the_end(SOON);
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(scene.engine.log().contains("another engine has taken over this database"), "{}", scene.engine.log());
    scene.api = second.api();
}

fn a_second_engine_stands_by_and_goes_on_where_the_first_is_killed(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.change(subscription, &json!({"ordering": "subscription"}));
    let mut second = stand_by(database);
    scene.publish_many(0..100);
    scene.settle(subscription, SOON);
    throughout("the second waits", Duration::from_secs(1), || match second.api().get("/healthz") {
        Err(_) => Ok(()),
        Ok(reply) => Err(format!("{reply:?}")),
    });
    scene.publish_many(100..300);
    scene.engine.kill9();

    second.wait_until_healthy();
    scene.api = second.api();
    scene.publish_many(300..400);
    scene.settle(subscription, SOON);
    let mut seen = HashSet::new();
    // What was not yet recorded when the first engine was killed comes twice.
    let first: Vec<_> = scene.arrived("/in").into_iter().filter(|id| seen.insert(*id)).collect();
    assert_eq!(first, (0..400).collect::<Vec<_>>());
}

/// The standby outlives the database, too.
#[cfg(feature = "mysql")]
#[test]
fn an_engine_that_stands_by_waits_for_a_database_that_is_away() {
    let mut server = PrivateMariaDb::start(Durability::Kill);
    let database = Database::on(&server);
    let mut scene = Scene::new(&database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.publish_many(0..10);
    scene.settle(subscription, SOON);
    let mut second = stand_by(&database);
    server.kill();
    eventually("the second to notice", SOON, || match second.log() {
        log if log.contains("a database that is away") => Ok(()),
        log => Err(log),
    });
    scene.engine.kill9();
    server.start_again();
    second.wait_until_healthy();
    scene.api = second.api();
    scene.publish_many(10..20);
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), 20);
}

/// A machine that is frozen and thawed, as virtual ones are: the server ends the lease of one that it does not hear of, and the
/// engine that wakes up notices.
#[cfg(feature = "mysql")]
#[test]
fn an_engine_that_stood_still_for_too_long_gives_way() {
    let database = Database::mariadb();
    let mut scene = Scene::new(&database, &[]);
    let subscription = scene.subscribe("/in", json!({}));
    scene.publish_many(0..10);
    scene.settle(subscription, SOON);
    let mut second = stand_by(&database);
    let pid = i32::try_from(scene.engine.process_id()).ok().and_then(Pid::from_raw).expect("it runs");
    kill_process(pid, Signal::STOP).expect("the process is ours");
    second.wait_until_healthy_within(Duration::from_mins(1));
    kill_process(pid, Signal::CONT).expect("the process is ours");
    give_way(&mut scene, &second);
    scene.publish_many(10..20);
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), 20);
}

/// An engine that is cut off from its database, but not from its receivers, is still long before the other goes on.
#[cfg(feature = "mysql")]
#[test]
fn an_engine_that_is_cut_off_delivers_nothing_beside_the_next() {
    let database = Database::mariadb();
    let (cable, url) = database.by_cable().expect("a server");
    let engine = Engine::start(&url, &[]);
    let mut scene = Scene { api: engine.api(), engine, sink: Sink::start() };
    let subscription = scene.subscribe("/in", json!({}));
    scene.change(subscription, &json!({"rate": {"per_second": 2, "burst": 1}}));
    scene.publish_many(0..300);
    scene.sink.wait_for("/in", 4, SOON);
    let mut second = stand_by(&database);
    cable.unplug();
    pass(Duration::from_secs(18));
    let before = scene.sink.count("/in");
    throughout("nothing starts", Duration::from_secs(5), || match scene.sink.count("/in") {
        count if count == before => Ok(()),
        count => Err(format!("{count} arrived, {before} before")),
    });
    second.wait_until_healthy_within(Duration::from_mins(1));
    cable.plug_in();
    give_way(&mut scene, &second);
    scene.change(subscription, &json!({"rate": null}));
    scene.settle(subscription, SOON);
    assert_eq!(scene.count(subscription, "delivered"), 300);
}

/// A standby must not end because the database goes away just when its turn has come: while it enters upon the lease, or reads
/// what it has to know.
#[cfg(feature = "mysql")]
#[test]
fn an_engine_whose_turn_it_is_waits_for_a_database_that_goes_away() {
    for words in ["REPLACE INTO `leases`", "FROM `owners`", "FROM `subscriptions`"] {
        let database = Database::mariadb();
        let mut scene = Scene::new(&database, &[]);
        let (cable, url) = database.by_cable().expect("a server");
        let mut second = Engine::not_started(&url, &[]);
        second.spawn();
        eventually("the second to stand by", SOON, || match second.log() {
            log if log.contains("standing by until it ends") => Ok(()),
            log => Err(log),
        });
        cable.unplug_at(words);
        scene.engine.kill9();
        eventually("its turn to come", SOON, || if cable.is_out() { Ok(()) } else { Err(second.log()) });
        eventually("the second to notice", SOON, || match second.log() {
            log if log.contains("trying again") || log.contains("waiting for the database") => Ok(()),
            log => Err(log),
        });
        cable.plug_in();
        second.wait_until_healthy_within(Duration::from_mins(1));
        assert!(second.log().contains("ready"), "{words}: {}", second.log());
    }
}
