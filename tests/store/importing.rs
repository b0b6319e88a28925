//! What comes in from another engine.

use std::{sync::Arc, time::Duration};

use postrider::{
    domain::{
        attempt::Attempt,
        delivery::{Course, Delivery, State},
        event::Event,
        id::{Minter, Node, SubscriptionId},
        owner::{Role, Scope, Standing},
        queue::Page,
        trace::Trace,
    },
    store::{
        Lane,
        import::{
            DeliveryFate, IncomingDelivery, IncomingOwner, IncomingSubscription, Mode, SubscriptionFate, TokenFate,
            import_deliveries, import_owners, import_subscriptions, others_are_connected,
        },
        owners::{self, find_by_token},
        subscriptions,
    },
};

use crate::{
    scene::{NOW, Scene, all, answered, at, event_type, key, no_keys, terms},
    sql,
    support::{
        database::{Database, on_both},
        eventually::eventually_async,
    },
};

on_both! {
    owners_come_with_their_tokens_once,
    no_token_opens_more_than_it_did,
    subscriptions_keep_their_ids_and_new_ones_follow,
    what_has_its_place_taken_is_told_and_not_written,
    what_is_owed_goes_on_where_it_stood,
    a_dry_run_tells_the_same_and_writes_nothing,
    another_program_is_noticed,
}

fn owner(name: &str, role: Role, standing: Standing, tokens: &[u8]) -> IncomingOwner {
    IncomingOwner { name: name.into(), role, standing, tokens: tokens.iter().map(|token| [*token; 32]).collect() }
}

fn subscription(id: i32, owner: &str, name: &str) -> IncomingSubscription {
    IncomingSubscription {
        id: SubscriptionId::from_raw(id),
        owner: owner.into(),
        terms: terms(name),
        created_at: NOW.before(Duration::from_hours(2)),
        modified_at: NOW.before(Duration::from_hours(1)),
    }
}

/// Something owed after so many attempts, the last of which failed.
fn owed(minter: &mut Minter, to: i32, name: &str, attempts: u16) -> IncomingDelivery {
    let event = Event {
        id: minter.event(NOW),
        event_type: event_type(),
        payload: format!("\"{name}\"").into(),
        ordering_key: None,
        accepted_at: NOW.before(Duration::from_hours(1)),
    };
    let id = minter.delivery(NOW);
    let was_attempted = attempts > 0;
    let delivery = Delivery {
        id,
        event: event.id,
        subscription: SubscriptionId::from_raw(to),
        state: State::Pending,
        attempts,
        due_at: was_attempted.then(|| at(60)),
        course: Course {
            first_recorded_at: was_attempted.then(|| NOW.before(Duration::from_mins(30))),
            ..Course::default()
        },
        recorded_at: was_attempted.then_some(NOW),
    };
    let latest = was_attempted.then(|| Attempt {
        delivery: id,
        number: attempts,
        started_at: NOW,
        duration: Duration::from_millis(3),
        outcome: answered(503),
        trace: Trace::default(),
    });
    let key = key(name, 1, at(1_000));
    IncomingDelivery { event: Arc::new(event), delivery, owner: "oms".into(), latest, key }
}

async fn bring_owner(scene: &Scene, owner: IncomingOwner) -> Vec<TokenFate> {
    let fates = scene.write(move |c| import_owners(c, std::slice::from_ref(&owner), Mode::Write, NOW)).await;
    fates.into_iter().flat_map(|fate| fate.tokens).collect()
}

async fn bring_subscription(scene: &Scene, item: IncomingSubscription) -> SubscriptionFate {
    scene.write(move |c| import_subscriptions(c, &no_keys(), std::slice::from_ref(&item), Mode::Write)).await[0]
}

async fn bring_owed(scene: &Scene, items: Vec<IncomingDelivery>) -> Vec<DeliveryFate> {
    scene.write(move |c| import_deliveries(c, &items, Mode::Write)).await
}

async fn owners_come_with_their_tokens_once(database: Database) {
    let scene = Scene::of(&database).await;
    let incoming = owner("ayşe", Role::Admin, Standing::Inactive, &[7, 8]);
    assert_eq!(bring_owner(&scene, incoming.clone()).await, [TokenFate::New; 2]);
    assert_eq!(bring_owner(&scene, incoming).await, [TokenFate::Present; 2]);
    let found = scene.read(|c| find_by_token(c, &[8; 32])).await.expect("the token came in");
    assert_eq!((found.name.as_str(), found.role, found.standing), ("ayşe", Role::Admin, Standing::Inactive));
    assert_eq!((scene.count("owners").await, scene.count("tokens").await), (2, 3));
}

async fn no_token_opens_more_than_it_did(database: Database) {
    let scene = Scene::of(&database).await;
    scene.write(|c| owners::add_owner(c, "admin", Role::Admin, Standing::Active, &[1; 32], NOW)).await;
    let subscriber = owner("admin", Role::Subscriber, Standing::Active, &[2]);
    assert_eq!(bring_owner(&scene, subscriber).await, [TokenFate::TooPowerful]);
    let inactive = owner("oms", Role::Subscriber, Standing::Inactive, &[3]);
    assert_eq!(bring_owner(&scene, inactive).await, [TokenFate::TooPowerful]);
    let of_another = owner("oms", Role::Subscriber, Standing::Active, &[1]);
    assert_eq!(bring_owner(&scene, of_another).await, [TokenFate::Taken]);
    assert_eq!(scene.count("tokens").await, 2);
}

async fn subscriptions_keep_their_ids_and_new_ones_follow(database: Database) {
    let scene = Scene::of(&database).await;
    for id in [4_711, 12] {
        let incoming = subscription(id, "oms", &id.to_string());
        assert_eq!(bring_subscription(&scene, incoming.clone()).await, SubscriptionFate::New);
        assert_eq!(bring_subscription(&scene, incoming.clone()).await, SubscriptionFate::Present);
        let stored =
            scene.read(move |c| subscriptions::get(c, &no_keys(), Scope::All, incoming.id)).await.expect("it came in");
        let expected = subscription(id, "oms", &id.to_string());
        assert_eq!((stored.owner, &stored.terms), (scene.owner, &expected.terms));
        assert_eq!((stored.created_at, stored.modified_at), (expected.created_at, expected.modified_at));
    }
    assert_eq!(scene.subscription("next").await, SubscriptionId::from_raw(4_712));
}

async fn what_has_its_place_taken_is_told_and_not_written(database: Database) {
    let scene = Scene::of(&database).await;
    let present = scene.subscription("present").await;
    let fate = bring_subscription(&scene, subscription(present.as_raw(), "oms", "other")).await;
    assert_eq!(fate, SubscriptionFate::IdTaken);
    let fate = bring_subscription(&scene, subscription(99, "oms", "present")).await;
    assert_eq!(fate, SubscriptionFate::Registered(present));
    assert_eq!(scene.count("subscriptions").await, 1);
}

async fn what_is_owed_goes_on_where_it_stood(database: Database) {
    let scene = Scene::of(&database).await;
    let to = scene.subscription("a").await;
    let mut minter = Minter::new(Node::default(), 0);
    let items = vec![owed(&mut minter, to.as_raw(), "fresh", 0), owed(&mut minter, to.as_raw(), "late", 3)];
    assert_eq!(bring_owed(&scene, items.clone()).await, [DeliveryFate::New; 2]);
    // The same transaction again, as after a lost connection; and the same rows in a later run, under new ids.
    assert_eq!(bring_owed(&scene, items.clone()).await, [DeliveryFate::New; 2]);
    let again = vec![owed(&mut minter, to.as_raw(), "late", 4), owed(&mut minter, to.as_raw(), "fresh", 0)];
    assert_eq!(bring_owed(&scene, again).await, [DeliveryFate::Present; 2]);
    let mut other = owed(&mut minter, to.as_raw(), "late", 0);
    other.key = key("late", 2, at(1_000));
    let twice = owed(&mut minter, to.as_raw(), "twice", 0);
    let fates = bring_owed(&scene, vec![other, twice.clone(), twice]).await;
    assert_eq!(fates, [DeliveryFate::KeyTaken, DeliveryFate::New, DeliveryFate::Present]);
    assert_eq!((scene.count("events").await, scene.count("deliveries").await), (3, 3));

    let (listed, attempts) = scene.delivery(items[1].delivery.id).await;
    assert_eq!(listed.delivery, items[1].delivery);
    assert_eq!(attempts, [items[1].latest.clone().expect("it was attempted")]);
    let page = |now| scene.page(to, all(), now);
    let payloads =
        |page: Page| page.fresh.iter().chain(&page.due).map(|owed| owed.event.payload.clone()).collect::<Vec<_>>();
    assert_eq!(payloads(page(at(59)).await), ["\"fresh\"", "\"twice\""]);
    assert_eq!(payloads(page(at(60)).await).len(), 3);
}

async fn a_dry_run_tells_the_same_and_writes_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let to = scene.subscription("a").await;
    let incoming = owner("new", Role::Subscriber, Standing::Active, &[7]);
    let fates = scene.read(move |c| import_owners(c, std::slice::from_ref(&incoming), Mode::DryRun, NOW)).await;
    assert_eq!((fates[0].present.as_ref(), &fates[0].tokens[..]), (None, &[TokenFate::New][..]));
    let incoming = [subscription(50, "new", "b"), subscription(to.as_raw(), "new", "c")];
    let fates = scene.read(move |c| import_subscriptions(c, &no_keys(), &incoming, Mode::DryRun)).await;
    assert_eq!(fates, [SubscriptionFate::New, SubscriptionFate::IdTaken]);
    let mut minter = Minter::new(Node::default(), 0);
    let mut of_new = owed(&mut minter, 50, "x", 0);
    of_new.owner = "new".into();
    let items = [of_new, owed(&mut minter, to.as_raw(), "y", 2)];
    let fates = scene.read(move |c| import_deliveries(c, &items, Mode::DryRun)).await;
    assert_eq!(fates, [DeliveryFate::New; 2]);
    let counts = [scene.count("owners").await, scene.count("tokens").await, scene.count("subscriptions").await];
    assert_eq!((counts, scene.count("events").await, scene.count("attempts").await), ([1, 1, 1], 0, 0));
}

async fn another_program_is_noticed(database: Database) {
    drop(Scene::of(&database).await);
    let alone = database.store().await;
    let is_shared = || alone.run(Lane::Write, others_are_connected);
    // A server may take a moment to part from the connections above.
    eventually_async("nobody else to be connected", Duration::from_secs(10), async || match is_shared().await {
        Ok(false) => Ok(()),
        shared => Err(format!("{shared:?}")),
    })
    .await;
    let mut other = sql::connect(&database.database_url());
    sql::number(&mut other, "COUNT(*)", "owners").expect("it reads");
    assert!(is_shared().await.expect("it can be told"));
    drop(other);
}
