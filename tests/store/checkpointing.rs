//! `SQLite`'s log is copied into the file beside the writer, which then begins it anew.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use postrider::{
    domain::id::SubscriptionId,
    store::{
        Lane,
        accept::Run,
        checkpoint::{MANY, keep_short, not_copied},
    },
};

use crate::{
    scene::Scene,
    support::database::{Database, run},
};

/// Each is some 26 pages of the log.
const EVENTS: usize = 400;
const ENOUGH: Duration = Duration::from_secs(10);

async fn write(scene: &Scene, subscription: SubscriptionId, events: usize) {
    for _ in 0..events {
        let heavy = scene.acceptance("x".repeat(100_000), &[subscription]);
        scene.try_accept(vec![heavy], Run::First).await.expect("there is room");
    }
}

async fn left(scene: &Scene) -> i32 {
    scene.store.run(Lane::Read, not_copied).await.expect("the file has a log")
}

#[test]
fn the_log_is_copied_but_not_by_the_writer() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        write(&scene, subscription, EVENTS).await;
        let long = left(&scene).await;
        assert!(long > 2 * MANY, "the writer copied it: {long}");

        let keeper = tokio::spawn(keep_short(scene.store.clone()));
        write(&scene, subscription, 1).await;
        let copied = async {
            while left(&scene).await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(ENOUGH, copied).await.expect("nobody else writes");
        keeper.abort();
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_server_has_no_log_of_ours() {
    run(async {
        let database = Database::mariadb();
        let scene = Scene::of(&database).await;
        tokio::time::timeout(ENOUGH, keep_short(scene.store.clone())).await.expect("there is nothing to copy");
    });
}
