//! Erasing data because a person orders it: one event, or all that a subscription was sent.
//!
//! The order of things is what keeps the promise that nothing goes out any more: first the store says so (payload empty,
//! deliveries cancelled), then whoever has a copy in memory gives it up (`crate::actors`), and only then the rows go. If the
//! process dies in between, the same order, given again, goes on.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl, insert_into,
    result::{DatabaseErrorKind, Error as DieselError},
};

use super::{
    AnyConnection, Queried,
    connection::on_each,
    locked::lock,
    prune::{Cleared, clear, empty, lock_events},
    replays::cancel_running,
    schema::{deliveries, erasures, events},
    traces::forget_heads,
    transaction::in_transaction,
    values::state_number,
};
use crate::domain::{
    delivery::State,
    id::{DeliveryId, EventId, SubscriptionId},
    time::Timestamp,
};

/// Erases the payload of an event and cancels what is still owed of it; gives its deliveries, or `None` when there is no such
/// event. One transaction.
///
/// # Errors
/// None of its own.
pub fn withhold_event(
    connection: &mut AnyConnection,
    event: EventId,
    now: Timestamp,
) -> Queried<Option<Vec<(SubscriptionId, DeliveryId)>>> {
    in_transaction(connection, |connection| {
        let Some(owed) = lock_events(connection, &[event])?.remove(&event.as_raw()) else { return Ok(None) };
        empty(connection, &[event.as_raw()], now)?;
        let range = event.owed_ids(owed);
        let of_event = || {
            deliveries::table
                .filter(deliveries::id.between(range.start().as_raw(), range.end().as_raw()))
                .filter(deliveries::event_id.eq(event.as_raw()))
        };
        diesel::update(of_event().filter(deliveries::state.eq_any(State::UNFINISHED.map(state_number))))
            .set((
                deliveries::state.eq(state_number(State::Cancelled)),
                deliveries::due_at.eq(0),
                deliveries::recorded_at.eq(now.as_micros()),
            ))
            .execute(connection)?;
        let rows: Vec<(i32, i64)> =
            of_event().select((deliveries::subscription_id, deliveries::id)).load(connection)?;
        let known = |(to, id)| (SubscriptionId::from_raw(to), DeliveryId::from_raw(id));
        Ok(Some(rows.into_iter().map(known).collect()))
    })
}

/// Deletes these deliveries of a withheld event, with their attempts; with the last of them goes the event. One transaction.
///
/// # Errors
/// None of its own.
pub fn delete_deliveries(connection: &mut AnyConnection, ids: &[DeliveryId]) -> Queried<Cleared> {
    in_transaction(connection, |connection| {
        let ids: Vec<i64> = ids.iter().map(|id| id.as_raw()).collect();
        let locked = lock(connection, &ids)?;
        clear(connection, &locked)
    })
}

/// Deletes a withheld event that has no deliveries, or none any more. One statement.
///
/// # Errors
/// None of its own.
pub fn delete_event(connection: &mut AnyConnection, event: EventId) -> Queried<()> {
    diesel::delete(events::table.find(event.as_raw())).execute(connection).map(drop)
}

/// The order to erase what a subscription was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose deliveries.
    pub subscription: SubscriptionId,
    /// Up to and including this one.
    pub up_to: DeliveryId,
    /// The name of the owner who ordered it.
    pub ordered_by: String,
    /// When.
    pub ordered_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = erasures)]
struct NewRow<'a> {
    subscription_id: i32,
    up_to: i64,
    ordered_by: &'a str,
    ordered_at: i64,
}

type Row = (i32, i64, String, i64);

fn erasure_from((subscription, up_to, ordered_by, ordered_at): Row) -> Erasure {
    Erasure {
        subscription: SubscriptionId::from_raw(subscription),
        up_to: DeliveryId::from_raw(up_to),
        ordered_by,
        ordered_at: Timestamp::from_micros(ordered_at),
    }
}

/// Stores the order to erase what a subscription was sent, and calls off its replay. A second order while the first is carried
/// out replaces it, because it reaches further. One transaction.
///
/// # Errors
/// None of its own.
pub fn order_erasure(connection: &mut AnyConnection, erasure: &Erasure) -> Queried<()> {
    let row = NewRow {
        subscription_id: erasure.subscription.as_raw(),
        up_to: erasure.up_to.as_raw(),
        ordered_by: &erasure.ordered_by,
        ordered_at: erasure.ordered_at.as_micros(),
    };
    in_transaction(connection, |connection| {
        cancel_running(connection, erasure.subscription, erasure.ordered_at)?;
        let present = erasures::table.find(erasure.subscription.as_raw());
        let inserted = on_each!(connection, c => insert_into(erasures::table).values(&row).execute(c));
        match inserted {
            Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => diesel::update(present)
                .set((
                    erasures::up_to.eq(row.up_to),
                    erasures::ordered_by.eq(row.ordered_by),
                    erasures::ordered_at.eq(row.ordered_at),
                ))
                .execute(connection)
                .map(drop),
            other => other.map(drop),
        }
    })
}

/// Orders that are not carried out yet, at most `limit`. One query.
///
/// # Errors
/// None of its own.
pub fn erasures(connection: &mut AnyConnection, limit: i64) -> Queried<Vec<Erasure>> {
    let rows: Vec<Row> = erasures::table.limit(limit).load(connection)?;
    Ok(rows.into_iter().map(erasure_from).collect())
}

/// The order about one subscription, while it is carried out. One query.
///
/// # Errors
/// None of its own.
pub fn erasure_of(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<Option<Erasure>> {
    let row: Option<Row> = erasures::table.find(subscription.as_raw()).first(connection).optional()?;
    Ok(row.map(erasure_from))
}

/// Deletes up to `limit` settled deliveries that an order is about, with their attempts, and the events that nobody else
/// needs. One transaction. Call it until it clears nothing.
///
/// # Errors
/// None of its own.
pub fn erase_settled(connection: &mut AnyConnection, erasure: &Erasure, limit: i64) -> Queried<Cleared> {
    use deliveries::dsl;
    in_transaction(connection, |connection| {
        let mut ids: Vec<i64> = Vec::new();
        for state in State::ALL.into_iter().filter(|state| state.is_settled()) {
            let of_state: Vec<i64> = dsl::deliveries
                .filter(dsl::subscription_id.eq(erasure.subscription.as_raw()))
                .filter(dsl::state.eq(state_number(state)))
                // Always so for a settled delivery; said aloud, it lets the index find the ids.
                .filter(dsl::due_at.eq(0))
                .filter(dsl::id.le(erasure.up_to.as_raw()))
                .order(dsl::id)
                .limit(limit - i64::try_from(ids.len()).unwrap_or(limit))
                .select(dsl::id)
                .load(connection)?;
            ids.extend(of_state);
        }
        let locked = lock(connection, &ids)?;
        clear(connection, &locked)
    })
}

/// Takes an order off the list, unless a newer one has replaced it, and forgets what the subscription's requests had in common.
/// One transaction.
///
/// # Errors
/// None of its own.
pub fn carried_out(connection: &mut AnyConnection, erasure: &Erasure) -> Queried<()> {
    let order = erasures::table.find(erasure.subscription.as_raw()).filter(erasures::up_to.eq(erasure.up_to.as_raw()));
    in_transaction(connection, |connection| {
        forget_heads(connection, erasure.subscription)?;
        diesel::delete(order).execute(connection).map(drop)
    })
}
