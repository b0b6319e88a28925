//! Changes that overtake each other, or meet an actor that is about to stop.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_rt::Arbiter;

use super::{
    fake::{Deed, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::{
        mail::tell,
        router::{Changed, Drain, Order, OwedAgain},
        subscription::NotMade,
    },
    domain::{
        delivery::State,
        hold::Hold,
        id::SubscriptionId,
        owner::Scope,
        retry::RetryPolicy,
        subscription::{Flow, Subscription, Terms},
    },
    store::{
        Lane,
        subscriptions::{Change, holds},
    },
};

const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 5 };
const SECOND: Duration = Duration::from_secs(1);

/// Pauses a subscription in the store only.
async fn write_hold(scene: &Scene, id: SubscriptionId) -> Arc<Subscription> {
    let (keys, hold) = (scene.store.keys(), Hold::by_engine(scene.clock.now(), "a test"));
    let work = move |c: &mut _| holds::hold(c, &keys, Scope::All, id, &hold);
    match scene.store.run(Lane::Write, work).await.expect("the store writes") {
        Change::Made(subscription) => Arc::new(*subscription),
        change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
    }
}

fn active(is_active: bool) -> impl Fn(&Terms) -> Terms + Send + 'static {
    move |terms| Terms { is_active, ..terms.clone() }
}

/// In real time, because the actor's thread has to be busy while the router's is not.
#[test]
fn a_pause_that_a_newer_change_overtook_is_not_answered_before_it_holds() {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (begins, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = Endpoint::new(move |_| {
        begins.send(()).expect("the test listens");
        may_go_on.lock().expect("nobody panics").recv().expect("the test lets it go on");
        Deed::Answer(500)
    });
    actix_rt::System::new().block_on(async {
        let arbiter = Arbiter::new();
        let scene = Scene::on(arbiter.handle(), endpoint, 100).await;
        let subscription = scene.subscribe("busy", POLICY).await;
        scene.publish(1).await;
        has_begun.recv().await.expect("the attempt begins");
        let pause = write_hold(&scene, subscription).await;
        let newer =
            scene.write_terms(subscription, |terms| Terms { callback: Some("x".into()), ..terms.clone() }).await;
        // The thread of the actor stands still in its first attempt.
        tell(&scene.router, Changed(newer));
        let mut answered = Box::pin(scene.router.send(Changed(pause)));
        let early = tokio::time::timeout(SECOND / 2, &mut answered).await;
        assert!(early.is_err(), "answered while the actor knew of no pause");
        go_on.send(()).expect("the endpoint waits");
        answered.await.expect("the router runs");
        arbiter.stop();
    });
}

#[test]
fn what_is_owed_at_the_end_is_called_off_however_soon_the_subscription_is_active_again() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        scene.hold(subscription, Hold::by_engine(scene.clock.now(), "a test")).await;
        scene.publish(300).await;
        scene.resume_in_store(subscription).await;
        let ended = scene.write_terms(subscription, active(false)).await;
        let again = scene.write_terms(subscription, active(true)).await;
        tell(&scene.router, Changed(ended));
        scene.router.send(Changed(again)).await.expect("the router runs");
        scene.publish(5).await;
        scene.settle(subscription, 10 * SECOND).await;
        let states: Vec<State> = scene.deliveries(subscription).await.iter().map(|l| l.delivery.state).collect();
        let count = |wanted| states.iter().filter(|state| **state == wanted).count();
        assert_eq!((count(State::Cancelled), count(State::Delivered)), (300, 5));
        assert_eq!(scene.endpoint.seen().len(), 5);
    });
}

#[test]
fn what_an_ended_subscription_is_found_to_be_owed_is_called_off() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("ended", POLICY).await;
        scene.publish(1).await;
        scene.settle(subscription, SECOND).await;
        let ended = scene.write_terms(subscription, active(false)).await;
        scene.router.send(Changed(ended)).await.expect("the router runs");
        // The actor lingers, with all that it was told of called off.
        tokio::time::sleep(SECOND).await;
        scene.accept_in_secret(subscription).await;
        tokio::time::sleep(SECOND).await;
        let other = scene.subscribe("other", POLICY).await;
        scene.publish(1).await;
        scene.settle(other, SECOND).await;
        scene.router.send(OwedAgain(subscription)).await.expect("the router runs");
        scene.settle(subscription, 10 * SECOND).await;
        assert_eq!(scene.deliveries(subscription).await[0].delivery.state, State::Cancelled);
        assert_eq!(scene.endpoint.seen().len(), 2);
    });
}

/// The actor of a paused subscription stops after 30 seconds; the resumption comes around that moment, a millisecond at a time.
#[test]
fn a_resumption_that_meets_an_actor_about_to_stop_is_carried_out_at_once() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        for number in 0..60_u64 {
            scene.hold(subscription, Hold::by_engine(scene.clock.now(), "a test")).await;
            scene.publish(1).await;
            // Written before, so that nothing but the message happens in that moment.
            let resumed = scene.resume_in_store(subscription).await;
            tokio::time::sleep(Duration::from_millis(29_970 + number)).await;
            let before = scene.clock.now();
            scene.router.send(Changed(resumed)).await.expect("the router runs");
            scene.settle(subscription, SECOND).await;
            let seen = scene.endpoint.seen();
            assert_eq!(seen.len() as u64, number + 1);
            let wait = seen.last().expect("one").at.since(before);
            assert!(wait < Duration::from_millis(10), "resumption {number} waited {wait:?}");
        }
    });
}

#[test]
fn an_order_that_was_not_carried_out_is_told_and_takes_nothing_from_the_delivery() {
    in_virtual_time(async {
        let mut turn = 0;
        let endpoint = Endpoint::new(move |_| {
            turn += 1;
            [Deed::Answer(500), Deed::LoseTheAttempt, Deed::Answer(500), Deed::Answer(200)][turn - 1]
        });
        let scene = Scene::new(endpoint, 100).await;
        let subscription = scene.subscribe("one", RetryPolicy::Fixed { seconds: 60 }).await;
        scene.publish(1).await;
        tokio::time::sleep(SECOND).await;
        let delivery = scene.deliveries(subscription).await[0].delivery.id;
        let order = || scene.router.send(Order { subscription, delivery });
        let answer = order().await.expect("the router runs");
        assert!(matches!(answer, Err(NotMade::Unavailable(_))), "{answer:?}");
        let kept = scene.deliveries(subscription).await.remove(0).delivery;
        assert_eq!((kept.state, kept.attempts), (State::Pending, 1), "not counted");
        // The second time it is made, and has the number that the first one did not use.
        assert_eq!(order().await.expect("the router runs").expect("made").number, 2);
        scene.settle(subscription, 60 * SECOND).await;
        let settled = scene.deliveries(subscription).await.remove(0).delivery;
        assert_eq!((settled.state, settled.attempts), (State::Delivered, 3));
        let seen = scene.endpoint.seen();
        assert!((60 * SECOND..61 * SECOND).contains(&seen[3].at.since(seen[0].at)), "due when it was");
    });
}

#[test]
fn an_order_during_the_end_is_refused_and_nothing_starts() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(500)), 100).await;
        let subscription = scene.subscribe("one", POLICY).await;
        scene.publish(1).await;
        tokio::time::sleep(SECOND).await;
        let delivery = scene.deliveries(subscription).await[0].delivery.id;
        scene.router.send(Drain).await.expect("the router runs");
        let answer = scene.router.send(Order { subscription, delivery }).await.expect("the router runs");
        assert!(matches!(answer, Err(NotMade::Unavailable(_))), "{answer:?}");
        assert_eq!(scene.endpoint.seen().len(), 1);
        assert_eq!(scene.deliveries(subscription).await[0].delivery.attempts, 1);
    });
}

/// Whether its actor runs or has gone.
#[test]
fn another_endpoint_is_not_trusted_for_what_the_last_one_did() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("here", POLICY).await;
        for (pause, place) in [(SECOND, "there"), (120 * SECOND, "elsewhere")] {
            for _ in 0..2 {
                scene.publish(1).await;
                scene.settle(subscription, 10 * SECOND).await;
            }
            tokio::time::sleep(pause).await;
            let url = move |terms: &Terms| Terms { target_url: format!("https://{place}.example/"), ..terms.clone() };
            let moved = scene.write_terms(subscription, url).await;
            scene.router.send(Changed(moved)).await.expect("the router runs");
        }
        scene.publish(1).await;
        scene.settle(subscription, 10 * SECOND).await;
        let trusted: Vec<_> = scene.endpoint.seen().iter().map(|seen| seen.is_trusted).collect();
        assert_eq!(trusted, [false, true, false, true, false]);
    });
}

/// Whether its actor runs or has gone.
#[test]
fn an_endpoint_stays_trusted_when_something_else_changes() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("here", POLICY).await;
        for (pause, max_in_flight) in [(SECOND, 2), (120 * SECOND, 3)] {
            scene.publish(1).await;
            scene.settle(subscription, 10 * SECOND).await;
            tokio::time::sleep(pause).await;
            let pace = move |terms: &Terms| Terms { flow: Flow { max_in_flight, ..terms.flow }, ..terms.clone() };
            let changed = scene.write_terms(subscription, pace).await;
            scene.router.send(Changed(changed)).await.expect("the router runs");
        }
        scene.publish(1).await;
        scene.settle(subscription, 10 * SECOND).await;
        let trusted: Vec<_> = scene.endpoint.seen().iter().map(|seen| seen.is_trusted).collect();
        assert_eq!(trusted, [false, true, true]);
    });
}

/// Whether its actor runs while nothing is owed, or has gone before.
#[test]
fn an_endpoint_is_not_trusted_when_its_subscription_begins_again() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("here", POLICY).await;
        for pause in [SECOND, 120 * SECOND] {
            for _ in 0..2 {
                scene.publish(1).await;
                scene.settle(subscription, 10 * SECOND).await;
            }
            tokio::time::sleep(pause).await;
            for is_active in [false, true] {
                let changed = scene.write_terms(subscription, move |terms| Terms { is_active, ..terms.clone() }).await;
                scene.router.send(Changed(changed)).await.expect("the router runs");
                tokio::time::sleep(120 * SECOND).await;
            }
        }
        let trusted: Vec<_> = scene.endpoint.seen().iter().map(|seen| seen.is_trusted).collect();
        assert_eq!(trusted, [false, true, false, true]);
    });
}

/// It may answer long after the subscription has moved, and that it is gone.
#[test]
fn what_the_last_endpoint_answers_says_nothing_of_the_next() {
    in_virtual_time(async {
        let mut deeds = [Deed::Slow(5 * SECOND, 410)].into_iter();
        let endpoint = Endpoint::new(move |_| deeds.next().unwrap_or(Deed::Answer(200)));
        let scene = Scene::new(endpoint, 100).await;
        let subscription = scene.subscribe("here", POLICY).await;
        scene.publish(1).await;
        tokio::time::sleep(SECOND).await;
        let url = |terms: &Terms| Terms { target_url: "https://there.example/".to_owned(), ..terms.clone() };
        let moved = scene.write_terms(subscription, url).await;
        scene.router.send(Changed(moved)).await.expect("the router runs");
        scene.settle(subscription, 120 * SECOND).await;
        scene.assert_delivered(subscription, 1).await;
    });
}
