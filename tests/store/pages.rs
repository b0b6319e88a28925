//! Pages of what is owed: the way by which deliveries come back after a restart or a full window.

use std::collections::HashSet;

use postrider::{
    domain::{
        delivery::Verdict,
        id::{DeliveryId, SubscriptionId},
        queue::{Owed, Page, ReadOrder},
        time::Timestamp,
    },
    store::backlog::{owing_subscriptions, read_page},
};

use crate::{
    scene::{NOW, Scene, all, at, record},
    support::database::{Database, on_both},
};

on_both! {
    nothing_owed_is_an_empty_page,
    fresh_ones_come_in_the_order_of_acceptance,
    due_ones_come_longest_due_first,
    a_retry_is_due_at_its_instant_and_not_before,
    the_next_instant_is_told,
    more_due_than_asked_for_is_told_as_due_now,
    what_is_known_is_left_out,
    known_ones_hide_nothing_behind_them,
    a_page_ends_when_its_payloads_are_heavy,
    one_payload_heavier_than_the_bound_still_comes,
    settled_ones_and_those_of_others_never_come,
    paging_through_finds_everything_once,
    those_who_are_owed_something_are_found_in_pages,
}

async fn nothing_owed_is_an_empty_page(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    assert_eq!(seen(&scene.page(subscription, all(), NOW).await), (vec![], vec![], false, None));
}

async fn fresh_ones_come_in_the_order_of_acceptance(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 5).await;
    let page = scene.page(subscription, order(3, 3), NOW).await;
    assert_eq!(seen(&page), (ids[..3].to_vec(), vec![], true, None));
    let page = scene.page(subscription, order(5, 0), NOW).await;
    assert_eq!(seen(&page), (ids, vec![], false, None));
    assert_eq!(page.fresh[4].event.payload, "4");
}

async fn due_ones_come_longest_due_first(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 4).await;
    fail(&scene, &[(ids[0], at(30)), (ids[1], at(10)), (ids[2], at(20)), (ids[3], at(10))]).await;
    let page = scene.page(subscription, all(), at(60)).await;
    assert_eq!(seen(&page), (vec![], vec![ids[1], ids[3], ids[2], ids[0]], false, None));
    assert_eq!((page.due[0].attempts, page.due[0].course.first_recorded_at), (1, Some(NOW)));
}

async fn a_retry_is_due_at_its_instant_and_not_before(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1).await;
    fail(&scene, &[(ids[0], at(10))]).await;
    let just_before = Timestamp::from_micros(at(10).as_micros() - 1);
    let page = scene.page(subscription, all(), just_before).await;
    assert_eq!(seen(&page), (vec![], vec![], false, Some(at(10))));
    let page = scene.page(subscription, all(), at(10)).await;
    assert_eq!(seen(&page), (vec![], ids, false, None));
}

async fn the_next_instant_is_told(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 4).await;
    fail(&scene, &[(ids[1], at(30)), (ids[2], at(20)), (ids[3], at(5))]).await;
    let page = scene.page(subscription, all(), at(10)).await;
    assert_eq!(seen(&page), (vec![ids[0]], vec![ids[3]], false, Some(at(20))));
    let page = scene.page(subscription, order(0, 1), at(10)).await;
    assert_eq!(seen(&page), (vec![], vec![ids[3]], false, Some(at(20))), "who asks for no new ones is told of none");
    let page = scene.page(subscription, order(0, 1), at(25)).await;
    assert!(page.next_due.is_some_and(|due| due <= at(25)), "one of two that are due: {page:?}");
}

async fn more_due_than_asked_for_is_told_as_due_now(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    fail(&scene, &[(ids[0], at(1)), (ids[1], at(2)), (ids[2], at(60))]).await;
    let page = scene.page(subscription, order(1, 1), at(10)).await;
    assert_eq!(seen(&page).1, [ids[0]]);
    assert!(page.next_due.is_some_and(|due| due <= at(10)), "{:?}", page.next_due);
}

async fn what_is_known_is_left_out(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 6).await;
    fail(&scene, &[(ids[4], at(1)), (ids[5], at(2))]).await;
    let known = HashSet::from([ids[0], ids[2], ids[4]]);
    let page = scene.page(subscription, ReadOrder { known, ..all() }, at(10)).await;
    assert_eq!(seen(&page), (vec![ids[1], ids[3]], vec![ids[5]], false, None));
    let everything = ids.iter().copied().collect();
    let page = scene.page(subscription, ReadOrder { known: everything, ..all() }, at(10)).await;
    assert_eq!(seen(&page), (vec![], vec![], false, None));
}

async fn known_ones_hide_nothing_behind_them(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 100).await;
    let known = ids[..95].iter().copied().collect();
    let page = scene.page(subscription, ReadOrder { known, fresh: 3, due: 3, ..all() }, NOW).await;
    assert_eq!(seen(&page), (ids[95..98].to_vec(), vec![], true, None));
    let known = ids[..97].iter().copied().collect();
    let page = scene.page(subscription, ReadOrder { known, fresh: 3, due: 3, ..all() }, NOW).await;
    assert_eq!(seen(&page), (ids[97..].to_vec(), vec![], false, None));
}

async fn a_page_ends_when_its_payloads_are_heavy(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let weight = 100_000;
    let batch: Vec<_> = (0..200).map(|_| scene.acceptance(vec![b'1'; weight], &[subscription])).collect();
    let ids: Vec<DeliveryId> = batch.iter().map(|item| item.deliveries[0].0).collect();
    scene.accept(batch).await;
    let retries: Vec<_> = ids[150..].iter().map(|id| (*id, at(1))).collect();
    fail(&scene, &retries).await;

    let page = scene.read(move |c| read_page(c, subscription, &all(), at(10), 10 * weight)).await;
    let bytes: usize = page.fresh.iter().chain(&page.due).map(|owed| owed.event.payload.len()).sum();
    assert_eq!(bytes, 10 * weight);
    // First attempts and retries share the room. What did not fit is the younger part of each, and the page says that it
    // is there.
    assert_eq!(seen(&page).0, ids[..5]);
    assert_eq!(seen(&page).1, ids[150..155]);
    assert!(page.more_fresh);
    assert!(page.next_due.is_some_and(|due| due <= at(10)), "{:?}", page.next_due);
}

async fn one_payload_heavier_than_the_bound_still_comes(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1).await;
    let page = scene.read(move |c| read_page(c, subscription, &all(), NOW, 0)).await;
    assert_eq!(seen(&page), (ids, vec![], false, None));
}

async fn settled_ones_and_those_of_others_never_come(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let mine = scene.owe(one, 4).await;
    scene.owe(two, 2).await;
    let verdicts = [Verdict::Delivered, Verdict::Dead, Verdict::Cancelled];
    let records = mine.iter().zip(verdicts).map(|(id, verdict)| record(*id, 1, 500, verdict)).collect();
    scene.record(records, NOW).await;
    assert_eq!(seen(&scene.page(one, all(), at(9)).await), (vec![mine[3]], vec![], false, None));
}

async fn paging_through_finds_everything_once(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 137).await;
    let retries: Vec<_> = ids.iter().step_by(3).zip(1..).map(|(id, second)| (*id, at(second))).collect();
    fail(&scene, &retries).await;
    let mut found = HashSet::new();
    loop {
        let page =
            scene.page(subscription, ReadOrder { known: found.clone(), fresh: 7, due: 5, ..all() }, at(1_000)).await;
        for owed in page.fresh.iter().chain(&page.due) {
            assert!(found.insert(owed.id), "{} came twice", owed.id);
        }
        if !page.more_fresh && page.next_due.is_none() {
            break;
        }
    }
    assert_eq!(found, ids.into_iter().collect());
}

async fn those_who_are_owed_something_are_found_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let mut owing = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let subscription = scene.subscription(name).await;
        let ids = scene.owe(subscription, 2).await;
        match name {
            "b" => scene.record(ids.iter().map(|id| record(*id, 1, 200, Verdict::Delivered)).collect(), NOW).await,
            "c" => fail(&scene, &[(ids[0], at(60)), (ids[1], at(60))]).await,
            _ => {}
        }
        if name != "b" {
            owing.push(subscription);
        }
    }
    scene.subscription("never").await;
    let page = |after, limit| scene.read(move |c| owing_subscriptions(c, after, limit));
    assert_eq!(page(SubscriptionId::from_raw(0), 100).await, owing);
    assert_eq!(page(SubscriptionId::from_raw(0), 2).await, owing[..2]);
    assert_eq!(page(owing[1], 2).await, owing[2..]);
    assert_eq!(page(owing[3], 2).await, []);
}

fn order(fresh: usize, due: usize) -> ReadOrder {
    ReadOrder { known: HashSet::new(), fresh, due, ..all() }
}

/// Lets the first attempt of each fail, with its retry due then.
async fn fail(scene: &Scene, retries: &[(DeliveryId, Timestamp)]) {
    let records = retries.iter().map(|(id, due)| record(*id, 1, 503, Verdict::RetryAt(*due))).collect();
    scene.record(records, NOW).await;
}

/// What a page tells, ids only.
fn seen(page: &Page) -> (Vec<DeliveryId>, Vec<DeliveryId>, bool, Option<Timestamp>) {
    let ids = |owed: &[Owed]| owed.iter().map(|owed| owed.id).collect();
    (ids(&page.fresh), ids(&page.due), page.more_fresh, page.next_due)
}
