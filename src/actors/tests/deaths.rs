//! Every actor may die at any moment with all that it has, and everything is delivered all the same.

use std::{collections::HashMap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    fake::{Deed, Die, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::{intake::Receipt, mail::tell},
    domain::retry::RetryPolicy,
};

const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 5 };
const EVENTS: usize = 200;
/// Long enough for a few deaths and what follows them.
const SOON: Duration = Duration::from_mins(5);

/// An endpoint at which the attempts of these numbers end in `deed`, and the others take a moment.
fn with(deed: Deed, numbers: &'static [usize]) -> Endpoint {
    let mut number = 0;
    Endpoint::new(move |_| {
        number += 1;
        if numbers.contains(&number) { deed } else { Deed::Slow(Duration::from_millis(20), 200) }
    })
}

/// Publishes to two subscriptions, and checks that all arrives with at most so many attempts more than needed.
fn everything_arrives(endpoint: Endpoint, most_repeated: usize) {
    in_virtual_time(async {
        let scene = Scene::new(endpoint, 50).await;
        let subscriptions = [scene.subscribe("one", POLICY).await, scene.subscribe("two", POLICY).await];
        for _ in 0..4 {
            let receipts = scene.publish(EVENTS / 4).await;
            assert!(receipts.iter().all(|receipt| matches!(receipt, Receipt::Accepted { deliveries: 2, .. })));
        }
        for subscription in subscriptions {
            scene.settle(subscription, SOON).await;
            scene.assert_delivered(subscription, EVENTS).await;
        }
        let repeated = scene.endpoint.seen().len() - 2 * EVENTS;
        assert!(repeated <= most_repeated, "{repeated} attempts were repeated");
    });
}

#[test]
fn a_deliverer_that_dies_is_replaced() {
    // Both subscriptions have 32 attempts there.
    everything_arrives(with(Deed::KillTheDeliverer, &[1, 40, 200]), 3 * 64);
}

#[test]
fn a_subscription_actor_that_dies_is_replaced() {
    everything_arrives(with(Deed::KillTheSubscription, &[1, 40, 200]), 3 * 50);
}

#[test]
fn a_recorder_that_dies_is_replaced() {
    everything_arrives(with(Deed::KillTheRecorder, &[1, 40, 200]), 3 * 100);
}

#[test]
fn a_scribe_that_dies_is_replaced() {
    everything_arrives(with(Deed::KillTheScribe, &[1, 40, 200]), 3 * 100);
}

#[test]
fn an_attempt_whose_task_dies_is_made_again_and_not_counted() {
    in_virtual_time(async {
        let scene = Scene::new(with(Deed::LoseTheAttempt, &[1, 2, 3]), 50).await;
        let subscription = scene.subscribe("one", POLICY).await;
        scene.publish(1).await;
        scene.settle(subscription, SOON).await;
        scene.assert_delivered(subscription, 1).await;
        assert_eq!(scene.endpoint.seen().len(), 4);
        assert_eq!(scene.deliveries(subscription).await[0].delivery.attempts, 1);
    });
}

#[test]
fn a_router_that_dies_keeps_nobody_waiting_and_leaves_everything_to_the_next() {
    in_virtual_time(async {
        let mut scene = Scene::new(with(Deed::Answer(500), &[1, 2, 3]), 50).await;
        let subscription = scene.subscribe("one", POLICY).await;
        assert_eq!(scene.publish(EVENTS).await.len(), EVENTS);
        tell(&scene.router, Die);
        assert_eq!(scene.publish(1).await, [], "the publisher is told that there is no answer");
        scene.restart().await;
        scene.settle(subscription, SOON).await;
        scene.assert_delivered(subscription, EVENTS).await;
    });
}

/// Anybody, at any attempt, and some while others are being replaced.
#[test]
fn many_deaths_lose_nothing() {
    const DEATHS: usize = 12;
    for seed in 0..5 {
        let mut random = StdRng::seed_from_u64(seed);
        let killers = [Deed::KillTheDeliverer, Deed::KillTheSubscription, Deed::KillTheRecorder, Deed::LoseTheAttempt];
        let mut deaths: HashMap<usize, Deed> = (0..DEATHS)
            .map(|_| (random.random_range(0..2 * EVENTS), killers[random.random_range(0..killers.len())]))
            .collect();
        let mut number = 0;
        let endpoint = Endpoint::new(move |_| {
            number += 1;
            let slow = Deed::Slow(Duration::from_millis(random.random_range(0..50)), 200);
            deaths.remove(&number).unwrap_or(slow)
        });
        in_virtual_time(async {
            let mut scene = Scene::new(endpoint, 40).await;
            let subscriptions = [scene.subscribe("one", POLICY).await, scene.subscribe("two", POLICY).await];
            for part in 0..4 {
                scene.publish(EVENTS / 4).await;
                if part % 2 == 1 {
                    scene.restart().await;
                }
            }
            for subscription in subscriptions {
                scene.settle(subscription, SOON).await;
                scene.assert_delivered(subscription, EVENTS).await;
            }
        });
    }
}
