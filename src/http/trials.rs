//! `POST /api/v1/subscriptions/{id}/test`: a sample event of its type, sent now to this subscription only.
//!
//! A trial is no delivery: nothing is stored but who ordered it, no policy follows, and neither slots nor breaker know of it. It goes the way of
//! a delivery otherwise: the same headers, signatures, guard and deadline. Its body and a header say what it is, so that a
//! receiver need not take it for something that happened.

use std::sync::Arc;

use actix_web::{
    HttpResponse, rt,
    web::{Data, Path},
};
use tokio::sync::Semaphore;

use super::{
    State,
    attempts::TrialView,
    auth::Caller,
    by_hand::note_trial,
    event_types::example_of,
    openapi::{Always, Busy, Missing},
    problem::Problem,
    subscriptions::find,
};
use crate::{
    domain::{
        attempt::{Attempt, Outcome},
        audit::Author,
        event::Event,
        event_type::EventType,
        id::{DeliveryId, EventId, SubscriptionId},
        subscription::Subscription,
        time::Timestamp,
        trace::Trace,
    },
    egress::{Client, Sent, Template},
};

/// Trials at once, of all that ask.
const MAX_TRIALS: usize = 16;

/// Room for the trials that are under way; cloning shares it.
#[derive(Clone)]
pub struct Trials(Arc<Semaphore>);

impl Default for Trials {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TRIALS)))
    }
}

/// Sends a sample and answers with what came of it. Also while the subscription is paused or inactive.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/test", tag = "subscriptions", operation_id = "test_subscription",
    params(("id" = i32, Path, description = "The subscription")),
    responses((status = 200, description = "What came of it", body = TrialView), Missing, Busy, Always),
)]
pub(crate) async fn order(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    let subscription = find(&state, &owner, id.into_inner()).await?;
    let room = Arc::clone(&state.trials.0).try_acquire_owned().map_err(|_| Problem::attempt_under_way())?;
    let author = Author::from(&*owner);
    // Whoever has gone away in the meantime has ordered it all the same.
    let trial = rt::spawn(async move {
        let attempt = attempt(&state, &subscription).await;
        if attempt.outcome != Outcome::NotAttempted {
            note_trial(&state, author, &subscription, &attempt).await;
        }
        drop(room);
        attempt
    });
    match trial.await {
        Ok(attempt) if attempt.outcome != Outcome::NotAttempted => {
            Ok(HttpResponse::Ok().json(TrialView::new(&attempt)))
        }
        Ok(_) | Err(_) => Err(Problem::busy()),
    }
}

async fn attempt(state: &State, subscription: &Subscription) -> Attempt {
    let id = DeliveryId::of_no_delivery(rand::random());
    let started_at = state.clock.now();
    let event = sample(state, &subscription.terms.event_type, started_at);
    let Sent { outcome, trace } = match Template::new(&subscription.terms) {
        // A connection of its own: what a trial meets says nothing about those that deliveries use.
        Ok(template) => Client::new(state.guard.clone()).send(template.trial(id, &event, started_at)).await,
        Err(failure) => Sent { outcome: Outcome::Failed(failure), trace: Trace::default() },
    };
    let duration = state.clock.now().since(started_at);
    Attempt { delivery: id, number: 1, started_at, duration, outcome, trace }
}

/// An event that never happened.
pub(crate) fn sample(state: &State, event_type: &EventType, now: Timestamp) -> Event {
    let payload = state.catalogue.find(event_type.as_str()).ok().and_then(|known| example_of(&known, now));
    Event {
        id: EventId::from_raw(0),
        event_type: event_type.clone(),
        payload: payload.map_or_else(|| "{}".into(), |payload| payload.get().to_owned().into()),
        ordering_key: None,
        accepted_at: now,
    }
}
