//! What databases do under load and at bad moments: the store runs the work again, and its callers see nothing of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use postrider::{
    domain::owner::{Role, Standing},
    store::{AnyConnection, Lane, Store, StoreError, owners},
};

use crate::{
    scene::{NOW, Scene, no_keys},
    sql,
    support::{
        database::{Database, on_both, run},
        eventually::eventually_async,
    },
};

const SOON: Duration = Duration::from_secs(20);

on_both! {
    a_writer_in_another_process_is_waited_for,
    writers_of_several_processes_do_not_fail,
    a_panic_in_the_work_leaves_a_working_store,
    what_fails_for_good_is_not_run_again,
    a_failed_transaction_leaves_nothing_behind,
    more_work_than_connections_is_done,
}

/// Longer than reruns alone would bridge: an operator's command while the engine is busy, a backup, a migration.
async fn a_writer_in_another_process_is_waited_for(database: Database) {
    let scene = Scene::of(&database).await;
    let mut other = sql::connect(&database.database_url());
    // The name that the work below wants as well; on SQLite what it locks is the whole file.
    let theirs = "INSERT INTO owners (name, role, is_active, created_at) VALUES ('new', 0, TRUE, 0)";
    sql::execute(&mut other, "BEGIN").and_then(|()| sql::execute(&mut other, theirs)).expect("it locks");

    let runs = Arc::new(AtomicU32::new(0));
    let (counted, store) = (Arc::clone(&runs), scene.store.clone());
    // A transaction that reads before it writes, as most do.
    let mut work = tokio::spawn(async move {
        let add = move |c: &mut AnyConnection| {
            counted.fetch_add(1, Ordering::Relaxed);
            owners::add_owner(c, "new", Role::Publisher, Standing::Active, &[7; 32], NOW)
        };
        store.run(Lane::Write, add).await
    });
    eventually_async("the work to begin", SOON, async || match runs.load(Ordering::Relaxed) {
        0 => Err("not begun"),
        _ => Ok(()),
    })
    .await;
    let early = tokio::time::timeout(Duration::from_secs(1), &mut work).await;
    assert!(early.is_err(), "the lock was not waited for: {early:?}");
    sql::execute(&mut other, "ROLLBACK").expect("it rolls back");
    let added = work.await.expect("no panic").expect("it waited");
    assert!(matches!(added, owners::Added::Owner(_)), "{added:?}");
}

async fn writers_of_several_processes_do_not_fail(database: Database) {
    let scene = Scene::of(&database).await;
    let mut writers = Vec::new();
    for writer in 0..4_u8 {
        // A store of its own has connections of its own, as another process would.
        let store = database.store().await;
        writers.push(tokio::spawn(async move {
            for number in 0..25_u8 {
                let mut token = [writer; 32];
                token[0] = number;
                let add = move |c: &mut AnyConnection| owners::add_token(c, "oms", &token, NOW);
                store.run(Lane::Write, add).await.expect("writers wait for each other");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    assert_eq!(scene.count("tokens").await, 101);
}

async fn a_panic_in_the_work_leaves_a_working_store(database: Database) {
    let scene = Scene::of(&database).await;
    for lane in [Lane::Write, Lane::Read] {
        for _ in 0..10 {
            let result: Result<(), _> = scene.store.run(lane, |_| panic!("on purpose")).await;
            assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
        }
    }
    scene.subscription("one").await;
    assert_eq!(scene.count("subscriptions").await, 1);
}

async fn what_fails_for_good_is_not_run_again(database: Database) {
    let scene = Scene::of(&database).await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let work = move |c: &mut _| {
        counted.fetch_add(1, Ordering::Relaxed);
        sql::execute(c, "UPDATE no_such_table SET id = 1")
    };
    let result = scene.store.run(Lane::Write, work).await;
    assert!(matches!(result, Err(StoreError::Corrupt(_))), "{result:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

async fn a_failed_transaction_leaves_nothing_behind(database: Database) {
    use diesel::Connection;
    let scene = Scene::of(&database).await;
    let work = |c: &mut AnyConnection| {
        c.transaction(|c| {
            sql::execute(c, "UPDATE owners SET name = 'changed'")?;
            sql::execute(c, "UPDATE no_such_table SET id = 1")
        })
    };
    let result = scene.store.run(Lane::Write, work).await;
    assert!(result.is_err());
    assert_eq!(scene.count("owners WHERE name = 'changed'").await, 0);
}

async fn more_work_than_connections_is_done(database: Database) {
    let scene = Arc::new(Scene::of(&database).await);
    let mut readers = Vec::new();
    for _ in 0..100 {
        let scene = Arc::clone(&scene);
        readers.push(tokio::spawn(async move { scene.count("owners").await }));
    }
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), 1);
    }
}

#[test]
fn a_store_without_a_database_says_so() {
    run(async {
        let mut urls = Vec::new();
        if cfg!(feature = "sqlite") {
            urls.push("sqlite:/no/such/folder/postrider.db".to_owned());
        }
        if cfg!(feature = "mysql") {
            urls.push(format!("mysql://root@127.0.0.1:{}/x", crate::support::port::free_port()));
        }
        for url in urls {
            let store = Store::new(url.parse().expect("a URL"), no_keys());
            let result = store.run(Lane::Read, |_| Ok(())).await;
            assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
        }
    });
}

/// What only a server does.
#[cfg(feature = "mysql")]
mod on_a_server {
    use std::sync::Barrier;

    use super::*;
    use crate::support::mariadb::{Durability, PrivateMariaDb};
    use diesel::Connection;

    #[test]
    fn of_two_in_a_deadlock_both_are_done() {
        run(async {
            let database = Database::mariadb();
            let scene = Scene::of(&database).await;
            let ids = [scene.subscription("one").await.as_raw(), scene.subscription("two").await.as_raw()];
            let meeting = Arc::new(Barrier::new(2));
            let runs = Arc::new(AtomicU32::new(0));
            let touch = |first: i32, second: i32| {
                let (store, meeting, runs) = (scene.store.clone(), Arc::clone(&meeting), Arc::clone(&runs));
                let mut is_first_run = true;
                let work = move |c: &mut AnyConnection| {
                    runs.fetch_add(1, Ordering::Relaxed);
                    c.transaction(|c| {
                        bump(c, first)?;
                        if std::mem::take(&mut is_first_run) {
                            meeting.wait();
                        }
                        bump(c, second)
                    })
                };
                async move { store.run(Lane::Write, work).await }
            };
            let (one, two) = tokio::join!(touch(ids[0], ids[1]), touch(ids[1], ids[0]));
            one.and(two).expect("the loser is run again");
            assert_eq!(runs.load(Ordering::Relaxed), 3, "one of them lost once");
            assert_eq!(scene.read(|c| sql::number(c, "SUM(version)", "subscriptions")).await, 2 + 4);
        });
    }

    fn bump(connection: &mut AnyConnection, id: i32) -> postrider::store::Queried<()> {
        sql::execute(connection, &format!("UPDATE subscriptions SET version = version + 1 WHERE id = {id}"))
    }

    #[test]
    fn a_lock_wait_that_ran_out_is_run_again() {
        run(async {
            let database = Database::mariadb();
            let scene = Scene::of(&database).await;
            let id = scene.subscription("one").await.as_raw();
            let mut other = sql::connect(&database.database_url());
            sql::execute(&mut other, "BEGIN").expect("it begins");
            bump(&mut other, id).expect("it locks");

            let runs = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&runs);
            let work = move |c: &mut AnyConnection| {
                counted.fetch_add(1, Ordering::Relaxed);
                sql::execute(c, "SET SESSION innodb_lock_wait_timeout = 1")?;
                c.transaction(|c| bump(c, id))
            };
            let store = scene.store.clone();
            let waiting = tokio::spawn(async move { store.run(Lane::Write, work).await });
            eventually_async("a second run", SOON, async || match runs.load(Ordering::Relaxed) {
                0 | 1 => Err("not yet"),
                _ => Ok(()),
            })
            .await;
            sql::execute(&mut other, "COMMIT").expect("it commits");
            waiting.await.expect("no panic").expect("it got the lock in the end");
        });
    }

    #[test]
    fn killed_connections_are_replaced_without_an_error() {
        run(async {
            let database = Database::mariadb();
            let scene = Scene::of(&database).await;
            let mut other = sql::connect(&database.database_url());
            for _ in 0..3 {
                // All connections of both lanes are in use, then idle.
                let busy: Vec<_> = (0..8).map(|_| scene.count("owners")).collect();
                futures_util::future::join_all(busy).await;
                kill_all_but(&mut other);
                assert_eq!(scene.count("owners").await, 1);
                scene.write(|c| sql::execute(c, "UPDATE owners SET name = name")).await;
            }
        });
    }

    #[test]
    fn a_connection_killed_in_mid_work_is_replaced_and_the_work_run_again() {
        run(async {
            let database = Database::mariadb();
            let scene = Scene::of(&database).await;
            let id = scene.subscription("one").await.as_raw();
            let url = database.database_url();
            let mut runs = 0;
            let work = move |c: &mut AnyConnection| {
                runs += 1;
                c.transaction(|c| {
                    bump(c, id)?;
                    if runs == 1 {
                        kill_all_but(&mut sql::connect(&url));
                    }
                    bump(c, id)
                })
            };
            scene.store.run(Lane::Write, work).await.expect("the second connection does it");
            assert_eq!(scene.read(|c| sql::number(c, "version", "subscriptions")).await, 3);
        });
    }

    /// Kills the connections of this database except the one given.
    fn kill_all_but(connection: &mut AnyConnection) {
        let others = "SELECT CAST(id AS CHAR) AS value FROM information_schema.processlist \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        for id in sql::values(connection, others).expect("root sees all") {
            // It may have ended by itself.
            sql::execute(connection, &format!("KILL CONNECTION {id}")).ok();
        }
    }

    #[test]
    fn what_was_accepted_outlives_a_killed_server_and_the_store_comes_back() {
        run(async {
            let mut server = PrivateMariaDb::start(Durability::PowerCut);
            let database = Database::on(&server);
            let scene = Scene::of(&database).await;
            let subscription = scene.subscription("one").await;
            scene.owe(subscription, 500).await;
            server.kill();
            let away = scene.store.run(Lane::Read, |c| sql::number(c, "COUNT(*)", "events")).await;
            assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
            server.start_again();
            assert_eq!(scene.count("deliveries").await, 500);
            scene.owe(subscription, 1).await;
            assert_eq!(scene.count("deliveries").await, 501);
        });
    }
}
