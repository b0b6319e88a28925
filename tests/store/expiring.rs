//! What is too old to be attempted is found and settled, wherever it waits.

use postrider::{
    domain::{
        delivery::{State, Verdict},
        id::{DeliveryId, SubscriptionId},
    },
    store::expiry::{Place, expire, find_expired},
};

use crate::{
    scene::{Scene, at},
    support::database::{Database, on_both},
};

on_both! {
    what_waits_too_long_expires_whatever_it_waits_for,
    what_was_replayed_lately_is_young_again,
    a_long_line_is_walked_in_pages,
}

/// All that was accepted before `seconds` and is found in pages of `limit`.
async fn found(scene: &Scene, subscription: SubscriptionId, seconds: u64, limit: i64) -> Vec<DeliveryId> {
    let (mut place, mut all) = (Place::default(), Vec::new());
    loop {
        let found = scene.read(move |c| find_expired(c, subscription, place, at(seconds), limit)).await;
        all.extend(found.ids);
        match found.next {
            Some(next) => place = next,
            None => return all,
        }
    }
}

async fn what_waits_too_long_expires_whatever_it_waits_for(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let old = scene.owe_at(at(0), one, 5).await;
    scene.settle(&old[1..2], Verdict::RetryAt(at(9_999)), at(1)).await;
    scene.settle(&old[2..3], Verdict::RetryAt(at(2)), at(1)).await;
    scene.settle(&old[3..4], Verdict::Delivered, at(1)).await;
    scene.settle(&old[4..5], Verdict::Dead, at(1)).await;
    let of_other = scene.owe_at(at(0), other, 1).await;
    let young = scene.owe_at(at(60), one, 2).await;
    scene.settle(&young[..1], Verdict::RetryAt(at(70)), at(61)).await;

    let mut ids = found(&scene, one, 60, 100).await;
    ids.sort();
    assert_eq!(ids, old[..3]);
    assert_eq!(scene.write(move |c| expire(c, &ids, at(60), at(90))).await, 3);
    assert_eq!(scene.states(&old[..3]).await, [State::Expired; 3]);
    let expired = scene.delivery(old[1]).await.0.delivery;
    assert_eq!((expired.recorded_at, expired.due_at, expired.attempts), (Some(at(90)), None, 1));
    assert_eq!(scene.states(&young).await, [State::Pending; 2]);
    assert_eq!(scene.states(&of_other).await, [State::Pending]);
    assert_eq!(found(&scene, one, 60, 100).await, []);
}

async fn what_was_replayed_lately_is_young_again(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe_at(at(0), subscription, 2).await;
    let replayed = |seconds: u64, id: DeliveryId| {
        let at = at(seconds).as_micros();
        format!("UPDATE deliveries SET due_at = {at}, replayed_at = {at} WHERE id = {id}")
    };
    let (early, late) = (replayed(30, ids[0]), replayed(60, ids[1]));
    scene.write(move |c| crate::sql::execute(c, &early)).await;
    scene.write(move |c| crate::sql::execute(c, &late)).await;
    let ids_found = found(&scene, subscription, 60, 100).await;
    assert_eq!(ids_found, ids);
    assert_eq!(scene.write(move |c| expire(c, &ids_found, at(60), at(90))).await, 1);
    assert_eq!(scene.states(&ids).await, [State::Expired, State::Pending]);
}

/// Many share a due time: one replay's step, or one ordering key.
async fn a_long_line_is_walked_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe_at(at(0), subscription, 60).await;
    scene.settle(&ids[10..40], Verdict::RetryAt(at(50)), at(1)).await;
    scene.settle(&ids[40..], Verdict::RetryAt(at(55)), at(1)).await;
    scene.owe_at(at(60), subscription, 10).await;
    for limit in [1, 7, 10, 20, 70, 100] {
        let mut found = found(&scene, subscription, 60, limit).await;
        found.sort();
        assert_eq!(found, ids, "in pages of {limit}");
    }
}
