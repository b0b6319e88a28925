//! Word that a delivery is settled lies about until its subscription is up for something; nobody waits for that.

use std::time::Duration;

use super::{
    fake::{Deed, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::{
        router::{Drain, Order, StatusOf},
        subscription::UnderWay,
        withdrawal::WithdrawFrom,
    },
    domain::{
        id::{DeliveryId, SubscriptionId},
        queue::Withdrawn,
        retry::RetryPolicy,
    },
};

/// Long enough for an attempt and its record, too short for a look without a reason.
const MOMENT: Duration = Duration::from_millis(100);

/// A subscription with a delivery that was just settled.
async fn settled() -> (Scene, SubscriptionId, DeliveryId) {
    let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
    let subscription = scene.subscribe("one", RetryPolicy::Fixed { seconds: 5 }).await;
    // The first brings the page with which every actor begins.
    for _ in 0..2 {
        scene.publish(1).await;
        tokio::time::sleep(MOMENT).await;
    }
    scene.assert_delivered(subscription, 2).await;
    let deliveries = scene.deliveries(subscription).await;
    let newest = deliveries.iter().map(|listed| listed.delivery.id).max().expect("there are two");
    (scene, subscription, newest)
}

#[test]
fn what_is_called_off_too_late_is_known_to_be_over() {
    in_virtual_time(async {
        let (scene, subscription, id) = settled().await;
        let deliveries = vec![(subscription, Withdrawn::These([id].into()))];
        let withdraw = scene.router.send(WithdrawFrom { deliveries, under_way: UnderWay::Await });
        tokio::time::timeout(MOMENT, withdraw).await.expect("at once").expect("the router runs");
    });
}

#[test]
fn what_was_just_settled_may_be_attempted_by_hand() {
    in_virtual_time(async {
        let (scene, subscription, delivery) = settled().await;
        let order = scene.router.send(Order { subscription, delivery });
        let made = tokio::time::timeout(MOMENT, order).await.expect("at once").expect("the router runs");
        assert_eq!(made.expect("nothing is under way").number, 2);
    });
}

#[test]
fn an_engine_that_stops_is_quiet_at_once() {
    in_virtual_time(async {
        let (scene, ..) = settled().await;
        let drained = scene.router.send(Drain);
        tokio::time::timeout(MOMENT, drained).await.expect("at once").expect("the router runs");
    });
}

/// Nothing else comes up, and its actor is let go as ever.
#[test]
fn who_has_nothing_more_to_do_finds_out() {
    in_virtual_time(async {
        let (scene, subscription, _) = settled().await;
        tokio::time::sleep(Duration::from_secs(41)).await;
        let status = StatusOf { subscription, key: None, delivery: None };
        assert_eq!(scene.router.send(status).await.expect("the router runs"), None);
    });
}
