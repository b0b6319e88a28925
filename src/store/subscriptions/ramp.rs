//! How far a subscription has caught up after a pause.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::get;
use crate::{
    domain::{
        delivery::State, hold::Ramp, id::SubscriptionId, owner::Scope, subscription::Subscription, time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        keyring::Keyring,
        schema::{deliveries, subscriptions},
        transaction::in_transaction,
        values::{PARKED, state_number},
    },
};

/// Where a ramp stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Deliveries that were owed when it began wait for their turn.
    CatchingUp,
    /// All of them have had it.
    CaughtUp,
    /// It is no longer in force.
    Replaced,
}

/// Where `ramp` stands at `now`. A few queries of the index.
///
/// # Errors
/// None of its own.
pub fn progress(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    ramp: Ramp,
    now: Timestamp,
) -> Queried<Progress> {
    let in_force: Option<Option<i64>> = subscriptions::table
        .find(subscription.as_raw())
        .select(subscriptions::resume_up_to)
        .first(connection)
        .optional()?;
    if in_force.flatten() != Some(ramp.up_to.as_raw()) {
        return Ok(Progress::Replaced);
    }
    // Never attempted; due for a retry; behind another one of its ordering key.
    for (from, to) in [(0, 0), (1, now.as_micros()), (PARKED, i64::MAX)] {
        let waiting: Option<i64> = deliveries::table
            .filter(deliveries::subscription_id.eq(subscription.as_raw()))
            .filter(deliveries::state.eq(state_number(State::Pending)))
            .filter(deliveries::due_at.between(from, to))
            .filter(deliveries::id.le(ramp.up_to.as_raw()))
            .select(deliveries::id)
            .first(connection)
            .optional()?;
        if waiting.is_some() {
            return Ok(Progress::CatchingUp);
        }
    }
    Ok(Progress::CaughtUp)
}

/// Takes the pace away from a subscription that has caught up: `ramp` is the one that is over, another stays. Gives the
/// subscription if it was changed. One transaction.
///
/// # Errors
/// None of its own.
pub fn end_ramp(
    connection: &mut AnyConnection,
    keys: &Keyring,
    id: SubscriptionId,
    ramp: Ramp,
) -> Queried<Option<Subscription>> {
    use subscriptions::dsl;
    in_transaction(connection, |connection| {
        let row = dsl::subscriptions.find(id.as_raw()).filter(dsl::resume_up_to.eq(ramp.up_to.as_raw()));
        let none = (dsl::resume_per_second.eq(None::<i32>), dsl::resume_up_to.eq(None::<i64>));
        match diesel::update(row).set((none, dsl::version.eq(dsl::version + 1))).execute(connection)? {
            0 => Ok(None),
            _ => get(connection, keys, Scope::All, id),
        }
    })
}
