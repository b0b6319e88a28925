//! Pauses of many subscriptions, and the pace after them.

use std::num::NonZeroU32;

use postrider::{
    domain::{
        delivery::Verdict,
        endpoint::parse_host,
        hold::{Hold, HoldMode, Ramp},
        id::{DeliveryId, OwnerId, SubscriptionId},
        ordering::KeyHash,
        owner::Scope,
        subscription::{Subscription, Terms},
        time::Timestamp,
    },
    store::{
        parking::{park, unpark},
        subscriptions::{
            Change,
            bulk::{Candidate, HoldFilter, candidates, hold_many, resume_many},
            change_terms, create, get,
            holds::{held, hold, resume},
            ramp::{Progress, end_ramp, progress},
        },
    },
};

use crate::{
    scene::{NOW, Scene, at, no_keys, record, terms},
    support::database::{Database, on_both},
};

on_both! {
    a_filter_finds_what_all_of_it_applies_to,
    a_filter_finds_no_more_than_its_scope,
    what_is_found_comes_in_pages,
    many_are_paused_at_once_but_for_those_that_are_paused,
    many_are_resumed_at_once_at_a_pace,
    a_pace_stays_until_what_was_owed_is_done,
    a_pause_ends_a_pace,
    what_is_paused_is_listed_the_latest_first,
    who_waits_for_a_retry_has_had_its_turn,
}

fn pause(since: Timestamp, reason: &str) -> Hold {
    Hold { since, until: None, mode: HoldMode::Keep, reason: Some(reason.to_owned()), by: "oms".to_owned() }
}

fn ramp(per_second: u32) -> Ramp {
    Ramp { per_second: NonZeroU32::new(per_second).expect("not zero"), up_to: DeliveryId::from_raw(4_711) }
}

async fn made(scene: &Scene, owner: OwnerId, terms: Terms) -> SubscriptionId {
    match scene.write(move |c| create(c, &no_keys(), owner, &terms, NOW)).await {
        Change::Made(subscription) => subscription.id,
        change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
    }
}

async fn of_id(scene: &Scene, id: SubscriptionId) -> Subscription {
    scene.read(move |c| get(c, &no_keys(), Scope::All, id)).await.expect("it was made")
}

async fn paused(scene: &Scene, id: SubscriptionId, pause: Hold) {
    let change = scene.write(move |c| hold(c, &no_keys(), Scope::All, id, &pause)).await;
    assert!(matches!(change, Change::Made(_)), "{change:?}");
}

async fn found(scene: &Scene, scope: Scope, filter: HoldFilter, now: Timestamp) -> Vec<Candidate> {
    scene.read(move |c| candidates(c, scope, &filter, now, SubscriptionId::from_raw(0), 100)).await.found
}

async fn a_filter_finds_what_all_of_it_applies_to(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    let on = |url: &str| Terms { target_url: url.to_owned(), ..terms("x") };
    let of_type = |name: &str, url: &str| Terms { event_type: name.parse_type(), ..on(url) };
    let one = made(&scene, scene.owner, on("https://A.example/1")).await;
    let two = made(&scene, scene.owner, on("http://u:p@a.EXAMPLE:8080/2")).await;
    let three = made(&scene, other, of_type("package.updated", "https://a.example/")).await;
    let four = made(&scene, scene.owner, on("https://b.a.example/a.example")).await;
    made(&scene, scene.owner, Terms { is_active: false, ..on("https://a.example/inactive") }).await;
    paused(&scene, four, pause(NOW, "works")).await;

    let ids = async |filter: HoldFilter| -> Vec<SubscriptionId> {
        found(&scene, Scope::All, filter, NOW).await.into_iter().map(|candidate| candidate.id).collect()
    };
    let host = HoldFilter { host: parse_host("a.example").ok(), ..HoldFilter::default() };
    assert_eq!(ids(host.clone()).await, [one, two, three]);
    assert_eq!(ids(HoldFilter { owner: Some(other), ..host.clone() }).await, [three]);
    assert_eq!(ids(HoldFilter { event_type: Some("package.created".parse_type()), ..host }).await, [one, two]);
    let reason = HoldFilter { reason: Some("works".to_owned()), ..HoldFilter::default() };
    assert_eq!(ids(reason).await, [four]);
}

trait ParseType {
    fn parse_type(&self) -> postrider::domain::event_type::EventType;
}

impl ParseType for str {
    fn parse_type(&self) -> postrider::domain::event_type::EventType {
        postrider::domain::event_type::EventType::parse(self).expect("a type")
    }
}

async fn a_filter_finds_no_more_than_its_scope(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    made(&scene, scene.owner, terms("one")).await;
    let two = made(&scene, other, terms("two")).await;
    let seen = found(&scene, Scope::Of(other), HoldFilter::default(), NOW).await;
    assert_eq!(seen, [Candidate { id: two, is_held: false }]);
    let of_another = HoldFilter { owner: Some(scene.owner), ..HoldFilter::default() };
    assert_eq!(found(&scene, Scope::Of(other), of_another, NOW).await, []);
}

async fn what_is_found_comes_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(made(&scene, scene.owner, terms(name)).await);
    }
    let filter = HoldFilter { host: parse_host("d.example").ok(), ..HoldFilter::default() };
    let mut after = Some(SubscriptionId::from_raw(0));
    let mut pages = Vec::new();
    while let Some(from) = after {
        let filter = filter.clone();
        let page = scene.read(move |c| candidates(c, Scope::All, &filter, NOW, from, 2)).await;
        pages.push(page.found.len());
        after = page.next;
    }
    assert_eq!(pages, [0, 1, 0], "a page of which nothing is meant is not the end");
}

async fn many_are_paused_at_once_but_for_those_that_are_paused(database: Database) {
    let scene = Scene::of(&database).await;
    let mut ids = Vec::new();
    for name in ["free", "paused", "paused until then", "untouched"] {
        ids.push(made(&scene, scene.owner, terms(name)).await);
    }
    paused(&scene, ids[1], pause(NOW, "by hand")).await;
    paused(&scene, ids[2], Hold { until: Some(at(5)), ..pause(NOW, "ran out") }).await;
    let held: Vec<bool> =
        found(&scene, Scope::All, HoldFilter::default(), at(5)).await.iter().map(|found| found.is_held).collect();
    assert_eq!(held, [false, true, false, false]);

    let (many, incident) = (ids[..3].to_vec(), Hold { mode: HoldMode::Drop, ..pause(at(5), "incident") });
    let order = incident.clone();
    let done = scene.write(move |c| hold_many(c, &no_keys(), &many, &order)).await;
    let mut done: Vec<_> = done.iter().map(|subscription| (subscription.id, subscription.version)).collect();
    done.sort_unstable();
    assert_eq!(done, [(ids[0], 2), (ids[2], 3)]);
    let mut holds = Vec::new();
    for id in &ids {
        holds.push(of_id(&scene, *id).await.hold);
    }
    assert_eq!(holds, [Some(incident.clone()), Some(pause(NOW, "by hand")), Some(incident), None]);
}

async fn many_are_resumed_at_once_at_a_pace(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (made(&scene, scene.owner, terms("one")).await, made(&scene, scene.owner, terms("two")).await);
    paused(&scene, one, pause(NOW, "works")).await;
    let done = scene.write(move |c| resume_many(c, &no_keys(), &[one, two], Some(ramp(5)))).await;
    assert_eq!(done.len(), 2);
    let (one, two) = (of_id(&scene, one).await, of_id(&scene, two).await);
    assert_eq!((one.hold, one.ramp, one.version), (None, Some(ramp(5)), 3));
    assert_eq!((two.ramp, two.version), (None, 1), "it was not paused");
}

async fn a_pace_stays_until_what_was_owed_is_done(database: Database) {
    let scene = Scene::of(&database).await;
    let id = made(&scene, scene.owner, terms("one")).await;
    paused(&scene, id, pause(NOW, "works")).await;
    scene.write(move |c| resume(c, &no_keys(), Scope::All, id, Some(ramp(5)))).await;
    scene.write(move |c| change_terms(c, &no_keys(), Scope::All, id, &Clone::clone, NOW)).await;
    assert_eq!(of_id(&scene, id).await.ramp, Some(ramp(5)));
    let another = Ramp { up_to: DeliveryId::from_raw(1), ..ramp(5) };
    assert_eq!(scene.write(move |c| end_ramp(c, &no_keys(), id, another)).await, None);
    let ended = scene.write(move |c| end_ramp(c, &no_keys(), id, ramp(5))).await.expect("it was in force");
    assert_eq!((ended.ramp, ended.version), (None, 5));
    assert_eq!(of_id(&scene, id).await, ended);
    assert_eq!(scene.write(move |c| end_ramp(c, &no_keys(), id, ramp(5))).await, None);
}

async fn a_pause_ends_a_pace(database: Database) {
    let scene = Scene::of(&database).await;
    let id = made(&scene, scene.owner, terms("one")).await;
    scene.write(move |c| resume(c, &no_keys(), Scope::All, id, Some(ramp(5)))).await;
    paused(&scene, id, pause(NOW, "again")).await;
    assert_eq!(of_id(&scene, id).await.ramp, None);
    scene.write(move |c| resume(c, &no_keys(), Scope::All, id, None)).await;
    let found = of_id(&scene, id).await;
    assert_eq!((found.hold, found.ramp), (None, None));
}

async fn who_waits_for_a_retry_has_had_its_turn(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.subscription("one").await;
    let owed = scene.owe(id, 4).await;
    let ramp = Ramp { up_to: owed[2], ..ramp(5) };
    scene.write(move |c| resume(c, &no_keys(), Scope::All, id, Some(ramp))).await;
    let progress_at = |now| scene.read(move |c| progress(c, id, ramp, now));
    assert_eq!(progress_at(NOW).await, Progress::CatchingUp);
    scene.record(vec![record(owed[0], 1, 200, Verdict::Delivered)], NOW).await;
    scene.record(vec![record(owed[1], 1, 503, Verdict::RetryAt(at(60)))], NOW).await;
    assert_eq!(progress_at(NOW).await, Progress::CatchingUp, "one was never attempted");
    let key = KeyHash::from_raw(7);
    let behind = owed[2];
    scene.write(move |c| park(c, &[(behind, key)])).await;
    assert_eq!(progress_at(NOW).await, Progress::CatchingUp, "one waits behind its key");
    scene.write(move |c| unpark(c, id, 10)).await;
    scene.record(vec![record(owed[2], 1, 500, Verdict::Dead)], NOW).await;
    assert_eq!(progress_at(NOW).await, Progress::CaughtUp, "the fourth came later");
    assert_eq!(progress_at(at(60)).await, Progress::CatchingUp, "the retry is due");
    paused(&scene, id, pause(NOW, "again")).await;
    assert_eq!(progress_at(NOW).await, Progress::Replaced);
}

async fn what_is_paused_is_listed_the_latest_first(database: Database) {
    let scene = Scene::of(&database).await;
    let other = scene.add_owner("other").await;
    let mut ids = Vec::new();
    for (owner, name) in [(scene.owner, "a"), (scene.owner, "b"), (other, "c"), (scene.owner, "d"), (scene.owner, "e")]
    {
        ids.push(made(&scene, owner, terms(name)).await);
    }
    paused(&scene, ids[0], pause(NOW, "works")).await;
    paused(&scene, ids[1], pause(at(5), "later")).await;
    paused(&scene, ids[2], pause(at(1), "another's")).await;
    paused(&scene, ids[3], Hold { until: Some(at(10)), ..pause(at(2), "over soon") }).await;
    let listed = async |scope, now, limit| {
        let held = scene.read(move |c| held(c, &no_keys(), scope, now, limit)).await;
        held.into_iter().map(|subscription| subscription.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Scope::All, at(9), 10).await, [ids[1], ids[3], ids[2], ids[0]]);
    assert_eq!(listed(Scope::All, at(10), 10).await, [ids[1], ids[2], ids[0]]);
    assert_eq!(listed(Scope::Of(other), at(9), 10).await, [ids[2]]);
    assert_eq!(listed(Scope::All, at(9), 1).await, [ids[1]]);
}
