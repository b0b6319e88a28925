//! `SQLite`'s log is copied into the file beside the writer, and then begun anew.
#![cfg(feature = "sqlite")]

use std::time::Duration;

use postrider::{
    domain::id::SubscriptionId,
    store::{
        AnyConnection, Lane, StoreError,
        checkpoint::{Log, MANY, keep_short, length},
        reseal::wipe_traces,
    },
};

use crate::{
    scene::Scene,
    sql,
    support::{
        database::{Database, run},
        eventually::eventually_async,
    },
};

const ENOUGH: Duration = Duration::from_secs(30);
/// What the log keeps of the disk once it is copied: `journal_size_limit`.
const LONGEST: u64 = 64 << 20;

/// Some 26 pages of the log for each event.
async fn write(scene: &Scene, subscription: SubscriptionId, events: usize) {
    let heavy = (0..events).map(|_| scene.acceptance("x".repeat(100_000), &[subscription]));
    scene.accept(heavy.collect()).await;
}

/// Somebody who reads in the log as it is now, and goes on for long.
fn who_reads(database: &Database) -> AnyConnection {
    let mut reader = sql::connect(&database.database_url());
    sql::execute(&mut reader, "BEGIN").expect("a transaction begins");
    sql::number(&mut reader, "COUNT(*)", "events").expect("it reads");
    reader
}

async fn log(scene: &Scene) -> Log {
    scene.read(length).await
}

#[test]
fn the_log_is_copied_and_begun_anew_but_not_by_the_writer() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        for _ in 0..10 {
            write(&scene, subscription, 40).await;
        }
        let long = log(&scene).await;
        assert!(long.left() > 2 * MANY, "the writer copied it: {long:?}");

        let keeper = tokio::spawn(keep_short(scene.store.clone()));
        write(&scene, subscription, 1).await;
        eventually_async("the log to be copied", ENOUGH, async || match log(&scene).await {
            found if found.left() == 0 => Ok(()),
            found => Err(format!("{found:?}")),
        })
        .await;
        write(&scene, subscription, 1).await;
        let anew = log(&scene).await;
        assert!(anew.pages < MANY, "{anew:?}");
        keeper.abort();
    });
}

#[test]
fn a_log_that_somebody_reads_in_is_not_said_to_be_empty() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        write(&scene, subscription, 1).await;
        let mut reader = who_reads(&database);
        write(&scene, subscription, 1).await;

        scene.write(|c| sql::execute(c, "PRAGMA busy_timeout = 1")).await;
        let emptied = scene.store.run(Lane::Write, wipe_traces).await;
        assert!(matches!(emptied, Err(StoreError::Unavailable(_))), "{emptied:?}");
        sql::execute(&mut reader, "COMMIT").expect("it ends");
        scene.write(wipe_traces).await;
        assert_eq!(log(&scene).await.pages, 0);
    });
}

#[test]
fn a_log_that_a_reader_made_long_is_short_again_afterwards() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        write(&scene, subscription, 1).await;
        let mut reader = who_reads(&database);
        let file = format!("{}-wal", database.url().strip_prefix("sqlite:").expect("a file"));
        let size = || std::fs::metadata(&file).expect("the log is there").len();
        while size() <= LONGEST {
            write(&scene, subscription, 40).await;
        }
        sql::execute(&mut reader, "COMMIT").expect("it ends");
        // With the first the writer copies, with the second it begins anew.
        for _ in 0..2 {
            write(&scene, subscription, 1).await;
        }
        assert!(size() <= LONGEST, "{} bytes", size());
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
