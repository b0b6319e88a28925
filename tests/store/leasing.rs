//! One engine at a time: who has the lease writes, and what others wrote is over.

use std::time::Duration;

use postrider::store::Lease;

use crate::support::database::{Database, on_both};

const SOON: Duration = Duration::from_secs(20);
/// Long enough for one who does not wait to be through.
const A_WHILE: Duration = Duration::from_millis(1_500);

on_both! { a_lease_is_waited_for_until_its_last_clone_is_gone }

async fn a_lease_is_waited_for_until_its_last_clone_is_gone(database: Database) {
    let first = Lease::take(&database.database_url()).await.expect("nobody has it");
    let clone = first.clone();
    let url = database.database_url();
    let mut second = tokio::spawn(async move { Lease::take(&url).await.map(drop) });
    drop(first);
    let early = tokio::time::timeout(A_WHILE, &mut second).await;
    assert!(early.is_err(), "two have it: {early:?}");
    drop(clone);
    tokio::time::timeout(SOON, second).await.expect("in time").expect("no panic").expect("it is free");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn one_file_is_one_database_whatever_leads_to_it() {
    let database = Database::sqlite();
    let _lease = Lease::take(&database.database_url()).await.expect("nobody has it");
    let folder = tempfile::tempdir().expect("there is a temp folder");
    let link = folder.path().join("link.db");
    let path = database.url();
    std::os::unix::fs::symlink(path.trim_start_matches("sqlite:"), &link).expect("a link");
    let by_link = format!("sqlite:{}", link.display()).parse().expect("a URL");
    let early = tokio::time::timeout(A_WHILE, Lease::take(&by_link)).await;
    assert!(early.is_err(), "two have it");
}

#[cfg(feature = "mysql")]
mod on_a_server {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use postrider::{
        domain::owner::{Role, Standing},
        store::{AnyConnection, DatabaseUrl, Lane, Lease, Store, StoreError, owners},
    };

    use super::{A_WHILE, SOON};
    use crate::{
        scene::{NOW, no_keys},
        sql,
        support::{database::Database, eventually::eventually_async},
    };

    /// The lease, when nobody has it for long.
    async fn entered(url: &DatabaseUrl) -> Lease {
        let lease = tokio::time::timeout(SOON, Lease::take(url)).await.expect("in time").expect("it is free");
        tokio::time::timeout(SOON, lease.enter()).await.expect("in time").expect("it is not lost");
        lease
    }

    /// Who has the lease, as the server knows it.
    const HOLDER: &str = "COALESCE(IS_USED_LOCK(CONCAT('postrider.engine.', MD5(DATABASE()))), 0)";

    /// The session with the lease ends, and the engine does not know yet.
    fn cut_off(database: &Database) {
        let mut other = sql::connect(&database.database_url());
        let holder = sql::number(&mut other, HOLDER, "dual").expect("a number");
        sql::execute(&mut other, &format!("KILL {holder}")).expect("root may");
    }

    fn add_owner(connection: &mut AnyConnection, name: &str) -> postrider::store::Queried<()> {
        owners::add_owner(connection, name, Role::Publisher, Standing::Active, &[7; 32], NOW).map(drop)
    }

    /// The database by a user who has all rights on it and no others, as the handbook asks for.
    fn by_an_ordinary_user(database: &Database) -> DatabaseUrl {
        let url = database.url();
        let name = url.rsplit('/').next().expect("a name");
        let mut root = sql::connect(&database.database_url());
        for host in ["%", "localhost"] {
            let user = format!("'plain'@'{host}'");
            sql::execute(&mut root, &format!("CREATE USER IF NOT EXISTS {user}; GRANT ALL ON {name}.* TO {user}"))
                .expect("root may");
        }
        url.replace("//root@", "//plain@").parse().expect("a URL")
    }

    #[tokio::test]
    async fn what_an_engine_before_was_writing_is_over_when_the_next_begins() {
        let database = Database::mariadb();
        database.store().await;
        let url = by_an_ordinary_user(&database);
        let lease = entered(&url).await;
        let store = Store::leased(url.clone(), no_keys(), Some(lease.clone()));
        let is_inside = Arc::new(AtomicBool::new(false));
        let inside = Arc::clone(&is_inside);
        let writing = tokio::spawn(async move {
            let work = move |c: &mut AnyConnection| {
                sql::execute(c, "BEGIN")?;
                sql::execute(c, "INSERT INTO owners (name, role, is_active, created_at) VALUES ('late', 0, TRUE, 0)")?;
                inside.store(true, Ordering::Relaxed);
                sql::execute(c, "DO SLEEP(60)")?;
                sql::execute(c, "COMMIT")
            };
            store.run(Lane::Write, work).await
        });
        eventually_async("it to write", SOON, async || is_inside.load(Ordering::Relaxed).then_some(()).ok_or("no"))
            .await;

        cut_off(&database);
        let next = entered(&url).await;
        let mut other = sql::connect(&url);
        let mut count = || sql::number(&mut other, "COUNT(*)", "owners WHERE name = 'late'").expect("a number");
        assert_eq!(count(), 0, "it was undone");
        let written = tokio::time::timeout(SOON, writing).await.expect("in time").expect("no panic");
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "it ran again: {written:?}");
        assert_eq!(count(), 0, "and nothing comes after it");

        let others = Store::leased(url.clone(), no_keys(), Some(lease.clone()));
        let refused = others.run(Lane::Write, |c| add_owner(c, "fenced")).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("taken over")), "{refused:?}");
        tokio::time::timeout(SOON, lease.taken_over()).await.expect("it learns of it");

        let ours = Store::leased(url, no_keys(), Some(next));
        ours.run(Lane::Write, |c| add_owner(c, "next")).await.expect("who has the lease writes");
    }

    /// A transaction that nobody goes on with would keep the tables from being altered, before the lease is entered upon.
    #[tokio::test]
    async fn what_an_engine_before_was_writing_holds_up_no_migration() {
        let database = Database::mariadb();
        database.store().await;
        let url = by_an_ordinary_user(&database);
        let store = Store::leased(url.clone(), no_keys(), Some(entered(&url).await));
        let is_inside = Arc::new(AtomicBool::new(false));
        let inside = Arc::clone(&is_inside);
        let writing = tokio::spawn(async move {
            let work = move |c: &mut AnyConnection| {
                if inside.swap(true, Ordering::Relaxed) {
                    return Ok(());
                }
                sql::execute(c, "BEGIN; UPDATE owners SET created_at = 1; DO SLEEP(60); COMMIT")
            };
            store.run(Lane::Write, work).await
        });
        let mut other = sql::connect(&url);
        let asleep = "information_schema.processlist WHERE db = DATABASE() AND info LIKE 'DO SLEEP%'";
        eventually_async("it to write", SOON, async || {
            match sql::number(&mut other, "COUNT(*)", asleep).expect("a number") {
                0 => Err("not yet"),
                _ => Ok(()),
            }
        })
        .await;
        let alter = "SET lock_wait_timeout = 2; ALTER TABLE owners ADD COLUMN later INT";
        let early = sql::execute(&mut other, alter);
        assert!(early.is_err(), "it is held up: {early:?}");

        cut_off(&database);
        let next = tokio::time::timeout(SOON, Lease::take(&url)).await.expect("in time").expect("it is free");
        tokio::time::timeout(SOON, next.end_others()).await.expect("in time").expect("it is not lost");
        sql::execute(&mut other, alter).expect("nobody holds it up");
        tokio::time::timeout(SOON, writing).await.expect("in time").expect("no panic").expect("it ran again");
    }

    #[tokio::test]
    async fn a_lease_that_nobody_else_wants_survives_its_session() {
        let database = Database::mariadb();
        database.store().await;
        let url = database.database_url();
        let lease = entered(&url).await;
        let kept = tokio::spawn({
            let lease = lease.clone();
            async move { lease.taken_over().await }
        });
        cut_off(&database);
        let store = Store::leased(url.clone(), no_keys(), Some(lease));
        store.run(Lane::Write, |c| add_owner(c, "meanwhile")).await.expect("nobody else has it");
        let mut other = sql::connect(&url);
        eventually_async("the lease to be held again", SOON, async || {
            match sql::number(&mut other, HOLDER, "dual").expect("a number") {
                0 => Err("free"),
                _ => Ok(()),
            }
        })
        .await;
        let early = tokio::time::timeout(A_WHILE, Lease::take(&url)).await;
        assert!(early.is_err(), "two have it");
        assert!(!kept.is_finished(), "it was never lost");
    }

    /// It was frozen while another one had the lease and gave it back.
    #[tokio::test]
    async fn an_engine_does_not_take_up_what_another_had_meanwhile() {
        let database = Database::mariadb();
        database.store().await;
        let url = database.database_url();
        let frozen = entered(&url).await;
        cut_off(&database);
        drop(entered(&url).await);
        tokio::time::timeout(SOON, frozen.taken_over())
            .await
            .expect("it learns of it, although nobody has the lease now");
        let store = Store::leased(url, no_keys(), Some(frozen));
        let refused = store.run(Lane::Write, |c| add_owner(c, "late")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }

    /// A commit of which the answer is lost: it has happened, or it never will, when the work is run again.
    #[tokio::test]
    async fn what_was_sent_over_a_lost_connection_is_over_before_it_is_sent_again() {
        let database = Database::mariadb();
        database.store().await;
        let mut other = sql::connect(&database.database_url());
        sql::execute(&mut other, "CREATE TABLE sent (run INT)").expect("it is new");
        let (cable, url) = database.by_cable().expect("a server");
        let url = url.parse().expect("a URL");
        let lease = entered(&url).await;
        let store = Store::leased(url, no_keys(), Some(lease));
        let writing = tokio::spawn(async move {
            let mut runs = 0;
            let work = move |c: &mut AnyConnection| {
                runs += 1;
                let slowly = if runs == 1 { "DO SLEEP(3);" } else { "" };
                sql::execute(c, &format!("BEGIN; INSERT INTO sent VALUES ({runs}); {slowly} COMMIT"))
            };
            store.run(Lane::Write, work).await
        });
        let under_way = format!("information_schema.processlist WHERE db = DATABASE() AND info LIKE 'DO SLEEP{}'", '%');
        eventually_async("the first run to be under way", SOON, async || {
            match sql::number(&mut other, "COUNT(*)", &under_way).expect("a number") {
                0 => Err("not yet"),
                _ => Ok(()),
            }
        })
        .await;
        cable.cut();
        writing.await.expect("no panic").expect("it is run again");
        eventually_async("the first run to be over", SOON, async || {
            match sql::number(&mut other, "COUNT(*)", &under_way).expect("a number") {
                0 => Ok(()),
                _ => Err("it goes on"),
            }
        })
        .await;
        let sent = sql::values(&mut other, "SELECT CAST(run AS CHAR) AS value FROM sent").expect("rows");
        assert_eq!(sent, ["2"]);
    }

    /// An answer that is lost on the way, and nobody says so: the errand is given up, and not run again when its thread hears at last
    /// that the connection is gone.
    #[tokio::test]
    async fn what_nobody_will_answer_is_given_up_and_not_run_again() {
        let database = Database::mariadb();
        database.store().await;
        let mut other = sql::connect(&database.database_url());
        sql::execute(&mut other, "CREATE TABLE sent (run INT)").expect("it is new");
        let (cable, url) = database.by_cable().expect("a server");
        let url = url.parse().expect("a URL");
        let lease = entered(&url).await;
        let kept = lease.clone();
        let keeping = tokio::spawn(async move { kept.taken_over().await });
        let store = Store::leased(url, no_keys(), Some(lease));
        let runs = Arc::new(AtomicUsize::new(0));
        let (writer, counted) = (store.clone(), Arc::clone(&runs));
        let writing = tokio::spawn(async move {
            let work = move |c: &mut AnyConnection| {
                counted.fetch_add(1, Ordering::Relaxed);
                sql::execute(c, "BEGIN; INSERT INTO sent VALUES (1)")?;
                sql::execute(c, "DO SLEEP(1)")?;
                sql::execute(c, "COMMIT")
            };
            writer.run(Lane::Write, work).await
        });
        eventually_async("it to be under way", SOON, async || {
            let slept = "information_schema.processlist WHERE db = DATABASE() AND info = 'DO SLEEP(1)'";
            match sql::number(&mut other, "COUNT(*)", slept).expect("a number") {
                0 => Err("not yet"),
                _ => Ok(()),
            }
        })
        .await;
        cable.go_dead();
        let given_up = tokio::time::timeout(SOON * 3, writing).await.expect("in time").expect("no panic");
        assert!(matches!(given_up, Err(StoreError::Unavailable(_))), "{given_up:?}");
        store.unsure().await;
        let again = store.run(Lane::Write, |c: &mut AnyConnection| sql::execute(c, "INSERT INTO sent VALUES (2)"));
        again.await.expect("there are new connections");
        assert_eq!(Arc::strong_count(&runs), 2, "its thread still waits");
        cable.cut();
        eventually_async("its thread to come back", SOON, async || match Arc::strong_count(&runs) {
            1 => Ok(()),
            count => Err(count),
        })
        .await;
        let sent = sql::values(&mut other, "SELECT CAST(run AS CHAR) AS value FROM sent ORDER BY run").expect("rows");
        assert_eq!((runs.load(Ordering::Relaxed), sent), (1, vec!["2".to_owned()]), "the first was undone");
        assert!(!keeping.is_finished(), "nobody has taken over");
    }

    /// Firewalls forget connections that are idle. The server may not hear that one is not used any more.
    #[tokio::test]
    async fn a_writer_that_was_idle_for_a_minute_is_not_used_again_and_ended() {
        let database = Database::mariadb();
        database.store().await;
        let mut other = sql::connect(&database.database_url());
        let (cable, url) = database.by_cable().expect("a server");
        let url = url.parse().expect("a URL");
        let lease = entered(&url).await;
        let store = Store::leased(url, no_keys(), Some(lease));
        let write =
            async || store.run(Lane::Write, |c| sql::number(c, "CONNECTION_ID()", "dual")).await.expect("a number");
        let first = write().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(write().await, first);
        cable.go_dead();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_ne!(write().await, first);
        let lingering = format!("information_schema.processlist WHERE id = {first}");
        assert_eq!(sql::number(&mut other, "COUNT(*)", &lingering).expect("a number"), 0);
    }

    /// A statement may take as long as it likes, also of a user who sees but their own sessions.
    #[tokio::test]
    async fn what_takes_long_is_not_given_up() {
        let database = Database::mariadb();
        database.store().await;
        let url = by_an_ordinary_user(&database);
        let lease = entered(&url).await;
        let kept = lease.clone();
        tokio::spawn(async move { kept.taken_over().await });
        let store = Store::leased(url, no_keys(), Some(lease));
        let long = store.run(Lane::Read, |c: &mut AnyConnection| sql::execute(c, "DO SLEEP(28)"));
        long.await.expect("it is answered");
    }
}
