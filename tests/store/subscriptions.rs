//! Subscriptions: what an owner writes comes back as it was, and two changes never undo each other.

use std::{sync::Arc, time::Duration};

use postrider::{
    domain::{
        event_type::{self, EventType},
        headers::AdditionalHeaders,
        hold::{Hold, HoldMode, MAX_REASON_LENGTH},
        id::SubscriptionId,
        ordering::Ordering,
        owner::Scope,
        queue::Rate,
        retry::RetryPolicy,
        secret::{MAX_RETIRING, Retiring, Secret},
        subscription::{Config, Flow, MAX_MAX_IN_FLIGHT, Subscription, Terms},
    },
    store::subscriptions::{
        Change, change_terms, create, get,
        holds::{hold, resume},
        page,
    },
};
use serde_json::json;

use crate::{
    scene::{NOW, Scene, at, no_keys, terms},
    support::database::{Database, on_both},
};

on_both! {
    terms_come_back_as_they_were,
    one_owner_has_one_subscription_of_a_type_and_endpoint,
    a_change_into_another_registration_is_refused,
    only_the_owner_sees_and_changes_it,
    the_newest_version_wins_and_no_change_is_lost,
    a_hold_comes_back_as_it_was_and_is_lifted,
    a_hold_leaves_the_terms_and_a_change_leaves_the_hold,
    pages_go_by_id,
    what_is_not_there_cannot_be_changed,
}

async fn terms_come_back_as_they_were(database: Database) {
    let scene = Scene::of(&database).await;
    let config =
        json!({"auth": {"auth_type": "basic", "username": "ü", "password": "pä:ß"}, "timeout": 2.5, "🚚": [1, null]});
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let headers = vec![header("X-B", Some("é")), header("User-Agent", None), header("X-A", Some(""))];
    let rich = Terms {
        event_type: EventType::parse(&"a".repeat(event_type::MAX_LENGTH)).expect("the longest"),
        target_url: format!("https://örnek.example/kargo takip?q={}", "ş".repeat(219)),
        secret: Some(Secret::new("🔑".repeat(124))),
        retiring: (0..MAX_RETIRING).map(|n| retiring(&format!("{n}{}", "🔑".repeat(123)), 60)).collect(),
        retry: RetryPolicy::Random { min_value: 1, max_value: 2_592_000 },
        is_active: false,
        callback: Some("paket.güncelle".to_owned()),
        additional_headers: AdditionalHeaders::new(headers).expect("valid headers"),
        config: Config::new(serde_json::from_value(config).expect("an object")).expect("a valid config"),
        flow: Flow {
            max_in_flight: MAX_MAX_IN_FLIGHT,
            ordering: Ordering::Key,
            rate: Some(Rate { per_second: 50, burst: 7 }),
            max_age: Some(Duration::from_hours(1)),
        },
    };
    for terms in [rich, terms("plain")] {
        let made = made(&scene, &terms).await;
        let found = scene.read(move |c| get(c, &no_keys(), Scope::All, made.id)).await.expect("it was made");
        assert_eq!((&found.terms, found.owner, found.version), (&terms, scene.owner, 1));
        assert_eq!((found.hold.clone(), found.created_at, found.modified_at), (None, NOW, NOW));
        assert_eq!(found, made);
    }
}

async fn one_owner_has_one_subscription_of_a_type_and_endpoint(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    made(&scene, &terms("one")).await;
    let again = |owner, terms: Terms| scene.write(move |c| create(c, &no_keys(), owner, &terms, NOW));
    let inactive = Terms { is_active: false, ..terms("one") };
    assert_eq!(again(scene.owner, inactive).await, Change::AlreadyRegistered);
    let shouting = Terms { target_url: "https://one.example/?A".into(), ..terms("one") };
    let whispering = Terms { target_url: "https://one.example/?a".into(), ..terms("one") };
    for (owner, terms) in [(other, terms("one")), (scene.owner, shouting), (scene.owner, whispering)] {
        let change = again(owner, terms).await;
        assert!(matches!(change, Change::Made(_)), "{change:?}");
    }
}

async fn a_change_into_another_registration_is_refused(database: Database) {
    let scene = Scene::of(&database).await;
    made(&scene, &terms("one")).await;
    let two = made(&scene, &terms("two")).await;
    let edit = |terms_now: &Terms| Terms { target_url: terms("one").target_url, ..terms_now.clone() };
    let refused = scene.write(move |c| change_terms(c, &no_keys(), Scope::All, two.id, &edit, at(1))).await;
    assert_eq!(refused, Change::AlreadyRegistered);
    assert_eq!(scene.read(move |c| get(c, &no_keys(), Scope::All, two.id)).await, Some(two));
}

async fn only_the_owner_sees_and_changes_it(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    let id = made(&scene, &terms("one")).await.id;
    for (scope, is_seen) in [(Scope::All, true), (Scope::Of(scene.owner), true), (Scope::Of(other), false)] {
        assert_eq!(scene.read(move |c| get(c, &no_keys(), scope, id)).await.is_some(), is_seen);
        let first = SubscriptionId::from_raw(0);
        assert_eq!(scene.read(move |c| page(c, &no_keys(), scope, first, 10)).await.len(), usize::from(is_seen));
        let change = scene.write(move |c| change_terms(c, &no_keys(), scope, id, &Clone::clone, NOW)).await;
        assert_eq!(change == Change::NotFound, !is_seen);
        let change = scene.write(move |c| resume(c, &no_keys(), scope, id, None)).await;
        assert_eq!(change == Change::NotFound, !is_seen);
    }
}

async fn the_newest_version_wins_and_no_change_is_lost(database: Database) {
    let scene = Arc::new(Scene::of(&database).await);
    let slow = Terms { flow: Flow { max_in_flight: 1, ..Flow::default() }, ..terms("one") };
    let id = made(&scene, &slow).await.id;
    let mut writers = Vec::new();
    for _ in 0..8 {
        let scene = Arc::clone(&scene);
        writers.push(tokio::spawn(async move {
            for _ in 0..5 {
                let edit = |terms: &Terms| {
                    let flow = Flow { max_in_flight: terms.flow.max_in_flight + 1, ..terms.flow };
                    Terms { flow, ..terms.clone() }
                };
                let change = scene.write(move |c| change_terms(c, &no_keys(), Scope::All, id, &edit, at(9))).await;
                assert!(matches!(change, Change::Made(_)), "{change:?}");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let found = scene.read(move |c| get(c, &no_keys(), Scope::All, id)).await.expect("it is there");
    assert_eq!((found.terms.flow.max_in_flight, found.version, found.modified_at), (41, 41, at(9)));
}

async fn a_hold_comes_back_as_it_was_and_is_lifted(database: Database) {
    let scene = Scene::of(&database).await;
    let id = made(&scene, &terms("one")).await.id;
    let long = Hold {
        since: NOW,
        until: Some(at(60)),
        mode: HoldMode::Drop,
        reason: Some("🚧".repeat(MAX_REASON_LENGTH)),
        by: "oms".to_owned(),
    };
    let short = Hold { since: at(1), until: None, mode: HoldMode::Keep, reason: None, by: "postrider".to_owned() };
    for (pause, version) in [(Some(long), 2), (Some(short), 3), (None, 4)] {
        let stored = pause.clone();
        let change = scene
            .write(move |c| match &stored {
                Some(stored) => hold(c, &no_keys(), Scope::All, id, stored),
                None => resume(c, &no_keys(), Scope::All, id, None),
            })
            .await;
        let found = scene.read(move |c| get(c, &no_keys(), Scope::All, id)).await.expect("it is there");
        assert_eq!((&found.hold, found.version, found.modified_at), (&pause, version, NOW));
        assert_eq!(change, Change::Made(Box::new(found)));
    }
}

async fn a_hold_leaves_the_terms_and_a_change_leaves_the_hold(database: Database) {
    let scene = Scene::of(&database).await;
    let id = made(&scene, &terms("one")).await.id;
    let pause =
        Hold { since: NOW, until: None, mode: HoldMode::Keep, reason: Some("works".to_owned()), by: "oms".to_owned() };
    let stored = pause.clone();
    scene.write(move |c| hold(c, &no_keys(), Scope::All, id, &stored)).await;
    // What was set becomes empty: a null column, not the old text.
    let edit = |terms: &Terms| Terms { callback: None, secret: None, ..terms.clone() };
    scene.write(move |c| change_terms(c, &no_keys(), Scope::All, id, &edit, at(1))).await;
    let found = scene.read(move |c| get(c, &no_keys(), Scope::All, id)).await.expect("it is there");
    assert_eq!((found.hold, found.terms), (Some(pause), terms("one")));
}

async fn pages_go_by_id(database: Database) {
    let scene = Scene::of(&database).await;
    let mut ids = Vec::new();
    for name in ["c", "a", "b"] {
        ids.push(made(&scene, &terms(name)).await.id);
    }
    let scope = Scope::Of(scene.owner);
    let ids_after = |after, limit| async move {
        let found = scene.read(move |c| page(c, &no_keys(), scope, after, limit)).await;
        (scene, found.into_iter().map(|subscription| subscription.id).collect::<Vec<_>>())
    };
    let (scene, found) = ids_after(SubscriptionId::from_raw(0), 2).await;
    assert_eq!(found, ids[..2]);
    let last = ids[1];
    let rest = scene.read(move |c| page(c, &no_keys(), scope, last, 2)).await;
    assert_eq!(rest.into_iter().map(|subscription| subscription.id).collect::<Vec<_>>(), ids[2..]);
}

async fn what_is_not_there_cannot_be_changed(database: Database) {
    let scene = Scene::of(&database).await;
    let nobody = SubscriptionId::from_raw(404);
    assert_eq!(scene.read(move |c| get(c, &no_keys(), Scope::All, nobody)).await, None);
    let change = scene.write(move |c| change_terms(c, &no_keys(), Scope::All, nobody, &Clone::clone, NOW)).await;
    assert_eq!(change, Change::NotFound);
}

fn retiring(text: &str, seconds: u64) -> Retiring {
    Retiring { secret: Secret::new(text), until: at(seconds) }
}

async fn made(scene: &Scene, terms: &Terms) -> Subscription {
    let (owner, terms) = (scene.owner, terms.clone());
    match scene.write(move |c| create(c, &no_keys(), owner, &terms, NOW)).await {
        Change::Made(subscription) => *subscription,
        change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
    }
}
