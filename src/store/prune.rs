//! Clearing away what was kept for long enough: small pages, found by their primary keys.
//!
//! Ids carry the time, so what is old is a range of the primary key; and an event's deliveries lie right behind it
//! ([`EventId::owed_ids`]). Looking is a query of its own and holds nothing up; the transaction that clears away looks again
//! at the few rows that it takes, because they may have been replayed meanwhile. What is pending is never taken.

use std::collections::{HashMap, HashSet};

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{
    AnyConnection, Queried,
    connection::MAX_PLACES,
    locked::{Locked, lock},
    schema::{attempts, deliveries, events, interventions},
    transaction::in_transaction,
    values::{state_from, state_number},
};
use crate::domain::{
    delivery::State,
    id::{DeliveryId, EventId},
    retention::Retention,
    time::Timestamp,
};

/// Places that one query looks at.
const RANGES_PER_QUERY: usize = 50;

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<Id> {
    /// What may go.
    pub ids: Vec<Id>,
    /// The last that was looked at; `None` when there was nothing left to look at.
    pub last: Option<Id>,
}

/// What was cleared away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Deliveries, each with its attempts.
    pub deliveries: usize,
    /// Events, of which nobody needed anything any more.
    pub events: usize,
}

/// Looks at up to `limit` deliveries after `after` that are old enough. One query of the primary key.
///
/// # Errors
/// A row that this version cannot read.
pub fn find_deliveries(
    connection: &mut AnyConnection,
    after: DeliveryId,
    retention: &Retention,
    limit: i64,
    now: Timestamp,
) -> Queried<Found<DeliveryId>> {
    let Some(until) = retention.accepted_until(now) else { return Ok(Found { ids: Vec::new(), last: None }) };
    let rows: Vec<(i64, i16, Option<i64>)> = deliveries::table
        .filter(deliveries::id.gt(after.as_raw()))
        .filter(deliveries::id.le(DeliveryId::before(until).as_raw()))
        .order(deliveries::id)
        .limit(limit)
        .select((deliveries::id, deliveries::state, deliveries::recorded_at))
        .load(connection)?;
    let mut found = Found { ids: Vec::new(), last: rows.last().map(|(id, ..)| DeliveryId::from_raw(*id)) };
    for (id, state, recorded_at) in rows {
        if may_go(state, recorded_at, retention, now)? {
            found.ids.push(DeliveryId::from_raw(id));
        }
    }
    Ok(found)
}

fn may_go(state: i16, recorded_at: Option<i64>, retention: &Retention, now: Timestamp) -> Queried<bool> {
    let until = retention.settled_until(state_from(state)?, now);
    Ok(recorded_at.zip(until).is_some_and(|(recorded_at, until)| recorded_at <= until.as_micros()))
}

/// Clears away those of `ids` that may still go, with their attempts, and the events that nobody needs any more. One
/// transaction.
///
/// # Errors
/// A row that this version cannot read.
pub fn clear_deliveries(
    connection: &mut AnyConnection,
    ids: &[DeliveryId],
    retention: &Retention,
    now: Timestamp,
) -> Queried<Cleared> {
    in_transaction(connection, |connection| {
        let ids: Vec<i64> = ids.iter().map(|id| id.as_raw()).collect();
        let mut outdated = Vec::with_capacity(ids.len());
        for locked in lock(connection, &ids)? {
            if may_go(locked.state, locked.recorded_at, retention, now)? {
                outdated.push(locked);
            }
        }
        clear(connection, &outdated)
    })
}

/// Deletes deliveries, their attempts, and those of their events that have no other. Part of a transaction that holds them.
pub(super) fn clear(connection: &mut AnyConnection, locked: &[Locked]) -> Queried<Cleared> {
    if locked.is_empty() {
        return Ok(Cleared::default());
    }
    let ids: Vec<i64> = locked.iter().map(|locked| locked.id).collect();
    for ids in ids.chunks(MAX_PLACES) {
        diesel::delete(attempts::table.filter(attempts::delivery_id.eq_any(ids))).execute(connection)?;
    }
    forget_interventions(connection, &ids)?;
    let gone = diesel::delete(deliveries::table.filter(deliveries::id.eq_any(&ids))).execute(connection)?;
    let touched: HashMap<i64, u32> =
        locked.iter().map(|locked| (locked.event, u32::try_from(locked.owed).unwrap_or_default())).collect();
    let needed = events_among(connection, &touched, &State::ALL)?;
    let unneeded: Vec<i64> = touched.into_keys().filter(|event| !needed.contains(event)).collect();
    let events = match unneeded.as_slice() {
        [] => 0,
        unneeded => diesel::delete(events::table.filter(events::id.eq_any(unneeded))).execute(connection)?,
    };
    Ok(Cleared { deliveries: gone, events })
}

/// Few deliveries have one, and to look for them locks nothing.
fn forget_interventions(connection: &mut AnyConnection, ids: &[i64]) -> Queried<()> {
    use interventions::dsl;
    let found: Vec<i64> =
        dsl::interventions.filter(dsl::delivery_id.eq_any(ids)).select(dsl::delivery_id).load(connection)?;
    if found.is_empty() {
        return Ok(());
    }
    diesel::delete(dsl::interventions.filter(dsl::delivery_id.eq_any(&found))).execute(connection).map(drop)
}

/// Those of `events`, given with how many deliveries they owed, that have a delivery in one of `states`. Each is looked
/// for where its deliveries are: the events of one subscription may lie months apart, with all others between them.
fn events_among(connection: &mut AnyConnection, events: &HashMap<i64, u32>, states: &[State]) -> Queried<HashSet<i64>> {
    let events: Vec<(i64, u32)> = events.iter().map(|(event, owed)| (*event, *owed)).collect();
    let mut found = HashSet::new();
    for events in events.chunks(RANGES_PER_QUERY) {
        let mut query = deliveries::table.select(deliveries::event_id).distinct().into_boxed();
        for (event, owed) in events {
            let owed_ids = EventId::from_raw(*event).owed_ids(*owed);
            let range = deliveries::id.between(owed_ids.start().as_raw(), owed_ids.end().as_raw());
            let in_state = deliveries::state.eq_any(states.iter().map(|state| state_number(*state)));
            query = query.or_filter(deliveries::event_id.eq(*event).and(range).and(in_state));
        }
        found.extend(query.load::<i64>(connection)?);
    }
    Ok(found)
}

/// Looks at up to `limit` events after `after` and accepted until `until`, for those that never owed anything. One query of
/// the primary key.
///
/// # Errors
/// None of its own.
pub fn find_unwanted(
    connection: &mut AnyConnection,
    after: EventId,
    until: Timestamp,
    limit: i64,
) -> Queried<Found<EventId>> {
    let rows: Vec<(i64, i32)> = events::table
        .filter(events::id.gt(after.as_raw()))
        .filter(events::id.le(EventId::before(until).as_raw()))
        .order(events::id)
        .limit(limit)
        .select((events::id, events::deliveries))
        .load(connection)?;
    Ok(Found {
        last: rows.last().map(|(id, _)| EventId::from_raw(*id)),
        ids: rows.into_iter().filter(|(_, owed)| *owed == 0).map(|(id, _)| EventId::from_raw(id)).collect(),
    })
}

/// Clears away those of `ids` that never owed anything; gives how many. One statement.
///
/// # Errors
/// None of its own.
pub fn clear_unwanted(connection: &mut AnyConnection, ids: &[EventId]) -> Queried<usize> {
    let ids = ids.iter().map(|id| id.as_raw());
    diesel::delete(events::table.filter(events::id.eq_any(ids)).filter(events::deliveries.eq(0))).execute(connection)
}

/// Looks at up to `limit` events after `after` and accepted until `until`, for those with a payload. One query of the primary
/// key.
///
/// # Errors
/// None of its own.
pub fn find_payloads(
    connection: &mut AnyConnection,
    after: EventId,
    until: Timestamp,
    limit: i64,
) -> Queried<Found<EventId>> {
    let rows: Vec<(i64, Option<i64>)> = events::table
        .filter(events::id.gt(after.as_raw()))
        .filter(events::id.le(EventId::before(until).as_raw()))
        .order(events::id)
        .limit(limit)
        .select((events::id, events::payload_erased_at))
        .load(connection)?;
    Ok(Found {
        last: rows.last().map(|(id, _)| EventId::from_raw(*id)),
        ids: rows.into_iter().filter(|(_, erased)| erased.is_none()).map(|(id, _)| EventId::from_raw(id)).collect(),
    })
}

/// Erases the payloads of those of `ids` of which nothing is owed any more; gives how many. One transaction.
///
/// # Errors
/// None of its own.
pub fn erase_payloads(connection: &mut AnyConnection, ids: &[EventId], now: Timestamp) -> Queried<usize> {
    in_transaction(connection, |connection| {
        let present = lock_events(connection, ids)?;
        let owed = events_among(connection, &present, &State::UNFINISHED)?;
        let erasable: Vec<i64> = present.into_keys().filter(|event| !owed.contains(event)).collect();
        empty(connection, &erasable, now)
    })
}

/// Erases payloads. No JSON is empty, so an empty payload is always one that was erased.
pub(super) fn empty(connection: &mut AnyConnection, events: &[i64], now: Timestamp) -> Queried<usize> {
    if events.is_empty() {
        return Ok(0);
    }
    diesel::update(events::table.filter(events::id.eq_any(events)))
        .set((events::payload.eq(Vec::new()), events::payload_erased_at.eq(now.as_micros())))
        .execute(connection)
}

/// Those of `ids` that are there, with how many deliveries they owed; nobody else changes or replays them until the
/// transaction ends.
pub(super) fn lock_events(connection: &mut AnyConnection, ids: &[EventId]) -> Queried<HashMap<i64, u32>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.as_raw()).collect();
    macro_rules! owed_by {
        () => {
            events::table.filter(events::id.eq_any(&ids)).select((events::id, events::deliveries))
        };
    }
    let rows: Vec<(i64, i32)> = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => owed_by!().for_update().load(connection)?,
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => owed_by!().load(connection)?,
    };
    Ok(rows.into_iter().map(|(id, owed)| (id, u32::try_from(owed).unwrap_or_default())).collect())
}
