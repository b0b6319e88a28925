//! Idempotency keys: a publisher may say the same thing twice.

use postrider::{
    domain::{event::MAX_KEY_LENGTH, id::OwnerId},
    store::{
        StoreError,
        accept::{Acceptance, Accepted, IdempotencyKey, Run, forget_keys},
    },
};

use crate::{
    scene::{NOW, Scene, at, key},
    support::database::{Database, on_both},
};

on_both! {
    a_repeat_gets_the_first_answer,
    a_key_for_something_else_is_refused,
    one_batch_may_hold_repeats,
    an_expired_key_is_forgotten,
    publishers_do_not_meet_in_their_keys,
    keys_are_the_same_only_byte_by_byte,
    the_longest_key_is_told_from_its_neighbour,
    a_second_run_is_no_repeat,
    two_nodes_never_both_store,
    many_keys_are_one_batch,
    expired_keys_are_cleared_away_in_pages,
}

async fn a_repeat_gets_the_first_answer(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let first = keyed(scene.acceptance("1", &[subscription]), key("k", 1, at(60)));
    let (event, deliveries) = (first.event.id, 1);
    scene.accept(vec![first]).await;
    // Meanwhile there are more subscriptions: the answer is that of then.
    let repeat = keyed(scene.acceptance("1", &[subscription, scene.subscription("two").await]), key("k", 1, at(60)));
    assert_eq!(scene.accept(vec![repeat]).await, [Accepted::Repeated { event, deliveries }]);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (1, 1));
}

async fn a_key_for_something_else_is_refused(database: Database) {
    let scene = Scene::of(&database).await;
    scene.accept(vec![keyed(scene.acceptance("1", &[]), key("k", 1, at(60)))]).await;
    let batch = vec![keyed(scene.acceptance("2", &[]), key("k", 2, at(60))), scene.acceptance("3", &[])];
    assert_eq!(scene.accept(batch).await, [Accepted::KeyReused, Accepted::Stored]);
    assert_eq!(scene.count("events").await, 2);
}

async fn one_batch_may_hold_repeats(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let first = keyed(scene.acceptance("1", &[subscription]), key("k", 1, at(60)));
    let event = first.event.id;
    let repeat = keyed(scene.acceptance("1", &[subscription]), key("k", 1, at(60)));
    let other = keyed(scene.acceptance("2", &[subscription]), key("k", 2, at(60)));
    let results = scene.accept(vec![first, repeat, other]).await;
    assert_eq!(results, [Accepted::Stored, Accepted::Repeated { event, deliveries: 1 }, Accepted::KeyReused]);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (1, 1));
}

async fn an_expired_key_is_forgotten(database: Database) {
    let scene = Scene::of(&database).await;
    scene.accept(vec![keyed(scene.acceptance("1", &[]), key("k", 1, NOW))]).await;
    let later = keyed(scene.acceptance("2", &[]), key("k", 2, at(60)));
    assert_eq!(scene.accept(vec![later]).await, [Accepted::Stored]);
    assert_eq!((scene.count("events").await, scene.count("idempotency_keys").await), (2, 1));
}

async fn publishers_do_not_meet_in_their_keys(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    let batch = || {
        let theirs = by(other, keyed(scene.acceptance("2", &[]), key("k", 2, at(60))));
        vec![keyed(scene.acceptance("1", &[]), key("k", 1, at(60))), theirs]
    };
    assert_eq!(scene.accept(batch()).await, [Accepted::Stored, Accepted::Stored]);
    let repeated = scene.accept(batch()).await;
    assert!(matches!(repeated[..], [Accepted::Repeated { .. }, Accepted::Repeated { .. }]), "{repeated:?}");
}

async fn keys_are_the_same_only_byte_by_byte(database: Database) {
    let scene = Scene::of(&database).await;
    let names = ["k", "K", "k ", "k  ", " k", "k\t", "k\u{0}", "ß", "ss", "é", "e\u{301}", "İ", "i", "ı", "🚚", "🚛"];
    let batch: Vec<_> = names.iter().map(|name| keyed(scene.acceptance("1", &[]), key(name, 1, at(60)))).collect();
    let events: Vec<_> = batch.iter().map(|item| item.event.id).collect();
    assert_eq!(scene.accept(batch).await, [Accepted::Stored; 16]);
    for (name, event) in names.iter().zip(events) {
        let repeat = keyed(scene.acceptance("1", &[]), key(name, 1, at(60)));
        assert_eq!(scene.accept(vec![repeat]).await, [Accepted::Repeated { event, deliveries: 0 }], "{name:?}");
    }
}

async fn the_longest_key_is_told_from_its_neighbour(database: Database) {
    let scene = Scene::of(&database).await;
    let stem = "🚚".repeat(MAX_KEY_LENGTH - 1);
    for last in ["🚚", "🚛", ""] {
        let item = keyed(scene.acceptance("1", &[]), key(&format!("{stem}{last}"), 1, at(60)));
        assert_eq!(scene.accept(vec![item]).await, [Accepted::Stored]);
    }
}

async fn a_second_run_is_no_repeat(database: Database) {
    let scene = Scene::of(&database).await;
    let first = keyed(scene.acceptance("1", &[]), key("k", 1, at(60)));
    let repeated = Accepted::Repeated { event: first.event.id, deliveries: 0 };
    let batch = vec![first, scene.acceptance("2", &[]), keyed(scene.acceptance("1", &[]), key("k", 1, at(60)))];
    let answers = [Accepted::Stored, Accepted::Stored, repeated];
    assert_eq!(scene.accept(batch.clone()).await, answers);
    assert_eq!(scene.try_accept(batch, Run::Again).await.expect("it is there"), answers);
    assert_eq!(scene.count("events").await, 2);
}

async fn two_nodes_never_both_store(database: Database) {
    let scene = Scene::of(&database).await;
    let (mut stored, mut repeated) = (0, 0);
    for round in 0..20 {
        let name = format!("k{round}");
        let item = || vec![keyed(scene.acceptance("1", &[]), key(&name, 1, at(60)))];
        let (one, two) = (item(), item());
        let (one, two) = tokio::join!(scene.try_accept(one, Run::First), scene.try_accept(two, Run::First));
        for result in [one, two] {
            match result.as_deref() {
                Ok([Accepted::Stored]) => stored += 1,
                Ok([Accepted::Repeated { .. }]) | Err(StoreError::Conflict(_)) => repeated += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((stored, repeated, scene.count("events").await), (20, 20, 20));
}

async fn many_keys_are_one_batch(database: Database) {
    let scene = Scene::of(&database).await;
    let batch = || -> Vec<_> {
        let name = |n: usize| format!("{n:-^255}");
        (0..2_000).map(|n| keyed(scene.acceptance("1", &[]), key(&name(n), 1, at(60)))).collect()
    };
    scene.accept(batch()).await;
    let repeated = scene.accept(batch()).await;
    assert!(repeated.iter().all(|result| matches!(result, Accepted::Repeated { .. })));
    assert_eq!(scene.count("events").await, 2_000);
}

async fn expired_keys_are_cleared_away_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let until = |n: u64| if n < 7 { at(n) } else { at(1_000) };
    let batch = (0..10).map(|n| keyed(scene.acceptance("1", &[]), key(&format!("k{n}"), 1, until(n)))).collect();
    scene.accept(batch).await;
    let forget = || scene.write(|c| forget_keys(c, at(100), 5));
    assert_eq!((forget().await, forget().await, forget().await), (5, 2, 0));
    assert_eq!(scene.count("idempotency_keys").await, 3);
}

fn keyed(item: Acceptance, key: IdempotencyKey) -> Acceptance {
    Acceptance { key: Some(key), ..item }
}

fn by(publisher: OwnerId, item: Acceptance) -> Acceptance {
    Acceptance { publisher, ..item }
}
