//! Attempts that a person orders: made, and written down as theirs.

use serde_json::{Value, json};

use super::{State, deliveries::owner_of, problem::Problem};
use crate::{
    actors::{router::Order, subscription::NotMade},
    domain::{
        attempt::Attempt,
        audit::{Author, Entry},
        id::OwnerId,
        owner::Owner,
    },
    store::{Lane, audit, deliveries::Ending},
};

/// Attempts a delivery now, whatever its state, and writes down that `owner` had it attempted. Ends when the attempt is
/// recorded.
///
/// # Errors
/// When no attempt was made.
pub(super) async fn attempt(state: &State, owner: &Owner, order: Order) -> Result<Attempt, NotMade> {
    let Order { subscription, delivery } = order;
    let gone = || NotMade::Unavailable("the engine is stopping".to_owned());
    let attempt = state.router.send(order).await.unwrap_or_else(|_| Err(gone()))?;
    let mut told = outcome(&attempt);
    told["subscription"] = json!(subscription);
    told["attempt"] = json!(attempt.number);
    match owner_of(state, subscription).await {
        Ok(of) => {
            note(state, owner, Entry::order("delivery.redeliver", format!("delivery:{delivery}"), of, told)).await;
        }
        Err(problem) => not_noted(&problem),
    }
    Ok(attempt)
}

/// Writes down that `owner` had a sample sent to a subscription of `of`.
pub(super) async fn note_trial(state: &State, owner: &Owner, subject: String, of: OwnerId, trial: &Attempt) {
    note(state, owner, Entry::order("subscription.test", subject, Some(of), outcome(trial))).await;
}

fn outcome(attempt: &Attempt) -> Value {
    match Ending::of(attempt) {
        Some(Ending::Status(status)) => json!({ "status": status }),
        Some(Ending::Failure(class)) => json!({ "error": class.as_str() }),
        None => json!({}),
    }
}

/// The request has left already: to answer that it failed would have it ordered once more.
async fn note(state: &State, owner: &Owner, entry: Entry) {
    let (author, now) = (Author::from(owner), state.clock.now());
    let work = move |connection: &mut _| audit::note(connection, &author, now, &entry);
    if let Err(error) = state.store.run(Lane::Write, work).await {
        not_noted(&error.into());
    }
}

fn not_noted(problem: &Problem) {
    log::error!(error:% = problem; "an order is missing in the audit log");
}
