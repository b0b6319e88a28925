//! Retention: what was kept for long enough goes, with all that belongs to it, and nothing else.

use std::time::Duration;

use postrider::{
    domain::{
        delivery::{State, Verdict},
        id::{DeliveryId, EventId},
        owner::Scope,
        retention::{Keep, Retention},
        time::Timestamp,
    },
    store::{
        backlog::{Wanted, read_one},
        deliveries::list::{Filter, list},
        prune::{
            Cleared, clear_deliveries, clear_unwanted, erase_payloads, find_deliveries, find_payloads, find_unwanted,
        },
    },
};

use crate::{
    plans::overhear,
    scene::{NOW, Scene, all, at, record},
    support::database::{Database, on_both},
};

on_both! {
    what_arrived_goes_first,
    what_is_pending_is_never_cleared,
    age_counts_from_the_settlement,
    attempts_and_events_go_with_the_last_delivery,
    what_was_replayed_since_it_was_found_stays,
    a_look_ends_where_the_young_begin,
    events_that_nobody_wanted_go,
    payloads_go_before_the_rest,
    the_payload_of_what_is_owed_stays,
    attempts_of_many_are_looked_up_in_parts,
}

const HOUR: Duration = Duration::from_hours(1);

fn retention() -> Retention {
    Retention {
        delivered: Keep::For(HOUR),
        given_up: Keep::For(3 * HOUR),
        payloads: Keep::For(HOUR),
        audit: Keep::Forever,
    }
}

/// Clears what is outdated, page by page.
async fn prune(scene: &Scene, now: Timestamp, page: i64) -> Cleared {
    let (mut after, mut all) = (DeliveryId::from_raw(0), Cleared::default());
    loop {
        let found = scene.read(move |c| find_deliveries(c, after, &retention(), page, now)).await;
        let Some(last) = found.last else { return all };
        after = last;
        let cleared = scene.write(move |c| clear_deliveries(c, &found.ids, &retention(), now)).await;
        all = Cleared { deliveries: all.deliveries + cleared.deliveries, events: all.events + cleared.events };
    }
}

async fn what_arrived_goes_first(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 4).await;
    for (id, verdict) in ids.iter().zip([Verdict::Delivered, Verdict::Dead, Verdict::Cancelled, Verdict::Expired]) {
        scene.settle(&[*id], verdict, at(1)).await;
    }
    assert_eq!(prune(&scene, at(3_600), 10).await, Cleared::default());
    assert_eq!(prune(&scene, at(3_601), 10).await, Cleared { deliveries: 1, events: 1 });
    assert_eq!(scene.states(&ids[1..]).await, [State::Dead, State::Cancelled, State::Expired]);
    assert_eq!(prune(&scene, at(3 * 3_600), 10).await, Cleared::default());
    assert_eq!(prune(&scene, at(3 * 3_600 + 1), 10).await, Cleared { deliveries: 3, events: 3 });
    for table in ["deliveries", "attempts", "events"] {
        assert_eq!(scene.count(table).await, 0, "{table}");
    }
}

async fn what_is_pending_is_never_cleared(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    scene.settle(&ids[..1], Verdict::RetryAt(at(5)), at(1)).await;
    assert_eq!(prune(&scene, at(1_000_000), 10).await, Cleared::default());
    assert_eq!(scene.page(subscription, all(), at(1_000_000)).await.fresh.len(), 2);
}

async fn age_counts_from_the_settlement(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1).await;
    scene.settle(&ids, Verdict::Delivered, at(100_000)).await;
    assert_eq!(prune(&scene, at(103_599), 10).await, Cleared::default());
    assert_eq!(prune(&scene, at(103_600), 10).await.deliveries, 1);
}

/// A fan-out that is wider than the sequence of an id, so that the ids of an event's deliveries carry over.
async fn attempts_and_events_go_with_the_last_delivery(database: Database) {
    let scene = Scene::of(&database).await;
    let mut subscriptions = Vec::new();
    for number in 0..200 {
        subscriptions.push(scene.subscription(&format!("s{number}")).await);
    }
    let batch: Vec<_> = (0..3).map(|_| scene.acceptance("{}", &subscriptions)).collect();
    let of_event = |n: usize| batch[n].deliveries.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let ids = [of_event(0), of_event(1), of_event(2)];
    scene.accept(batch).await;
    scene.settle(&ids[0], Verdict::Delivered, at(1)).await;
    scene.settle(&ids[1][..199], Verdict::Delivered, at(1)).await;
    scene.settle(&ids[1][199..], Verdict::Dead, at(1)).await;
    scene.settle(&ids[2][1..], Verdict::Delivered, at(1)).await;

    // Each page ends in the middle of an event.
    assert_eq!(prune(&scene, at(3_601), 130).await, Cleared { deliveries: 200 + 199 + 199, events: 1 });
    assert_eq!(scene.count("events").await, 2);
    assert_eq!(scene.count("attempts").await, 1);
    scene.settle(&ids[2][..1], Verdict::Delivered, at(3_700)).await;
    assert_eq!(prune(&scene, at(100_000), 130).await, Cleared { deliveries: 2, events: 2 });
    assert_eq!(scene.count("attempts").await + scene.count("events").await, 0);
}

async fn what_was_replayed_since_it_was_found_stays(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    scene.settle(&ids, Verdict::Delivered, at(1)).await;
    let now = at(7_200);
    let found = scene.read(move |c| find_deliveries(c, DeliveryId::from_raw(0), &retention(), 10, now)).await;
    assert_eq!(found.ids, ids);
    scene.write(|c| crate::sql::execute(c, "UPDATE deliveries SET state = 0, due_at = 1 WHERE id % 2 = 0")).await;
    let pending = scene.count("deliveries WHERE state = 0").await;
    let cleared = scene.write(move |c| clear_deliveries(c, &found.ids, &retention(), now)).await;
    assert_eq!(i64::try_from(cleared.deliveries), Ok(2 - pending));
    assert_eq!(scene.count("attempts").await, pending);
    assert_eq!(scene.count("events").await, pending);
}

async fn a_look_ends_where_the_young_begin(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let old = scene.owe_at(NOW, subscription, 5).await;
    scene.owe_at(at(3_601), subscription, 5).await;
    let found = scene.read(move |c| find_deliveries(c, DeliveryId::from_raw(0), &retention(), 100, at(7_200))).await;
    assert_eq!((found.ids, found.last), (vec![], Some(old[4])));
}

async fn events_that_nobody_wanted_go(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let mut batch: Vec<_> = (0..3).map(|_| scene.acceptance("{}", &[])).collect();
    batch.push(scene.acceptance("{}", &[subscription]));
    batch.push(scene.acceptance_at(at(10), "{}", &[]));
    scene.accept(batch).await;
    let found = scene.read(|c| find_unwanted(c, EventId::from_raw(0), at(5), 10)).await;
    assert_eq!(found.ids.len(), 3);
    assert_eq!(scene.write(move |c| clear_unwanted(c, &found.ids)).await, 3);
    assert_eq!(scene.count("events").await, 2);
}

async fn payloads_go_before_the_rest(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let found = scene.read(|c| find_payloads(c, EventId::from_raw(0), at(5), 10)).await;
    assert_eq!(found.ids.len(), 2);
    let events = found.ids.clone();
    assert_eq!(scene.write(move |c| erase_payloads(c, &events, at(9))).await, 2);
    assert_eq!(scene.count("events WHERE LENGTH(payload) = 0 AND payload_erased_at > 0").await, 2);
    assert_eq!(scene.states(&ids).await, [State::Dead; 2]);
    let id = ids[0];
    let wanted = scene.read(move |c| read_one(c, subscription, id)).await;
    assert!(matches!(wanted, Wanted::Erased), "{wanted:?}");
    assert_eq!(scene.read(|c| find_payloads(c, EventId::from_raw(0), at(5), 10)).await.ids, []);
}

async fn the_payload_of_what_is_owed_stays(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let acceptance = scene.acceptance("{}", &[one, other]);
    let event = acceptance.event.id;
    let ids: Vec<_> = acceptance.deliveries.iter().map(|(id, _)| *id).collect();
    scene.accept(vec![acceptance]).await;
    scene.settle(&ids[..1], Verdict::Delivered, at(1)).await;
    assert_eq!(scene.write(move |c| erase_payloads(c, &[event], at(9))).await, 0);
    let page = scene.page(other, all(), at(10)).await;
    assert_eq!(page.fresh[0].event.payload, "{}");
    scene.record(vec![record(ids[1], 1, 200, Verdict::Delivered)], at(11)).await;
    assert_eq!(scene.write(move |c| erase_payloads(c, &[event], at(12))).await, 1);
}

/// Beyond 200 places the servers guess, and may read the whole table.
async fn attempts_of_many_are_looked_up_in_parts(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 450).await;
    scene.settle(&ids, Verdict::Delivered, at(1)).await;
    let list = move |c: &mut _| list(c, &Filter::all(Scope::All, 450)).map(drop);
    let clear = move |c: &mut _| clear_deliveries(c, &ids, &retention(), at(3_601)).map(drop);
    let mut statements = scene.read(move |c| overhear(c, &list)).await;
    statements.extend(scene.write(move |c| overhear(c, &clear)).await);
    let of_attempts: Vec<_> = statements.iter().filter(|one| one.contains("attempts` WHERE")).collect();
    assert!(of_attempts.len() >= 4, "{of_attempts:#?}");
    for statement in of_attempts {
        assert!(statement.matches(',').count() <= 200, "{statement}");
    }
    assert_eq!(scene.count("attempts").await, 0);
}
