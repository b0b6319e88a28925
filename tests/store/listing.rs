//! What people see of deliveries: lists, one with its attempts, and how far a subscription is behind.

use postrider::{
    domain::{
        attempt::{FailureClass, Outcome},
        delivery::{State, Verdict},
        endpoint::parse_host,
        event_type::EventType,
        id::DeliveryId,
        owner::Scope,
    },
    store::deliveries::{
        backlog, get,
        list::{EndingFilter, Filter, list},
    },
};

use crate::{
    scene::{NOW, Scene, at, event_type, record, record_of},
    support::database::{Database, on_both},
};

on_both! {
    the_newest_come_first_in_pages,
    each_filter_leaves_what_it_says,
    what_became_of_it_and_where_it_went_can_be_asked_for,
    a_walk_finds_everything_once_whatever_it_walks_along,
    a_stranger_sees_nothing,
    a_backlog_is_counted_and_its_oldest_named,
    nothing_owed_is_no_backlog,
}

fn everything() -> Filter {
    Filter::all(Scope::All, 100)
}

async fn ids(scene: &Scene, filter: Filter) -> Vec<DeliveryId> {
    scene.read(move |c| list(c, &filter)).await.found.into_iter().map(|listed| listed.delivery.id).collect()
}

/// Page after page, and how many pages there were.
async fn walked(scene: &Scene, mut filter: Filter) -> (Vec<DeliveryId>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let asked = filter.clone();
        let page = scene.read(move |c| list(c, &asked)).await;
        all.extend(page.found.iter().map(|listed| listed.delivery.id));
        pages += 1;
        filter.before = match page.next {
            Some(next) => Some(next),
            None => return (all, pages),
        };
    }
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

async fn what_became_of_it_and_where_it_went_can_be_asked_for(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let (mine, theirs) = (scene.owe(one, 3).await, scene.owe_at(at(3_600), two, 1).await);
    let refused = Outcome::failed(FailureClass::Connect, "refused");
    let records = vec![
        record(mine[0], 1, 500, Verdict::RetryAt(at(60))),
        record(mine[1], 1, 404, Verdict::Dead),
        record_of(mine[2], 1, refused, Verdict::RetryAt(at(60))),
    ];
    scene.record(records, NOW).await;
    scene.record(vec![record(mine[0], 2, 200, Verdict::Delivered)], at(60)).await;

    let latest = |latest| Filter { latest: Some(latest), ..everything() };
    assert_eq!(ids(&scene, latest(EndingFilter::Status(200, 299))).await, [mine[0]]);
    // The latest attempt counts, not an earlier one.
    assert_eq!(ids(&scene, latest(EndingFilter::Status(500, 500))).await, []);
    assert_eq!(ids(&scene, latest(EndingFilter::Failure(FailureClass::Connect))).await, [mine[2]]);
    let on = |host: &str| Filter { host: Some(parse_host(host).expect("a host")), ..everything() };
    assert_eq!(ids(&scene, on("TWO.example")).await, theirs);
    assert_eq!(ids(&scene, on("three.example")).await, []);
    assert_eq!(ids(&scene, Filter { from: Some(at(1)), ..everything() }).await, theirs);
    assert_eq!(ids(&scene, Filter { to: Some(at(3_600)), ..everything() }).await, [mine[2], mine[1], mine[0]]);
    let event = scene.delivery(mine[1]).await.0.delivery.event;
    assert_eq!(ids(&scene, Filter { event: Some((event, 1)), ..everything() }).await, [mine[1]]);
    assert_eq!(ids(&scene, Filter { ordering_key: Some("package:1".into()), ..everything() }).await, []);
}

/// Whatever narrows the walk, it finds the same.
async fn a_walk_finds_everything_once_whatever_it_walks_along(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let mut mine = Vec::new();
    for _ in 0..13 {
        mine.extend(scene.owe(one, 37).await);
        scene.owe(two, 450).await;
    }
    let retried = mine.iter().step_by(3).map(|id| record(*id, 1, 500, Verdict::RetryAt(at(60)))).collect();
    let dead: Vec<_> = mine.iter().skip(1).step_by(3).copied().collect();
    scene.record(retried, NOW).await;
    scene.settle(&dead, Verdict::Dead, NOW).await;
    mine.reverse();
    let of_one = Filter { subscription: Some(one), limit: 50, ..everything() };
    assert_eq!(walked(&scene, of_one.clone()).await.0, mine);
    let pending: Vec<_> = mine.iter().filter(|id| !dead.contains(id)).copied().collect();
    assert_eq!(walked(&scene, Filter { state: Some(State::Pending), ..of_one }).await.0, pending);
    // 6,331 deliveries are more than one page looks at: the first is empty, and says that there is more.
    let key = Filter { ordering_key: Some("nobody:1".to_owned()), ..everything() };
    assert_eq!(walked(&scene, key).await, (Vec::new(), 2));
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
