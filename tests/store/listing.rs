//! What people see of deliveries: lists, one with its attempts, and how far a subscription is behind.

use postrider::{
    domain::{
        delivery::{State, Verdict},
        event_type::EventType,
        id::DeliveryId,
        owner::Scope,
    },
    store::deliveries::{Filter, backlog, get, list},
};

use crate::{
    scene::{NOW, Scene, at, event_type, record},
    support::database::{Database, on_both},
};

on_both! {
    the_newest_come_first_in_pages,
    each_filter_leaves_what_it_says,
    a_stranger_sees_nothing,
    a_backlog_is_counted_and_its_oldest_named,
    nothing_owed_is_no_backlog,
}

fn everything() -> Filter {
    Filter { scope: Scope::All, subscription: None, state: None, event_type: None, before: None, limit: 100 }
}

async fn ids(scene: &Scene, filter: Filter) -> Vec<DeliveryId> {
    scene.read(move |c| list(c, &filter)).await.into_iter().map(|listed| listed.delivery.id).collect()
}

async fn the_newest_come_first_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let mut owed = scene.owe(scene.subscription("one").await, 5).await;
    owed.reverse();
    assert_eq!(ids(&scene, everything()).await, owed);
    let first = ids(&scene, Filter { limit: 2, ..everything() }).await;
    assert_eq!(first, owed[..2]);
    let second = ids(&scene, Filter { limit: 2, before: first.last().copied(), ..everything() }).await;
    assert_eq!(second, owed[2..4]);
}

async fn each_filter_leaves_what_it_says(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let (mine, theirs) = (scene.owe(one, 4).await, scene.owe(two, 1).await);
    let records = vec![
        record(mine[0], 1, 200, Verdict::Delivered),
        record(mine[1], 1, 500, Verdict::Dead),
        record(mine[2], 1, 503, Verdict::RetryAt(at(60))),
    ];
    scene.record(records, NOW).await;

    let of_one = || Filter { subscription: Some(one), ..everything() };
    assert_eq!(ids(&scene, Filter { subscription: Some(two), ..everything() }).await, theirs);
    let in_state = |state| Filter { state: Some(state), ..of_one() };
    assert_eq!(ids(&scene, in_state(State::Delivered)).await, [mine[0]]);
    assert_eq!(ids(&scene, in_state(State::Dead)).await, [mine[1]]);
    assert_eq!(ids(&scene, in_state(State::Pending)).await, [mine[3], mine[2]]);
    assert_eq!(ids(&scene, in_state(State::Cancelled)).await, []);
    assert_eq!(ids(&scene, Filter { event_type: Some(event_type()), ..of_one() }).await.len(), 4);
    let other = EventType::parse("package.other").expect("a type");
    assert_eq!(ids(&scene, Filter { event_type: Some(other), ..everything() }).await, []);
}

async fn a_stranger_sees_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let stranger = scene.add_owner("stranger").await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    for (owner, seen) in [(scene.owner, 1), (stranger, 0)] {
        let scope = Scope::Of(owner);
        assert_eq!(ids(&scene, Filter { scope, ..everything() }).await.len(), seen);
        assert_eq!(scene.read(move |c| get(c, scope, id)).await.is_some(), seen == 1);
    }
    assert!(scene.read(|c| get(c, Scope::All, DeliveryId::from_raw(404))).await.is_none());
}

async fn a_backlog_is_counted_and_its_oldest_named(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let owed = scene.owe(subscription, 6).await;
    let records = vec![
        record(owed[0], 1, 200, Verdict::Delivered),
        record(owed[1], 1, 503, Verdict::RetryAt(at(60))),
        record(owed[4], 1, 500, Verdict::Dead),
    ];
    scene.record(records, at(1)).await;
    let found = scene.read(move |c| backlog(c, subscription)).await;
    // The one that waits for its retry is older than all that were never attempted.
    assert_eq!((found.owed, found.oldest), (4, Some((owed[1], NOW))));
    assert!(found.last_attempt.is_some());

    scene.record(vec![record(owed[1], 2, 200, Verdict::Delivered)], at(61)).await;
    let found = scene.read(move |c| backlog(c, subscription)).await;
    assert_eq!((found.owed, found.oldest), (3, Some((owed[2], NOW))));
}

async fn nothing_owed_is_no_backlog(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let found = scene.read(move |c| backlog(c, subscription)).await;
    assert_eq!((found.owed, found.oldest, found.last_attempt), (0, None, None));
}
