//! What a person orders about deliveries, while actors have them in memory.

use std::{num::NonZeroU16, time::Duration};

use actix::{Actor, Addr};

use super::{
    fake::{Deed, Die, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::{mail::tell, replayer::Replayer, subscription::UnderWay, withdrawal::WithdrawFrom},
    domain::{
        delivery::State,
        id::{DeliveryId, ReplayId, SubscriptionId},
        owner::Scope,
        queue::Withdrawn,
        replay::{DEFAULT_STATES, Filter, Replay, Stage},
        retry::RetryPolicy,
    },
    store::{
        Lane,
        record::cancel_one,
        replays::{self, Ordered},
    },
};

const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 3_600 };
const SECOND: Duration = Duration::from_secs(1);

/// Has a delivery called off, as a person would.
async fn cancel(scene: &Scene, subscription: SubscriptionId, id: DeliveryId, under_way: UnderWay) {
    let now = scene.clock.now();
    let cancelled = scene.store.run(Lane::Write, move |c| cancel_one(c, id, now)).await;
    assert!(cancelled.expect("the store writes"), "it was owed");
    let deliveries = vec![(subscription, Withdrawn::These([id].into()))];
    scene.router.send(WithdrawFrom { deliveries, under_way }).await.expect("the router runs");
}

async fn replay(scene: &Scene, subscription: SubscriptionId, per_second: Option<u16>) -> ReplayId {
    let (now, pace) = (scene.clock.now(), per_second.and_then(NonZeroU16::new));
    let filter = Filter { subscription, states: DEFAULT_STATES.into(), from: None, to: now, event_type: None };
    let ordered = scene.store.run(Lane::Write, move |c| replays::order(c, &filter, pace, "a test", now)).await;
    match ordered.expect("the store writes") {
        Ordered::Made(replay) => replay.id,
        other @ (Ordered::Running(_) | Ordered::Erasing) => panic!("{other:?}"),
    }
}

async fn shown(scene: &Scene, id: ReplayId) -> Replay {
    let found = scene.store.run(Lane::Read, move |c| replays::get(c, Scope::All, id)).await;
    found.expect("the store reads").expect("it is there")
}

fn replayer(scene: &Scene) -> Addr<Replayer> {
    Replayer::new(scene.store.clone(), scene.clock.clone(), scene.router.clone()).start()
}

async fn only_delivery(scene: &Scene, subscription: SubscriptionId) -> DeliveryId {
    scene.deliveries(subscription).await[0].delivery.id
}

#[test]
fn whoever_calls_a_delivery_off_can_wait_for_the_attempt_in_flight() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Slow(5 * SECOND, 500)), 100).await;
        let subscription = scene.subscribe("slow", POLICY).await;
        let begin = scene.clock.now();
        scene.publish(1).await;
        tokio::time::sleep(SECOND).await;
        let id = only_delivery(&scene, subscription).await;
        cancel(&scene, subscription, id, UnderWay::Await).await;
        let waited = scene.clock.now().since(begin);
        assert!((5 * SECOND..6 * SECOND).contains(&waited), "{waited:?}");
        let listed = scene.deliveries(subscription).await.remove(0);
        assert_eq!((listed.delivery.state, listed.delivery.attempts), (State::Cancelled, 1));
    });
}

#[test]
fn a_delivery_that_is_called_off_in_flight_and_replayed_meanwhile_is_attempted_again() {
    in_virtual_time(async {
        let mut turn = 0;
        let endpoint = Endpoint::new(move |_| {
            turn += 1;
            if turn == 1 { Deed::Slow(5 * SECOND, 500) } else { Deed::Answer(200) }
        });
        let scene = Scene::new(endpoint, 100).await;
        let subscription = scene.subscribe("slow", POLICY).await;
        scene.publish(1).await;
        tokio::time::sleep(SECOND).await;
        let id = only_delivery(&scene, subscription).await;
        cancel(&scene, subscription, id, UnderWay::Leave).await;
        replay(&scene, subscription, None).await;
        replayer(&scene);
        // Not an hour later, as after a failure.
        tokio::time::sleep(3 * SECOND).await;
        scene.settle(subscription, 10 * SECOND).await;
        scene.assert_delivered(subscription, 1).await;
        assert_eq!(scene.endpoint.seen().len(), 2);
    });
}

#[test]
fn the_next_replayer_goes_on_at_the_same_pace_after_the_last_step() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Slow(SECOND / 10, 200)), 100).await;
        let subscription = scene.subscribe("many", POLICY).await;
        scene.publish(60).await;
        tokio::time::sleep(SECOND / 20).await;
        for listed in scene.deliveries(subscription).await {
            let (id, now) = (listed.delivery.id, scene.clock.now());
            scene.store.run(Lane::Write, move |c| cancel_one(c, id, now)).await.expect("the store writes");
        }
        let deliveries = vec![(subscription, Withdrawn::UpTo(DeliveryId::from_raw(i64::MAX)))];
        let withdraw = WithdrawFrom { deliveries, under_way: UnderWay::Await };
        scene.router.send(withdraw).await.expect("the router runs");
        let cancelled = scene.deliveries(subscription).await;
        let left = cancelled.iter().filter(|listed| listed.delivery.state == State::Cancelled).count();
        assert!(left > 30, "{left}");

        let begin = scene.clock.now();
        let id = replay(&scene, subscription, Some(10)).await;
        let first = replayer(&scene);
        tokio::time::sleep(SECOND).await;
        tell(&first, Die);
        let second = replayer(&scene);
        while shown(&scene, id).await.stage == Stage::Running {
            tokio::time::sleep(SECOND / 10).await;
        }
        let took = scene.clock.now().since(begin).as_secs_f64();
        let expected = f64::from(u16::try_from(left).expect("few")) / 10.0;
        assert!((expected - 0.5..expected + 1.5).contains(&took), "{left} deliveries in {took} s");
        assert_eq!(shown(&scene, id).await.replayed, left as u64);
        scene.settle(subscription, 10 * SECOND).await;
        scene.assert_delivered(subscription, 60).await;
        drop(second);
    });
}
