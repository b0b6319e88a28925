//! The order management system of the demo: publishes one event after the other, and does not give up on any.

use std::time::Duration;

use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::story::happening;
use crate::{
    cli::client::{Api, ApiError, Publication},
    clock::Clock,
    domain::time::Timestamp,
    samples::sample,
};

/// The wait before an event is published again that nobody answered to.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What becomes of publishing.
#[derive(Debug)]
pub(super) enum News {
    /// It is about to be sent.
    Published { event_type: &'static str, number: u32, at: Timestamp },
    /// It was not answered; it is sent again. Told once for each event.
    Waiting { event_type: &'static str, number: u32, at: Timestamp, why: &'static str },
    /// It is accepted.
    Accepted { event_type: &'static str, number: u32, at: Timestamp, owed: u32 },
    /// The engine does not want it, and never will.
    Refused(ApiError),
    /// That was the last one.
    Done,
}

/// Publishes `count` events, or for ever, one each `interval`.
pub(super) async fn publish(api: Api, count: Option<u32>, interval: Duration, news: mpsc::Sender<News>) {
    let mut ticks = tokio::time::interval(interval);
    // After an outage of the engine the events that were not published meanwhile are not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for index in 0..count.unwrap_or(u32::MAX) {
        ticks.tick().await;
        let told = match publish_one(&api, index, &news).await {
            Ok(accepted) => news.send(accepted).await,
            Err(error) => return news.send(News::Refused(error)).await.unwrap_or_default(),
        };
        // Nobody listens any more: the demo ends.
        if told.is_err() {
            return;
        }
    }
    news.send(News::Done).await.unwrap_or_default();
}

/// Publishes until it is accepted: under one idempotency key, so that it becomes one event however often it is sent.
async fn publish_one(api: &Api, index: u32, news: &mpsc::Sender<News>) -> Result<News, ApiError> {
    let clock = Clock::system();
    let (event_type, number) = happening(index);
    let at = clock.now();
    let payload = sample(event_type, number, at).expect("the story tells of built-in types only: its test says so");
    let key = format!("demo-{index}");
    let publication =
        Publication { event_type, payload: &payload, ordering_key: None, idempotency_key: Some(key.as_str()) };
    news.send(News::Published { event_type, number, at }).await.unwrap_or_default();
    let mut is_waiting = false;
    loop {
        let why = match api.publish(&publication).await {
            Ok(published) => {
                return Ok(News::Accepted { event_type, number, at: clock.now(), owed: published.deliveries });
            }
            Err(ApiError::Unreachable { .. }) => "the engine does not answer",
            Err(error) if error.is_passing() => "the engine is busy",
            Err(error) => return Err(error),
        };
        if !is_waiting {
            is_waiting = true;
            news.send(News::Waiting { event_type, number, at: clock.now(), why }).await.unwrap_or_default();
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
