//! Who is owed what since when, found without reading what is owed.

use std::time::Duration;

use postrider::{
    domain::{
        delivery::Verdict,
        hold::{Hold, HoldMode},
        id::SubscriptionId,
        owner::Scope,
    },
    store::{
        owing::{Owing, Watched, owing, watch},
        subscriptions::holds::hold,
    },
};

use crate::{
    plans::{crowd, explain, overhear, rows_read},
    scene::{NOW, Scene, at, no_keys, record},
    support::database::{Database, on_both},
};

on_both! {
    the_oldest_is_found_among_first_attempts_and_retries,
    what_is_owed_is_counted_up_to_a_bound,
    a_watch_reads_two_rows_of_each_subscription,
}

async fn watched(scene: &Scene) -> Vec<Watched> {
    scene.read(|c| watch(c, SubscriptionId::from_raw(0), NOW, 100)).await
}

async fn the_oldest_is_found_among_first_attempts_and_retries(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, idle, held) =
        (scene.subscription("one").await, scene.subscription("idle").await, scene.subscription("held").await);
    let old = scene.owe(one, 2).await;
    let young = scene.owe_at(at(60), one, 3).await;
    let waiting = scene.owe(held, 1).await;
    let pause = Hold { since: NOW, until: Some(at(1)), mode: HoldMode::Keep, reason: None, by: "ops".to_owned() };
    scene.write(move |c| hold(c, &no_keys(), Scope::All, held, &pause)).await;
    let expected = [(one, false, Some(old[0])), (idle, false, None), (held, true, Some(waiting[0]))]
        .map(|(id, is_held, old)| Watched { id, is_active: true, is_held, old });
    assert_eq!(watched(&scene).await, expected);
    let later = scene.read(|c| watch(c, SubscriptionId::from_raw(0), at(1), 100)).await;
    assert!(!later[2].is_held, "its end has come: {later:?}");

    // The oldest waits for a retry, behind younger ones that were never attempted.
    scene.record(vec![record(old[0], 1, 500, Verdict::RetryAt(at(3_600)))], at(1)).await;
    scene.record(vec![record(old[1], 1, 200, Verdict::Delivered)], at(1)).await;
    assert_eq!(watched(&scene).await[0].old, Some(old[0]));
    let found = scene.read(move |c| owing(c, one, 10)).await;
    assert_eq!(found, Owing { owed: 4, is_exact: true, oldest: Some(old[0]) });
    assert_eq!(old[0].minted_at(), NOW);
    assert_eq!(young[0].minted_at().since(NOW), Duration::from_mins(1));
}

async fn what_is_owed_is_counted_up_to_a_bound(database: Database) {
    let scene = Scene::of(&database).await;
    let one = scene.subscription("one").await;
    let ids = scene.owe(one, 30).await;
    let count = |most| scene.read(move |c| owing(c, one, most));
    assert_eq!(count(30).await, Owing { owed: 30, is_exact: true, oldest: Some(ids[0]) });
    assert_eq!(count(29).await, Owing { owed: 29, is_exact: false, oldest: Some(ids[0]) });
    // The oldest is due last: it is found from the other end.
    scene.record(vec![record(ids[0], 1, 500, Verdict::RetryAt(at(3_600)))], at(1)).await;
    assert_eq!(count(10).await, Owing { owed: 10, is_exact: false, oldest: Some(ids[0]) });
    let nothing = scene.subscription("nothing").await;
    assert_eq!(scene.read(move |c| owing(c, nothing, 10)).await, Owing { is_exact: true, ..Owing::default() });
}

async fn a_watch_reads_two_rows_of_each_subscription(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let look = |c: &mut _| watch(c, SubscriptionId::from_raw(0), NOW, 100).map(drop);
    let overheard = scene.read(move |c| overhear(c, &look)).await;
    let plan = scene.read(explain(&overheard[0])).await;
    assert!(plan.of("deliveries").uses_the_queue_index_alone(), "{}\n{plan:#?}", overheard[0]);
    let (busy, most) = (subscriptions[0], 100);
    let count = move |c: &mut _| owing(c, busy, most).map(drop);
    for statement in scene.read(move |c| overhear(c, &count)).await {
        let plan = scene.read(explain(&statement)).await;
        assert!(plan.uses_the_queue_index_alone(), "{statement}\n{plan:#?}");
    }
    if database.is_mariadb() {
        let read = scene.read(move |c| rows_read(c, &look)).await;
        assert!(read <= 250, "{read} rows read to watch 40 subscriptions");
        let read = scene.read(move |c| rows_read(c, &count)).await;
        assert!(read <= 1_200, "{read} rows read to count 100 of 9,000 deliveries");
    }
}
