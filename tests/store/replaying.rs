//! Replays: what is meant is owed again, once, and how far a replay has come is never forgotten.

use std::num::NonZeroU16;

use postrider::{
    domain::{
        delivery::{State, Verdict},
        event_type::EventType,
        id::{DeliveryId, ReplayId, SubscriptionId},
        ordering::Ordering,
        owner::Scope,
        queue::ReadOrder,
        replay::{DEFAULT_STATES, Filter, Replay, Stage},
        time::Timestamp,
    },
    store::{
        prune::erase_payloads,
        replays::{Count, Moved, Ordered, cancel, count, get, list, move_on, order, running},
        subscriptions,
    },
};

use crate::{
    scene::{NOW, Scene, all, at, record, terms},
    sql,
    support::database::{Database, on_both},
};

on_both! {
    a_replayed_delivery_is_owed_again_and_its_policy_begins_again,
    what_is_replayed_in_an_ordered_subscription_queues_up_as_new,
    only_what_is_meant_is_replayed,
    a_step_is_as_large_as_the_pace_and_none_is_repeated,
    a_filter_that_leaves_little_comes_to_its_end,
    a_delivery_without_payload_is_skipped,
    a_dry_run_counts_what_a_replay_would_put_back,
    a_subscription_has_one_replay_at_a_time,
    a_cancelled_replay_goes_no_further,
    the_replay_of_an_ended_subscription_is_called_off,
    only_the_owner_sees_a_replay,
    an_attempt_that_was_in_flight_is_counted_though_its_delivery_was_settled,
}

fn filter(subscription: SubscriptionId) -> Filter {
    Filter { subscription, states: DEFAULT_STATES.into(), from: None, to: at(1_000), event_type: None }
}

async fn ordered(scene: &Scene, filter: Filter, per_second: Option<u16>) -> Replay {
    let pace = per_second.and_then(NonZeroU16::new);
    match scene.write(move |c| order(c, &filter, pace, "oms", NOW)).await {
        Ordered::Made(replay) => *replay,
        other @ (Ordered::Running(_) | Ordered::Erasing) => panic!("{other:?}"),
    }
}

async fn step(scene: &Scene, id: ReplayId, now: Timestamp) -> Option<u16> {
    match scene.write(move |c| move_on(c, id, now)).await {
        Moved::On { replayed, .. } => Some(replayed),
        Moved::Ended => None,
    }
}

/// Runs a replay to its end; gives what it came to.
async fn run(scene: &Scene, id: ReplayId) -> Replay {
    while step(scene, id, at(2_000)).await.is_some() {}
    found(scene, id).await
}

async fn found(scene: &Scene, id: ReplayId) -> Replay {
    scene.read(move |c| get(c, Scope::All, id)).await.expect("it is there")
}

async fn a_replayed_delivery_is_owed_again_and_its_policy_begins_again(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let id = scene.owe(subscription, 1).await[0];
    scene.record(vec![record(id, 1, 500, Verdict::RetryAt(at(5)))], at(1)).await;
    scene.record(vec![record(id, 2, 500, Verdict::Dead)], at(6)).await;

    let replay = ordered(&scene, filter(subscription), None).await;
    assert_eq!(run(&scene, replay.id).await.replayed, 1);

    let (listed, attempts) = scene.delivery(id).await;
    assert_eq!((listed.delivery.state, listed.delivery.attempts), (State::Pending, 2));
    assert_eq!((listed.delivery.due_at, listed.delivery.course.replayed_at), (Some(at(2_000)), Some(at(2_000))));
    assert_eq!(attempts.len(), 2);
    let page = scene.page(subscription, all(), at(2_000)).await;
    let owed = &page.due[0];
    assert_eq!((owed.attempts, owed.course.uncounted, owed.course.replayed_at), (2, 2, Some(at(2_000))));
    assert_eq!(owed.course.first_recorded_at, Some(at(1)));

    scene.record(vec![record(id, 3, 200, Verdict::Delivered)], at(2_001)).await;
    assert_eq!(scene.state(id).await, State::Delivered);
    assert_eq!(scene.delivery(id).await.1.len(), 3);
}

/// A due time would say that each of them holds its key, and all of these are read at once.
async fn what_is_replayed_in_an_ordered_subscription_queues_up_as_new(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    scene.write(|c| sql::execute(c, "UPDATE subscriptions SET ordering = 2")).await;
    let ids = scene.owe(subscription, 3).await;
    scene.record(ids.iter().map(|id| record(*id, 1, 500, Verdict::Dead)).collect(), at(1)).await;

    let replay = ordered(&scene, filter(subscription), None).await;
    assert_eq!(run(&scene, replay.id).await.replayed, 3);

    let order = ReadOrder { keys: true, ordering: Ordering::Subscription, ..all() };
    let page = scene.page(subscription, order, at(2_000)).await;
    assert_eq!(page.keys.expect("asked for").waiting, []);
    assert_eq!(page.fresh.iter().map(|owed| owed.id).collect::<Vec<_>>(), ids);
    let first = &page.fresh[0];
    assert_eq!((first.attempts, first.course.uncounted, first.course.replayed_at), (1, 1, Some(at(2_000))));
}

async fn only_what_is_meant_is_replayed(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let early = scene.owe_at(at(10), one, 2).await;
    let of_other = scene.owe_at(at(20), other, 1).await;
    let wanted = scene.owe_at(at(20), one, 4).await;
    let late = scene.owe_at(at(30), one, 1).await;
    for ids in [&early, &of_other, &wanted[..2].to_vec(), &late] {
        scene.settle(ids, Verdict::Dead, at(40)).await;
    }
    scene.settle(&wanted[2..3], Verdict::Delivered, at(40)).await;

    let of_type = EventType::parse("package.created").ok();
    let meant = Filter { from: Some(at(11)), to: at(30), event_type: of_type, ..filter(one) };
    let replay = ordered(&scene, meant.clone(), None).await;
    assert_eq!(replay.filter, meant);
    let ended = run(&scene, replay.id).await;
    assert_eq!((ended.stage, ended.replayed, ended.ended_at), (Stage::Done, 2, Some(at(2_000))));
    assert_eq!(scene.states(&early).await, [State::Dead; 2]);
    assert_eq!(scene.states(&of_other).await, [State::Dead]);
    assert_eq!(scene.states(&late).await, [State::Dead]);
    assert_eq!(scene.states(&wanted).await, [State::Pending, State::Pending, State::Delivered, State::Pending]);
    let not_replayed = scene.delivery(wanted[3]).await.0.delivery;
    assert_eq!((not_replayed.course.replayed_at, not_replayed.due_at), (None, None));

    let delivered = Filter { states: vec![State::Delivered], ..filter(one) };
    let again = ordered(&scene, delivered, None).await;
    assert_eq!(run(&scene, again.id).await.replayed, 1);
    assert_eq!(scene.state(wanted[2]).await, State::Pending);
}

async fn a_step_is_as_large_as_the_pace_and_none_is_repeated(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1_250).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let slow = ordered(&scene, filter(subscription), Some(70)).await;
    assert_eq!(step(&scene, slow.id, at(10)).await, Some(7));
    assert_eq!(scene.states(&ids[..8]).await.iter().filter(|state| **state == State::Pending).count(), 7);
    // They fail again while the replay goes on: it has passed them.
    let failed = ids[..7].iter().map(|id| record(*id, 2, 500, Verdict::Dead)).collect();
    scene.record(failed, at(11)).await;
    assert_eq!(step(&scene, slow.id, at(12)).await, Some(7));
    assert_eq!(scene.states(&ids[..7]).await, [State::Dead; 7]);
    let id = slow.id;
    scene.write(move |c| cancel(c, Scope::All, id, at(13))).await;

    let fast = ordered(&scene, filter(subscription), None).await;
    let mut steps = Vec::new();
    while let Some(replayed) = step(&scene, fast.id, at(20)).await {
        steps.push(replayed);
    }
    assert_eq!(steps, [500, 500, 1_250 - 1_000 - 7]);
    assert_eq!(scene.count("deliveries WHERE state = 0").await, 1_250);
}

async fn a_filter_that_leaves_little_comes_to_its_end(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 700).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let of_type = EventType::parse("package.updated").expect("a type");
    let none = ordered(&scene, Filter { event_type: Some(of_type), ..filter(subscription) }, Some(1)).await;
    let ended = run(&scene, none.id).await;
    assert_eq!((ended.stage, ended.replayed, ended.done_up_to), (Stage::Done, 0, ids[699]));
    assert_eq!(scene.count("deliveries WHERE state = 2").await, 700);
}

async fn a_delivery_without_payload_is_skipped(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let event = scene.delivery(ids[1]).await.0.delivery.event;
    assert_eq!(scene.write(move |c| erase_payloads(c, &[event], at(2))).await, 1);

    let meant = filter(subscription);
    assert_eq!(scene.read(move |c| count(c, &meant, 100)).await, Count::Exactly(2));
    let replay = ordered(&scene, filter(subscription), None).await;
    let ended = run(&scene, replay.id).await;
    assert_eq!((ended.replayed, ended.skipped), (2, 1));
    assert_eq!(scene.states(&ids).await, [State::Pending, State::Dead, State::Pending]);
}

async fn a_dry_run_counts_what_a_replay_would_put_back(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1_200).await;
    scene.settle(&ids[..700], Verdict::Dead, at(1)).await;
    scene.settle(&ids[700..1_100], Verdict::Cancelled, at(1)).await;
    let counted = async |limit| {
        let filter = filter(subscription);
        scene.read(move |c| count(c, &filter, limit)).await
    };
    assert_eq!(counted(10_000).await, Count::Exactly(1_100));
    assert_eq!(counted(1_100).await, Count::Exactly(1_100));
    assert_eq!(counted(1_099).await, Count::AtLeast(1_099));
    assert_eq!(counted(10).await, Count::AtLeast(10));
    assert_eq!(scene.count("deliveries WHERE state = 0").await, 100);
}

async fn a_subscription_has_one_replay_at_a_time(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let first = ordered(&scene, filter(one), None).await;
    let again = filter(one);
    assert_eq!(scene.write(move |c| order(c, &again, None, "oms", NOW)).await, Ordered::Running(first.id));
    let second = ordered(&scene, filter(other), None).await;
    assert_eq!(scene.read(|c| running(c, 10)).await, [(first.id, one), (second.id, other)]);
    run(&scene, first.id).await;
    assert_eq!(scene.read(|c| running(c, 10)).await, [(second.id, other)]);
    ordered(&scene, filter(one), None).await;
}

async fn a_cancelled_replay_goes_no_further(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 30).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let replay = ordered(&scene, filter(subscription), Some(100)).await;
    assert_eq!(step(&scene, replay.id, at(2)).await, Some(10));
    let id = replay.id;
    let cancelled = scene.write(move |c| cancel(c, Scope::All, id, at(3))).await.expect("it is there");
    assert_eq!((cancelled.stage, cancelled.replayed, cancelled.ended_at), (Stage::Cancelled, 10, Some(at(3))));
    assert_eq!(step(&scene, replay.id, at(4)).await, None);
    assert_eq!(scene.count("deliveries WHERE state = 0").await, 10);
    let again = scene.write(move |c| cancel(c, Scope::All, id, at(9))).await.expect("it is there");
    assert_eq!(again, cancelled);
}

async fn the_replay_of_an_ended_subscription_is_called_off(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let replay = ordered(&scene, filter(subscription), None).await;
    let mut ended = terms("one");
    ended.is_active = false;
    let (keys, edit) = (scene.store.keys(), move |_: &_| ended.clone());
    scene.write(move |c| subscriptions::change_terms(c, &keys, Scope::All, subscription, &edit, at(2))).await;
    assert_eq!(step(&scene, replay.id, at(3)).await, None);
    assert_eq!(found(&scene, replay.id).await.stage, Stage::Cancelled);
    assert_eq!(scene.states(&ids).await, [State::Dead; 3]);
}

async fn only_the_owner_sees_a_replay(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let stranger = Scope::Of(scene.add_owner("stranger").await);
    let (id, owner) = (ordered(&scene, filter(subscription), None).await.id, Scope::Of(scene.owner));
    assert_eq!(scene.read(move |c| get(c, stranger, id)).await, None);
    assert_eq!(scene.write(move |c| cancel(c, stranger, id, NOW)).await, None);
    assert_eq!(scene.read(move |c| list(c, stranger, None, 10)).await, []);
    assert_eq!(scene.read(move |c| list(c, owner, None, 10)).await.len(), 1);
    assert_eq!(scene.read(move |c| list(c, owner, Some(id), 10)).await, []);
    assert_eq!(found(&scene, id).await.stage, Stage::Running);
}

async fn an_attempt_that_was_in_flight_is_counted_though_its_delivery_was_settled(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    let cancelled = ids[0];
    assert!(scene.write(move |c| postrider::store::record::cancel_one(c, cancelled, at(1))).await);
    assert!(!scene.write(move |c| postrider::store::record::cancel_one(c, cancelled, at(2))).await);
    scene.record(ids.iter().map(|id| record(*id, 1, 500, Verdict::RetryAt(at(9)))).collect(), at(3)).await;
    let listed = |id: DeliveryId| {
        let scene = &scene;
        async move { scene.delivery(id).await.0.delivery }
    };
    let (was_cancelled, pending) = (listed(ids[0]).await, listed(ids[1]).await);
    assert_eq!((was_cancelled.state, was_cancelled.attempts, was_cancelled.due_at), (State::Cancelled, 1, None));
    assert_eq!((pending.state, pending.attempts, pending.due_at), (State::Pending, 1, Some(at(9))));
    // The next one gets the next number.
    scene.record(vec![record(ids[0], 2, 200, Verdict::Delivered)], at(4)).await;
    assert_eq!(scene.delivery(ids[0]).await.1.len(), 2);
}
