//! A delivery that never arrives, from its first attempt to its death.

use std::time::Duration;

use super::{
    fake::{Deed, Endpoint},
    scene::{START, Scene, in_virtual_time},
};
use crate::{
    actors::router::StatusOf,
    domain::{
        delivery::State,
        retry::{Limit, RetryPolicy},
        time::Timestamp,
    },
    metrics::{Format, Readings, expose},
};

const DAY: Duration = Duration::from_hours(24);
/// Timers have steps of a millisecond and never ring early.
const STEP: Duration = Duration::from_millis(5);

/// Seconds after the first attempt at which the attempts were made.
fn moments(scene: &Scene) -> Vec<u64> {
    let seen = scene.endpoint.seen();
    let first = seen[0].at;
    let seconds = |at: Timestamp| {
        let since = at.since(first);
        assert!(since.subsec_nanos() < STEP.subsec_nanos() * 20, "attempts are made when they are due: {since:?}");
        since.as_secs()
    };
    seen.iter().map(|seen| seconds(seen.at)).collect()
}

/// The contract's section 10: eleven attempts by the chain, eight more an hour apart or as late as their countdown says.
#[test]
fn nineteen_attempts_and_then_none() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(500)), 100).await;
        let policy = RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Seconds(20_000) };
        let subscription = scene.subscribe("never", policy).await;
        scene.publish(1).await;
        scene.settle(subscription, DAY).await;

        let moments = moments(&scene);
        assert_eq!(moments[..11], (0..11).map(|failed| (1 << failed) - 1).collect::<Vec<_>>());
        // After number k: 2^k seconds after the first one, at most 20,000, or an hour from now, whichever is later.
        assert_eq!(moments[11..], [4_623, 8_223, 11_823, 1 << 14, 20_000, 23_600, 27_200, 30_800]);
        let delivery = &scene.deliveries(subscription).await[0].delivery;
        assert_eq!((delivery.state, delivery.attempts), (State::Dead, 19));

        let told = expose(&scene.metrics, Readings::default(), Format::Prometheus);
        for series in ["{verdict=\"retry\"} 18\n", "{verdict=\"dead\"} 1\n", "{verdict=\"delivered\"} 0\n"] {
            assert!(told.contains(&format!("postrider_deliveries_total{series}")), "{told}");
        }

        tokio::time::sleep(Duration::from_hours(2)).await;
        assert_eq!(scene.endpoint.seen().len(), 19, "what is dead stays so");
    });
}

#[test]
fn attempts_are_counted_through_restarts() {
    in_virtual_time(async {
        let mut scene = Scene::new(Endpoint::new(|_| Deed::Answer(500)), 100).await;
        let subscription = scene.subscribe("never", RetryPolicy::default()).await;
        scene.publish(1).await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_mins(31)).await;
            scene.restart().await;
        }
        scene.settle(subscription, DAY).await;
        assert_eq!(scene.endpoint.seen().len(), 19);
        let moments = moments(&scene);
        let gaps: Vec<u64> = moments.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(gaps[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(gaps[10..], [3_600; 8]);
        assert_eq!(scene.deliveries(subscription).await[0].delivery.state, State::Dead);
    });
}

/// Longer than the longest timer that is set.
#[test]
fn a_wait_of_more_than_a_day_is_kept_to_the_second() {
    in_virtual_time(async {
        let mut answers = [Deed::Answer(500), Deed::Answer(200)].into_iter();
        let scene = Scene::new(Endpoint::new(move |_| answers.next().expect("two attempts")), 100).await;
        let subscription = scene.subscribe("daily", RetryPolicy::Fixed { seconds: 90_000 }).await;
        scene.publish(1).await;
        scene.settle(subscription, DAY * 2).await;
        assert_eq!(moments(&scene), [0, 90_000]);
        scene.assert_delivered(subscription, 1).await;
    });
}

#[test]
fn an_endpoint_is_given_the_time_that_it_asks_for() {
    in_virtual_time(async {
        let hour = Duration::from_hours(1);
        let mut answers = [Deed::AskToWait(hour), Deed::AskToWait(hour * 2), Deed::Answer(200)].into_iter();
        let scene = Scene::new(Endpoint::new(move |_| answers.next().expect("three attempts")), 100).await;
        let subscription = scene.subscribe("slow", RetryPolicy::Fixed { seconds: 5 }).await;
        scene.publish(1).await;
        scene.settle(subscription, DAY).await;
        assert_eq!(moments(&scene), [0, 3_600, 3 * 3_600]);
        assert!(scene.endpoint.seen()[0].at.since(START) < Duration::from_secs(1), "the first one waits for nothing");
    });
}

/// What an endpoint has shown is remembered when its actor has gone, until it fails.
#[test]
fn an_endpoint_that_worked_is_trusted_also_after_a_pause() {
    in_virtual_time(async {
        let mut answers = [200, 200, 200, 500, 200, 200].into_iter();
        let endpoint = Endpoint::new(move |_| Deed::Answer(answers.next().expect("no more is attempted")));
        let scene = Scene::new(endpoint, 100).await;
        let subscription = scene.subscribe("sometimes", RetryPolicy::default()).await;
        for pause in [Duration::ZERO, Duration::from_mins(2), Duration::from_mins(2), Duration::ZERO, Duration::ZERO] {
            scene.publish(1).await;
            scene.settle(subscription, Duration::from_secs(10)).await;
            tokio::time::sleep(pause).await;
            let status = StatusOf { subscription, key: None, delivery: None };
            let runs = scene.router.send(status).await.expect("the router lives").is_some();
            assert_eq!(runs, pause.is_zero(), "an idle actor goes");
        }
        let trusted: Vec<_> = scene.endpoint.seen().iter().map(|seen| seen.is_trusted).collect();
        assert_eq!(trusted, [false, true, true, true, false, true]);
    });
}
