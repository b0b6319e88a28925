//! A database without room for more is one to wait for: nothing that was attempted may be forgotten over it.
#![cfg(feature = "sqlite")]

use postrider::{
    domain::delivery::{State, Verdict},
    store::{
        AnyConnection, Lane, StoreError,
        accept::{Accepted, Run},
        checkpoint::length,
        record::record_attempts,
    },
};

use crate::{
    scene::{NOW, Scene, record},
    sql,
    support::database::{Database, run},
};

/// Leaves the file room for so many pages more.
async fn leave_room(scene: &Scene, pages: i64) {
    // SQLite has one connection that writes. This is a setting of its own, and gone with it.
    let work = move |c: &mut AnyConnection| {
        let pages = sql::number(c, "page_count", "pragma_page_count")? + pages;
        sql::execute(c, &format!("PRAGMA max_page_count = {pages}"))
    };
    scene.write(work).await;
}

#[test]
fn a_full_disk_is_waited_for() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        let owed = scene.owe(subscription, 500).await;

        leave_room(&scene, 0).await;
        let heavy = scene.acceptance("x".repeat(100_000), &[subscription]);
        let accepted = scene.try_accept(vec![heavy.clone()], Run::First).await;
        assert!(matches!(accepted, Err(StoreError::Unavailable(_))), "{accepted:?}");
        assert_eq!(scene.read(length).await.left(), 0, "the log may take its room again");
        leave_room(&scene, 0).await;
        let records: Vec<_> = owed.iter().map(|id| record(*id, 1, 200, Verdict::Delivered)).collect();
        let again = records.clone();
        let recorded = scene.store.run(Lane::Write, move |c| record_attempts(c, &records, NOW)).await;
        assert!(matches!(recorded, Err(StoreError::Unavailable(_))), "{recorded:?}");
        assert_eq!(scene.count("attempts").await, 0);

        leave_room(&scene, 1_000).await;
        assert_eq!(scene.try_accept(vec![heavy], Run::First).await.expect("there is room"), [Accepted::Stored]);
        scene.record(again, NOW).await;
        assert_eq!(scene.state(owed[499]).await, State::Delivered);
    });
}
