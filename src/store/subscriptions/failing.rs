//! Since when the endpoint of a subscription fails.
//!
//! Written beside the rest of the row: nobody has to be told of a new version of the subscription.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use crate::{
    domain::{id::SubscriptionId, time::Timestamp},
    store::{AnyConnection, Queried, schema::subscriptions, transaction::in_transaction},
};

/// Since when the endpoint fails; `None` while it works. One query of the key.
///
/// # Errors
/// None of its own.
pub fn failing_since(connection: &mut AnyConnection, id: SubscriptionId) -> Queried<Option<Timestamp>> {
    let row = subscriptions::table.find(id.as_raw()).select(subscriptions::failing_since);
    let since: Option<Option<i64>> = row.first(connection).optional()?;
    Ok(since.flatten().map(Timestamp::from_micros))
}

/// Since when the endpoint of a subscription fails; `None` when it works.
pub type Note = (SubscriptionId, Option<Timestamp>);

/// Writes all notes in one transaction, a statement for each.
///
/// # Errors
/// None of its own.
pub fn note_failing(connection: &mut AnyConnection, notes: &[Note]) -> Queried<()> {
    in_transaction(connection, |connection| {
        notes.iter().try_for_each(|(id, since)| {
            diesel::update(subscriptions::table.find(id.as_raw()))
                .set(subscriptions::failing_since.eq(since.map(Timestamp::as_micros)))
                .execute(connection)
                .map(drop)
        })
    })
}
