//! Deliveries behind their ordering key: out of the way of others, and back in the order of their ids.

use postrider::{
    domain::{
        delivery::{State, Verdict},
        id::{DeliveryId, SubscriptionId},
        ordering::{KeyHash, Ordering},
        queue::{Head, Page, ReadOrder},
    },
    store::{
        deliveries::list::retrying,
        parking::{park, unpark},
    },
};

use crate::{
    scene::{NOW, Scene, all, at, record},
    support::database::{Database, on_both},
};

on_both! {
    the_parked_are_out_of_the_way_and_come_by_their_key,
    what_is_due_for_a_retry_can_be_parked_as_well,
    what_was_settled_meanwhile_is_not_parked,
    those_of_another_subscription_stay_parked,
}

async fn the_parked_are_out_of_the_way_and_come_by_their_key(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 40).await;
    let (one, other) = (KeyHash::of("package:1"), KeyHash::of("package:2"));
    // In two writes, and not in their order.
    park_behind(&scene, &ids[20..30], one).await;
    park_behind(&scene, &ids[..20], one).await;
    park_behind(&scene, &ids[30..35], other).await;

    let page = scene.page(subscription, asking(&[one, other]), NOW).await;
    assert_eq!(page.fresh.iter().map(|owed| owed.id).collect::<Vec<_>>(), ids[35..]);
    let mut parked = page.keys.expect("they were asked for").parked;
    parked.sort_unstable();
    let mut keys = vec![(one, ids[0]), (other, ids[30])];
    keys.sort_unstable();
    assert_eq!(parked, keys);
    let [first, second] = &page.heads[..] else { panic!("{:?}", page.heads) };
    assert_eq!((first.key, seen(first), first.more), (one, ids[..seen(first).len()].to_vec(), true));
    assert!(!seen(first).is_empty());
    assert_eq!((second.key, seen(second), second.more), (other, ids[30..35].to_vec(), false));
}

async fn what_is_due_for_a_retry_can_be_parked_as_well(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    let failed = ids.iter().map(|id| record(*id, 1, 503, Verdict::RetryAt(at(10)))).collect();
    scene.record(failed, NOW).await;
    let key = KeyHash::of("package:1");
    park_behind(&scene, &ids[1..], key).await;

    let page = scene.page(subscription, asking(&[key]), at(60)).await;
    let due: Vec<_> = page.due.iter().map(|owed| owed.id).collect();
    assert_eq!(due, ids[..1], "the one that holds the key is not hidden by those behind it");
    assert_eq!(seen(&page.heads[0]), ids[1..]);
    assert_eq!(page.heads[0].owed[0].attempts, 1);
    let retrying = scene.read(move |c| retrying(c, subscription, 20)).await;
    assert_eq!(retrying.iter().map(|listed| listed.delivery.id).collect::<Vec<_>>(), ids[..1], "nor told with them");
}

async fn what_was_settled_meanwhile_is_not_parked(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    scene.settle(&ids[..1], Verdict::Delivered, NOW).await;
    let key = KeyHash::of("package:1");
    park_behind(&scene, &ids, key).await;
    assert_eq!(scene.state(ids[0]).await, State::Delivered);
    assert_eq!(seen(&scene.page(subscription, asking(&[key]), NOW).await.heads[0]), ids[1..]);
}

async fn those_of_another_subscription_stay_parked(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let (mine, theirs) = (scene.owe(one, 5).await, scene.owe(other, 5).await);
    let key = KeyHash::of("package:1");
    park_behind(&scene, &mine, key).await;
    park_behind(&scene, &theirs, key).await;

    assert_eq!(unpark_some(&scene, one, 3).await, 3);
    assert_eq!(unpark_some(&scene, one, 3).await, 2);
    assert_eq!(unpark_some(&scene, one, 3).await, 0);
    assert_eq!(fresh(&scene.page(one, all(), NOW).await), mine);
    assert_eq!(fresh(&scene.page(other, all(), NOW).await), []);
}

async fn park_behind(scene: &Scene, ids: &[DeliveryId], key: KeyHash) {
    let to_park: Vec<_> = ids.iter().map(|id| (*id, key)).collect();
    scene.write(move |c| park(c, &to_park)).await;
}

async fn unpark_some(scene: &Scene, subscription: SubscriptionId, limit: i64) -> usize {
    scene.write(move |c| unpark(c, subscription, limit)).await
}

/// Everything, with the keys and the parked deliveries of these.
fn asking(heads: &[KeyHash]) -> ReadOrder {
    ReadOrder { keys: true, ordering: Ordering::Key, heads: heads.to_vec(), ..all() }
}

fn seen(head: &Head) -> Vec<DeliveryId> {
    head.owed.iter().map(|owed| owed.id).collect()
}

fn fresh(page: &Page) -> Vec<DeliveryId> {
    page.fresh.iter().map(|owed| owed.id).collect()
}
