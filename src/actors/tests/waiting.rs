//! Actors with nothing to do: they wait as long as it takes, stop when nobody needs them, and come back.

use std::{num::NonZeroU32, time::Duration};

use super::{
    fake::{Deed, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::recorder::Waiting,
    domain::{
        hold::{Hold, HoldMode, Ramp},
        id::DeliveryId,
        retry::RetryPolicy,
    },
};

const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 5 };
const DAY: Duration = Duration::from_hours(24);
const LATER: Duration = Duration::from_secs(1_234);

#[test]
fn an_event_that_meets_an_actor_about_to_stop_is_delivered_at_once() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("idle", POLICY).await;
        // Idle actors stop after 30 seconds: the events come around that moment, a millisecond at a time.
        for number in 0..60_u64 {
            tokio::time::sleep(Duration::from_millis(29_970 + number)).await;
            let before = scene.clock.now();
            scene.publish(1).await;
            scene.settle(subscription, Duration::from_secs(1)).await;
            let seen = scene.endpoint.seen();
            assert_eq!(seen.len() as u64, number + 1);
            let wait = seen.last().expect("one").at.since(before);
            assert!(wait < Duration::from_millis(10), "event {number} waited {wait:?}");
        }
        scene.assert_delivered(subscription, 60).await;
    });
}

/// The database does not keep up, so nothing starts in the whole process, and then it does.
#[test]
fn an_actor_that_got_work_while_nothing_may_start_does_not_stop() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("idle", POLICY).await;
        scene.publish(1).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        scene.waiting.add(Waiting::MOST);
        scene.publish(1).await;
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(scene.endpoint.seen().len(), 1, "nothing may start");
        scene.waiting.take(Waiting::MOST);
        scene.settle(subscription, Duration::from_secs(1)).await;
        scene.assert_delivered(subscription, 2).await;
    });
}

#[test]
fn a_pause_of_more_than_a_day_ends_in_its_moment() {
    in_virtual_time(async {
        let mut scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        let until = scene.clock.now().after(DAY + LATER);
        let hold = Hold { until: Some(until), ..Hold::by_engine(scene.clock.now(), "a test") };
        scene.hold(subscription, hold).await;
        scene.publish(10).await;
        tokio::time::sleep(DAY).await;
        assert_eq!(scene.endpoint.seen().len(), 0);
        scene.restart().await;
        scene.settle(subscription, DAY).await;
        for seen in scene.endpoint.seen() {
            assert!(seen.at >= until, "it started early");
            assert!(seen.at.since(until) < Duration::from_millis(100), "it started late");
        }
        scene.assert_delivered(subscription, 10).await;
    });
}

#[test]
fn a_pause_for_good_ends_by_a_person_only() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        scene.hold(subscription, Hold::by_engine(scene.clock.now(), "a test")).await;
        scene.publish(300).await;
        tokio::time::sleep(DAY / 12).await;
        assert_eq!(scene.endpoint.seen().len(), 0);
        scene.resume(subscription, None).await;
        scene.settle(subscription, Duration::from_secs(10)).await;
        scene.assert_delivered(subscription, 300).await;
        let ids: Vec<_> = scene.endpoint.seen().iter().map(|seen| seen.delivery).collect();
        assert!(ids.is_sorted(), "in the order of acceptance");
    });
}

#[test]
fn what_a_pause_held_back_comes_at_the_pace_that_was_asked_for_and_what_follows_does_not() {
    in_virtual_time(async {
        let mut scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        scene.hold(subscription, Hold::by_engine(scene.clock.now(), "a test")).await;
        scene.publish(100).await;
        tokio::time::sleep(LATER).await;
        let resumed_at = scene.clock.now();
        let per_second = NonZeroU32::new(5).expect("not zero");
        scene.resume(subscription, Some(Ramp { per_second, up_to: DeliveryId::before(resumed_at) })).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Half of it is there; the other half keeps the pace through a crash.
        let seen = scene.endpoint.seen().len();
        assert!((49..=51).contains(&seen), "{seen} after ten seconds");
        scene.restart().await;
        scene.settle(subscription, Duration::from_secs(12)).await;
        let took = scene.clock.now().since(resumed_at);
        assert!(took > Duration::from_secs(19), "it took {took:?}");

        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = scene.clock.now();
        scene.publish(100).await;
        scene.settle(subscription, Duration::from_secs(1)).await;
        let last = scene.endpoint.seen().last().expect("some").at;
        assert!(last.since(before) < Duration::from_millis(500), "full speed again");
        scene.assert_delivered(subscription, 200).await;
    });
}

#[test]
fn what_comes_during_a_pause_that_drops_is_not_owed() {
    in_virtual_time(async {
        let mut scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let subscription = scene.subscribe("paused", POLICY).await;
        let (now, until) = (scene.clock.now(), scene.clock.now().after(LATER));
        scene.hold(subscription, Hold::by_engine(now, "what was owed before stays owed")).await;
        scene.publish(3).await;
        let hold = Hold { until: Some(until), mode: HoldMode::Drop, ..Hold::by_engine(now, "a test") };
        scene.hold(subscription, hold).await;
        scene.publish(10).await;
        scene.restart().await;
        scene.publish(10).await;
        tokio::time::sleep(LATER).await;
        scene.publish(4).await;
        scene.settle(subscription, Duration::from_secs(10)).await;
        scene.assert_delivered(subscription, 7).await;
    });
}
