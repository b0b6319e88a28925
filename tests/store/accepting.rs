//! *accept*: durable, all or nothing, and never twice.

use std::sync::Arc;

use bytes::Bytes;
use postrider::{
    domain::{
        delivery::Course,
        event::{Event, MAX_KEY_LENGTH, MAX_PAYLOAD_BYTES},
        id::SubscriptionId,
        queue::Owed,
    },
    store::{
        StoreError,
        accept::{Acceptance, Accepted, Run, last_minted},
    },
};

use crate::{
    scene::{NOW, Scene, all},
    support::database::{Database, on_both},
};

on_both! {
    an_event_is_stored_with_all_that_it_owes,
    an_event_that_nobody_wants_is_stored,
    an_empty_batch_stores_nothing,
    a_batch_is_stored_all_or_nothing,
    what_was_committed_without_our_knowing_is_not_stored_twice,
    what_was_not_committed_is_stored_by_the_next_run,
    an_ordering_key_comes_back_as_it_was,
    the_largest_payload_comes_back_as_it_was,
    a_batch_may_be_much_larger_than_a_packet,
    many_events_to_many_subscriptions_are_one_batch,
    minting_goes_on_after_the_greatest_id,
}

async fn an_event_is_stored_with_all_that_it_owes(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let accepted = scene.acceptance("{\"şehir\": \"İstanbul\", \"n\":1e22}\n", &[one, two]);
    assert_eq!(scene.accept(vec![accepted.clone()]).await, [Accepted::Stored]);

    // Another store is what a restart would see.
    let reopened = scene.reopened(&database).await;
    for (delivery, subscription) in accepted.deliveries {
        let owed = fresh(&reopened, subscription).await;
        assert_eq!(owed.len(), 1);
        assert_eq!((owed[0].id, owed[0].attempts, owed[0].course), (delivery, 0, Course::default()));
        assert_eq!(owed[0].event, accepted.event);
    }
}

async fn an_event_that_nobody_wants_is_stored(database: Database) {
    let scene = Scene::of(&database).await;
    assert_eq!(scene.accept(vec![scene.acceptance("{}", &[])]).await, [Accepted::Stored]);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (1, 0));
}

async fn an_empty_batch_stores_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    assert_eq!(scene.accept(Vec::new()).await, []);
    assert_eq!(scene.count("events").await, 0);
}

async fn a_batch_is_stored_all_or_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let present = scene.acceptance("1", &[subscription]);
    scene.accept(vec![present.clone()]).await;

    // The last row of the last statement meets one that is there.
    let mut clashing = scene.acceptance("3", &[subscription]);
    clashing.deliveries.push((present.deliveries[0].0, subscription));
    let batch = vec![scene.acceptance("2", &[subscription]), clashing];
    let refused = scene.try_accept(batch, Run::First).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (1, 1));
}

async fn what_was_committed_without_our_knowing_is_not_stored_twice(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let batch = vec![scene.acceptance("1", &[subscription]), scene.acceptance("2", &[subscription])];
    let first = scene.accept(batch.clone()).await;
    let again = scene.try_accept(batch, Run::Again).await.expect("it is there");
    assert_eq!(again, first);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (2, 2));
}

async fn what_was_not_committed_is_stored_by_the_next_run(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let batch = vec![scene.acceptance("1", &[subscription])];
    assert_eq!(scene.try_accept(batch, Run::Again).await.expect("it is stored"), [Accepted::Stored]);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (1, 1));
}

async fn an_ordering_key_comes_back_as_it_was(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let keys = ["paket:73", "trailing  ", "ŞEHİR", "e\u{301}", "", "\u{0}", &"🚚".repeat(MAX_KEY_LENGTH)];
    let batch = keys.iter().map(|key| with_ordering_key(scene.acceptance("{}", &[subscription]), key)).collect();
    scene.accept(batch).await;
    let found: Vec<_> = fresh(&scene, subscription).await.iter().map(|o| o.event.ordering_key.clone()).collect();
    assert_eq!(found, keys.map(|key| Some(key.to_owned())));
}

async fn the_largest_payload_comes_back_as_it_was(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let payload =
        Bytes::from((0..MAX_PAYLOAD_BYTES).map(|n| u8::try_from(n % 251).expect("a byte")).collect::<Vec<_>>());
    scene.accept(vec![scene.acceptance(payload.clone(), &[subscription])]).await;
    assert!(fresh(&scene, subscription).await[0].event.payload == payload);
}

async fn a_batch_may_be_much_larger_than_a_packet(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    // 64 MB in all, in payloads of very different sizes, against a packet of 16 MB.
    let small = Bytes::from(vec![b'1'; 10_000]);
    let large = Bytes::from(vec![b'1'; MAX_PAYLOAD_BYTES]);
    let payloads = (0..2_000).map(|n| if n % 45 == 0 { large.clone() } else { small.clone() });
    let batch: Vec<_> = payloads.map(|payload| scene.acceptance(payload, &[subscription])).collect();
    let bytes: usize = batch.iter().map(|item| item.event.payload.len()).sum();
    assert!(bytes > 64_000_000, "{bytes}");
    scene.accept(batch).await;
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (2_000, 2_000));
}

async fn many_events_to_many_subscriptions_are_one_batch(database: Database) {
    let scene = Scene::of(&database).await;
    let to: Vec<SubscriptionId> = (1..=10).map(SubscriptionId::from_raw).collect();
    let batch: Vec<_> = (0..2_000).map(|n: u32| scene.acceptance(n.to_string(), &to)).collect();
    scene.accept(batch).await;
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (2_000, 20_000));
}

async fn minting_goes_on_after_the_greatest_id(database: Database) {
    let scene = Scene::of(&database).await;
    assert_eq!(scene.read(last_minted).await, 0);
    let subscription = scene.subscription("one").await;
    let accepted = scene.acceptance("{}", &[subscription]);
    let greatest = accepted.deliveries[0].0.as_raw();
    scene.accept(vec![accepted]).await;
    assert_eq!(scene.read(last_minted).await, greatest);
}

async fn fresh(scene: &Scene, subscription: SubscriptionId) -> Vec<Owed> {
    scene.page(subscription, all(), NOW).await.fresh
}

fn with_ordering_key(accepted: Acceptance, key: &str) -> Acceptance {
    let event = Event { ordering_key: Some(key.to_owned()), ..Event::clone(&accepted.event) };
    Acceptance { event: Arc::new(event), ..accepted }
}
