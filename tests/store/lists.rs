//! Lists for those who want all of them: filters, orders, and windows that neither miss nor repeat a row.

use postrider::{
    domain::{
        attempt::{FailureClass, Outcome},
        delivery::{State, Verdict},
        id::{DeliveryId, SubscriptionId},
        owner::Scope,
        secret::Secret,
        subscription::Terms,
    },
    store::{
        lists::{
            Direction::{self, Ascending, Descending},
            List, Skip,
            attempted::{self, Comparison},
            registered::{self, Registered},
            waiting,
        },
        subscriptions::{Change, create},
    },
};

use crate::{
    scene::{NOW, Scene, at, no_keys, record, record_of, terms},
    support::database::{Database, on_both},
};

on_both! {
    windows_neither_miss_nor_repeat_a_row,
    subscriptions_are_filtered_without_regard_to_case,
    those_without_a_secret_come_behind_the_others,
    an_attempted_delivery_shows_its_latest_attempt,
    each_filter_of_attempted_deliveries_leaves_what_it_says,
    a_delivery_waits_until_its_first_attempt_is_recorded,
    strangers_find_nothing,
}

const NONE: [i64; 0] = [];

async fn ids<L: List>(scene: &Scene, list: &L) -> Vec<i64> {
    let list = list.clone();
    scene.read(move |c| list.ids(c, Skip::Rows(0), 1_000)).await
}

/// Reads a list as `http` does, but three rows at a time.
async fn in_windows<L: List>(scene: &Scene, list: &L) -> Vec<i64> {
    let (mut all, mut skip) = (Vec::new(), Skip::Rows(0));
    loop {
        let window = list.clone();
        let found: Vec<i64> = scene.read(move |c| window.ids(c, skip, 3)).await;
        let Some(&end) = found.last() else { return all };
        all.extend(found);
        skip = match list.by_id() {
            Some(_) => Skip::UpTo(end),
            None => Skip::Rows(i64::try_from(all.len()).expect("a short list")),
        };
    }
}

async fn count<L: List>(scene: &Scene, list: &L) -> i64 {
    let list = list.clone();
    scene.read(move |c| list.count(c)).await
}

fn all_registered(order: &[(registered::Key, Direction)]) -> Registered {
    Registered { scope: Scope::All, target_url: None, event_type: None, is_active: None, order: order.to_vec() }
}

async fn register(scene: &Scene, terms: Terms) -> i64 {
    let owner = scene.owner;
    match scene.write(move |c| create(c, &no_keys(), owner, &terms, NOW)).await {
        Change::Made(subscription) => subscription.id.as_raw().into(),
        change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
    }
}

async fn windows_neither_miss_nor_repeat_a_row(database: Database) {
    use registered::Key;
    let scene = Scene::of(&database).await;
    let mut by_id = Vec::new();
    for number in 0..8 {
        let terms = Terms { is_active: number % 3 == 0, ..terms(&format!("name{}", number % 4 * 10 + number)) };
        by_id.push(register(&scene, terms).await);
    }
    let backwards: Vec<i64> = by_id.iter().rev().copied().collect();
    assert_eq!(in_windows(&scene, &all_registered(&[])).await, by_id);
    assert_eq!(in_windows(&scene, &all_registered(&[(Key::Id, Descending)])).await, backwards);
    for order in [
        &[(Key::IsActive, Ascending)][..],
        &[(Key::TargetUrl, Descending)],
        &[(Key::IsActive, Descending), (Key::Id, Descending)],
        &[
            (Key::CreatedAt, Ascending),
            (Key::ModifiedAt, Ascending),
            (Key::Owner, Descending),
            (Key::EventType, Ascending),
        ],
    ] {
        let list = all_registered(order);
        let (whole, mut found) = (ids(&scene, &list).await, in_windows(&scene, &list).await);
        assert_eq!(found, whole, "{order:?}");
        found.sort_unstable();
        assert_eq!(found, by_id, "{order:?}");
    }
    let list = all_registered(&[(Key::IsActive, Descending), (Key::Id, Descending)]);
    let active: Vec<i64> = [6, 3, 0].iter().map(|&place: &usize| by_id[place]).collect();
    assert_eq!(ids(&scene, &list).await[..3], active);
    assert_eq!(count(&scene, &list).await, 8);

    let wanted = vec![by_id[5], 404, by_id[1]];
    let rows = scene.read(move |c| list.rows(c, &no_keys(), &wanted)).await;
    let found: Vec<SubscriptionId> = rows.iter().map(|subscription| subscription.id).collect();
    assert_eq!(found.iter().map(|id| i64::from(id.as_raw())).collect::<Vec<_>>(), [by_id[5], by_id[1]]);
}

async fn subscriptions_are_filtered_without_regard_to_case(database: Database) {
    let scene = Scene::of(&database).await;
    let one = register(&scene, Terms { target_url: "https://a.example/Path_1".into(), ..terms("x") }).await;
    let two = register(&scene, Terms { is_active: false, ..terms("y") }).await;
    let found = async |list: Registered| ids(&scene, &list).await;
    let list = || all_registered(&[]);
    assert_eq!(found(Registered { target_url: Some("HTTPS://a.example/path_1".into()), ..list() }).await, [one]);
    // Neither a prefix nor a wildcard is equality.
    for url in ["https://a.example/path_", "https://a.example/pathX1", "%"] {
        assert_eq!(found(Registered { target_url: Some(url.into()), ..list() }).await, NONE);
    }
    assert_eq!(found(Registered { event_type: Some("Package.CREATED".into()), ..list() }).await, [one, two]);
    assert_eq!(found(Registered { event_type: Some("package.create".into()), ..list() }).await, NONE);
    assert_eq!(found(Registered { is_active: Some(true), ..list() }).await, [one]);
    assert_eq!(found(Registered { is_active: Some(false), ..list() }).await, [two]);
}

async fn those_without_a_secret_come_behind_the_others(database: Database) {
    use registered::Key;
    let scene = Scene::of(&database).await;
    let mut by_secret = Vec::new();
    for (name, secret) in [("a", Some("")), ("b", Some("B")), ("c", Some("a")), ("d", None)] {
        by_secret.push(register(&scene, Terms { secret: secret.map(Secret::new), ..terms(name) }).await);
    }
    assert_eq!(ids(&scene, &all_registered(&[(Key::Secret, Ascending)])).await, by_secret);
    by_secret.reverse();
    assert_eq!(ids(&scene, &all_registered(&[(Key::Secret, Descending)])).await, by_secret);
}

fn all_attempted() -> attempted::Filter {
    attempted::Filter {
        scope: Scope::All,
        delivery: None,
        subscription: None,
        event_type: None,
        status: None,
        delivered: None,
        first_recorded: Vec::new(),
        order: Vec::new(),
    }
}

async fn an_attempted_delivery_shows_its_latest_attempt(database: Database) {
    let scene = Scene::of(&database).await;
    let to = scene.subscription("one").await;
    let owed = scene.owe(to, 2).await;
    let mut later = record(owed[0], 2, 200, Verdict::Delivered);
    later.attempt.started_at = at(60);
    scene.record(vec![record(owed[0], 1, 500, Verdict::RetryAt(at(5)))], NOW).await;
    scene.record(vec![later], at(61)).await;

    let wanted: Vec<i64> = owed.iter().map(|id| id.as_raw()).collect();
    let rows = scene.read(move |c| all_attempted().rows(c, &no_keys(), &wanted)).await;
    let [attempted] = &rows[..] else { panic!("one of two was attempted: {rows:?}") };
    assert_eq!((attempted.id, attempted.state, attempted.subscription.id), (owed[0], State::Delivered, to));
    assert_eq!((attempted.first_recorded_at, attempted.recorded_at), (NOW, at(61)));
    assert_eq!((attempted.latest.number, attempted.latest.outcome.is_success()), (2, true));
    assert_eq!(attempted.started_at, [at(60), NOW]);
    assert_eq!(attempted.payload, "0");
}

async fn each_filter_of_attempted_deliveries_leaves_what_it_says(database: Database) {
    use attempted::{Filter, Key};
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let (mine, theirs) = (scene.owe(one, 3).await, scene.owe(two, 1).await);
    let failed = Outcome::failed(FailureClass::Connect, "refused");
    let raw = |deliveries: &[DeliveryId]| deliveries.iter().map(|id| id.as_raw()).collect::<Vec<_>>();
    scene.record(vec![record(mine[0], 1, 200, Verdict::Delivered)], at(1)).await;
    scene.record(vec![record_of(mine[1], 1, failed, Verdict::RetryAt(at(9)))], at(2)).await;
    scene.record(vec![record(theirs[0], 1, 500, Verdict::Dead)], at(3)).await;

    let found = async |filter: Filter| ids(&scene, &filter).await;
    let attempted = [mine[0], mine[1], theirs[0]];
    assert_eq!(found(all_attempted()).await, raw(&attempted));
    assert_eq!(count(&scene, &all_attempted()).await, 3);
    assert_eq!(found(Filter { delivery: Some(mine[1]), ..all_attempted() }).await, raw(&[mine[1]]));
    assert_eq!(found(Filter { delivery: Some(mine[2]), ..all_attempted() }).await, NONE);
    assert_eq!(found(Filter { subscription: Some(two), ..all_attempted() }).await, raw(&theirs));
    let of_type = |name: &str| Filter { event_type: Some(name.into()), ..all_attempted() };
    assert_eq!(found(of_type("PACKAGE.created")).await, raw(&attempted));
    assert_eq!(found(of_type("package")).await, NONE);
    assert_eq!(found(Filter { status: Some(200), ..all_attempted() }).await, raw(&[mine[0]]));
    // An attempt without an answer counts as 500.
    assert_eq!(found(Filter { status: Some(500), ..all_attempted() }).await, raw(&[mine[1], theirs[0]]));
    assert_eq!(found(Filter { delivered: Some(true), ..all_attempted() }).await, raw(&[mine[0]]));
    assert_eq!(found(Filter { delivered: Some(false), ..all_attempted() }).await, raw(&[mine[1], theirs[0]]));
    for (comparison, left) in [
        (Comparison::At, &attempted[1..2]),
        (Comparison::After, &attempted[2..]),
        (Comparison::From, &attempted[1..]),
        (Comparison::Before, &attempted[..1]),
        (Comparison::UpTo, &attempted[..2]),
    ] {
        let filter = Filter { first_recorded: vec![(comparison, at(2))], ..all_attempted() };
        assert_eq!(found(filter).await, raw(left), "{comparison:?}");
    }

    let ordered = |order: &[(Key, Direction)]| Filter { order: order.to_vec(), ..all_attempted() };
    let backwards = raw(&[theirs[0], mine[1], mine[0]]);
    for key in [Key::Id, Key::FirstRecordedAt, Key::RecordedAt] {
        assert_eq!(found(ordered(&[(key, Descending)])).await, backwards, "{key:?}");
    }
    assert_eq!(found(ordered(&[(Key::Status, Descending), (Key::Id, Descending)])).await, backwards);
    assert_eq!(found(ordered(&[(Key::Subscription, Descending)])).await, raw(&[theirs[0], mine[0], mine[1]]));
    assert_eq!(found(ordered(&[(Key::Delivered, Descending), (Key::Attempts, Ascending)])).await, raw(&attempted));
    let all = ordered(&[(Key::Duration, Ascending), (Key::StartedAt, Ascending), (Key::Body, Ascending)]);
    assert_eq!(in_windows(&scene, &all).await, raw(&attempted));
}

async fn a_delivery_waits_until_its_first_attempt_is_recorded(database: Database) {
    use waiting::{Filter, Key};
    let scene = Scene::of(&database).await;
    let to = scene.subscription("one").await;
    let owed = scene.owe(to, 3).await;
    let raw: Vec<i64> = owed.iter().map(|id| id.as_raw()).collect();
    let filter = || Filter { scope: Scope::All, delivery: None, event_type: None, order: Vec::new() };
    assert_eq!(in_windows(&scene, &filter()).await, raw);

    scene.record(vec![record(owed[1], 1, 500, Verdict::RetryAt(at(5)))], NOW).await;
    assert_eq!(ids(&scene, &filter()).await, [raw[0], raw[2]]);
    assert_eq!(count(&scene, &filter()).await, 2);
    assert_eq!(ids(&scene, &Filter { delivery: Some(owed[1]), ..filter() }).await, NONE);
    assert_eq!(ids(&scene, &Filter { event_type: Some("Package.Created".into()), ..filter() }).await.len(), 2);
    assert_eq!(ids(&scene, &Filter { event_type: Some("package".into()), ..filter() }).await, NONE);
    for key in [Key::AcceptedAt, Key::Subscription, Key::EventType] {
        let order = vec![(key, Ascending), (Key::Id, Descending)];
        assert_eq!(ids(&scene, &Filter { order, ..filter() }).await, [raw[2], raw[0]], "{key:?}");
    }
    let wanted = raw.clone();
    let rows = scene.read(move |c| filter().rows(c, &no_keys(), &wanted)).await;
    let shown: Vec<_> = rows.iter().map(|row| (row.id, row.subscription, &row.payload[..], row.accepted_at)).collect();
    assert_eq!(shown, [(owed[0], to, &b"0"[..], NOW), (owed[2], to, b"2", NOW)]);
}

async fn strangers_find_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let stranger = scene.add_owner("stranger").await;
    let owed = scene.owe(scene.subscription("one").await, 2).await;
    scene.record(vec![record(owed[0], 1, 200, Verdict::Delivered)], NOW).await;
    for (owner, seen) in [(scene.owner, 1), (stranger, 0)] {
        let scope = Scope::Of(owner);
        assert_eq!(count(&scene, &Registered { scope, ..all_registered(&[]) }).await, seen);
        assert_eq!(count(&scene, &attempted::Filter { scope, ..all_attempted() }).await, seen);
        let waiting = waiting::Filter { scope, delivery: None, event_type: None, order: Vec::new() };
        assert_eq!(count(&scene, &waiting).await, seen);
    }
}
