//! Attempts added up: what was written comes back as a sum, found by the key, and goes after its time.

use postrider::{
    domain::{id::SubscriptionId, rollup::Rollup},
    store::rollups::{prune, series, sum, write},
};

use crate::{
    plans::{explain, overhear},
    scene::{NOW, Scene, at},
    support::database::{Database, on_both},
};

on_both! {
    sums_come_back_and_old_ones_go,
    sums_are_found_by_the_key,
    a_series_has_each_piece_with_its_time,
}

const ONE: SubscriptionId = SubscriptionId::from_raw(1);
const TWO: SubscriptionId = SubscriptionId::from_raw(2);

fn rollup(succeeded: u64) -> Rollup {
    let mut rollup = Rollup { succeeded, failed: 1, delivered: succeeded, dead: 1, expired: 2, ..Rollup::default() };
    rollup.latencies[3] = succeeded;
    rollup.latencies[13] = 1;
    rollup
}

async fn sums_come_back_and_old_ones_go(database: Database) {
    let scene = Scene::of(&database).await;
    for minute in 0..3_u64 {
        let sums = [(ONE, rollup(minute + 1)), (TWO, rollup(100))];
        scene.write(move |c| write(c, &sums, at(minute * 60))).await;
        // A commit whose answer was lost is run again.
        scene.write(move |c| write(c, &sums, at(minute * 60))).await;
    }
    let total = |since| scene.read(move |c| sum(c, ONE, since));
    let all = total(NOW.before(std::time::Duration::from_secs(1))).await;
    assert_eq!((all.succeeded, all.failed, all.expired), (6, 3, 6));
    assert_eq!((all.latencies[3], all.latencies[13]), (6, 3));
    assert_eq!(total(at(0)).await.succeeded, 5);
    assert_eq!(total(at(120)).await, Rollup::default());

    assert!(scene.write(|c| prune(c, at(60))).await);
    assert!(!scene.write(|c| prune(c, at(60))).await);
    assert_eq!(scene.count("rollups").await, 4);
}

async fn sums_are_found_by_the_key(database: Database) {
    let scene = Scene::of(&database).await;
    for minute in 0..60_u64 {
        let sums: Vec<_> = (1..=100).map(|id| (SubscriptionId::from_raw(id), rollup(1))).collect();
        scene.write(move |c| write(c, &sums, at(minute * 60))).await;
    }
    if database.is_mariadb() {
        scene.write(|c| crate::sql::execute(c, "ANALYZE TABLE rollups")).await;
    }
    let asked = |c: &mut _| sum(c, ONE, at(600)).map(drop);
    let several = |c: &mut _| series(c, &[ONE, TWO, SubscriptionId::from_raw(70)], at(600)).map(drop);
    let mut statements = scene.read(move |c| overhear(c, &asked)).await;
    statements.extend(scene.read(move |c| overhear(c, &several)).await);
    for statement in statements {
        let plan = scene.read(explain(&statement)).await;
        assert!(plan.scans_nothing() && !plan.sorts(), "{statement}\n{plan:#?}");
    }
}

async fn a_series_has_each_piece_with_its_time(database: Database) {
    let scene = Scene::of(&database).await;
    for minute in 0..3_u64 {
        let sums = [(ONE, rollup(minute + 1)), (TWO, rollup(100))];
        scene.write(move |c| write(c, &sums, at(minute * 60))).await;
    }
    let pieces = scene.read(move |c| series(c, &[TWO, ONE], at(0))).await;
    let told: Vec<_> = pieces.iter().map(|(id, until, rollup)| (*id, *until, rollup.succeeded)).collect();
    assert_eq!(told, [(ONE, at(60), 2), (ONE, at(120), 3), (TWO, at(60), 100), (TWO, at(120), 100)]);
    assert_eq!(pieces[1].2, rollup(3));
    assert_eq!(scene.read(|c| series(c, &[], at(0))).await, []);
}
