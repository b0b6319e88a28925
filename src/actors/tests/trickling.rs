//! Endpoints that fail, or of which nothing is known, are tried one after the other, those that work all at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    fake::{Deed, Endpoint, Seen},
    scene::{Scene, in_virtual_time},
};
use crate::domain::retry::RetryPolicy;

const MANY: usize = 100;
const WAIT: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);

#[test]
fn many_endpoints_that_fail_are_tried_one_after_the_other_until_they_work() {
    in_virtual_time(async {
        let fails = Arc::new(AtomicBool::new(true));
        let rule = Arc::clone(&fails);
        let endpoint = Endpoint::new(move |_| Deed::Answer(if rule.load(Ordering::Relaxed) { 503 } else { 200 }));
        let scene = Scene::new(endpoint, 100).await;
        let mut subscriptions = Vec::new();
        for number in 0..MANY {
            subscriptions.push(scene.subscribe(&number.to_string(), RetryPolicy::Fixed { seconds: 5 }).await);
        }
        scene.publish(1).await;
        tokio::time::sleep(SOON).await;
        assert_in_turns(&latest(&scene), 2);
        tokio::time::sleep(WAIT).await;
        assert_in_turns(&latest(&scene), 4);

        fails.store(false, Ordering::Relaxed);
        for subscription in &subscriptions {
            scene.settle(*subscription, 4 * WAIT).await;
        }
        scene.publish(1).await;
        tokio::time::sleep(SOON).await;
        assert!(took(&latest(&scene)) < Duration::from_millis(10), "they are trusted again");
        for subscription in subscriptions {
            scene.assert_delivered(subscription, 2).await;
        }
        assert_eq!(scene.endpoint.seen().len(), 4 * MANY);
    });
}

/// So many milliseconds apart, as far as timers tell them.
fn assert_in_turns(seen: &[Seen], interval: usize) {
    let (fastest, all) = (fastest(seen), took(seen).as_millis());
    assert!(fastest <= 10 / interval + 2, "{fastest} attempts within ten milliseconds");
    let longest = 2 * interval * MANY;
    assert!(all < longest as u128, "{all} ms for all of them");
}

/// The latest attempt at each endpoint.
fn latest(scene: &Scene) -> Vec<Seen> {
    let seen = scene.endpoint.seen();
    seen[seen.len() - MANY..].to_vec()
}

fn took(seen: &[Seen]) -> Duration {
    seen[seen.len() - 1].at.since(seen[0].at)
}

/// The most attempts within ten milliseconds.
fn fastest(seen: &[Seen]) -> usize {
    let within = |first: &Seen| {
        seen.iter().filter(|other| other.at >= first.at && other.at.since(first.at) < Duration::from_millis(10)).count()
    };
    seen.iter().map(within).max().unwrap_or_default()
}
