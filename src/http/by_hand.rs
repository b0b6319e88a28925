//! Attempts that a person orders: made, and written down as theirs.

use actix_web::rt;
use serde_json::{Value, json};

use super::{State, deliveries::owner_of, problem::Problem};
use crate::{
    actors::{router::Order, subscription::NotMade},
    domain::{
        attempt::Attempt,
        audit::{Author, Entry},
        owner::Owner,
        subscription::Subscription,
    },
    store::{Lane, audit, deliveries::Ending},
};

/// Attempts a delivery now, whatever its state, and writes down that `owner` had it attempted. Ends when the attempt is
/// recorded; whoever has gone away in the meantime has ordered it all the same.
///
/// # Errors
/// When no attempt was made.
pub(super) async fn attempt(state: &State, owner: &Owner, order: Order) -> Result<Attempt, NotMade> {
    let (state, author) = (state.clone(), Author::from(owner));
    let Order { subscription, delivery } = order;
    let made = rt::spawn(async move {
        let attempt = state.router.send(order).await.unwrap_or_else(|_| Err(stopping()))?;
        let mut told = outcome(&attempt);
        told["subscription"] = json!(subscription);
        told["attempt"] = json!(attempt.number);
        match owner_of(&state, subscription).await {
            Ok(of) => {
                let entry = Entry::order("delivery.redeliver", format!("delivery:{delivery}"), of, told);
                note(&state, author, entry).await;
            }
            Err(problem) => not_noted(&problem),
        }
        Ok(attempt)
    });
    made.await.unwrap_or_else(|_| Err(stopping()))
}

fn stopping() -> NotMade {
    NotMade::Unavailable("the engine is stopping".to_owned())
}

/// Writes down that `author` had a sample sent to `subscription`.
pub(super) async fn note_trial(state: &State, author: Author, subscription: &Subscription, trial: &Attempt) {
    let subject = format!("subscription:{}", subscription.id);
    note(state, author, Entry::order("subscription.test", subject, Some(subscription.owner), outcome(trial))).await;
}

fn outcome(attempt: &Attempt) -> Value {
    match Ending::of(attempt) {
        Some(Ending::Status(status)) => json!({ "status": status }),
        Some(Ending::Failure(class)) => json!({ "error": class.as_str() }),
        None => json!({}),
    }
}

/// The request has left already: to answer that it failed would have it ordered once more.
async fn note(state: &State, author: Author, entry: Entry) {
    let now = state.clock.now();
    let work = move |connection: &mut _| audit::note(connection, &author, now, &entry);
    if let Err(error) = state.store.run(Lane::Write, work).await {
        not_noted(&error.into());
    }
}

fn not_noted(problem: &Problem) {
    log::error!(error:% = problem; "an order is missing in the audit log");
}
