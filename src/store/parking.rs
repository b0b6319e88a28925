//! Deliveries that wait behind their ordering key, out of the way of other keys.
//!
//! A parked delivery is pending, and its `due_at` says behind which key (see [`PARKED`]), so that the index of the queue
//! finds the parked deliveries of one key together.

use std::collections::HashMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, dsl::min};

use super::{
    AnyConnection, Queried,
    backlog::{owed_by_id, rows_to_find},
    schema::{deliveries, events},
    transaction::in_transaction,
    values::{PARKED, parked_behind, parked_column, state_number},
};
use crate::domain::{
    delivery::State,
    id::{DeliveryId, SubscriptionId},
    ordering::{KeyHash, Ordering},
    queue::{Head, KeysFound, ReadOrder},
};

/// Parked deliveries of one key that are read at once.
const HEAD: usize = 16;
/// The most bytes of payload that are read for one key.
const HEAD_BYTES: usize = 256 * 1024;
const ROWS_PER_STATEMENT: usize = 500;

/// Parks deliveries behind their keys. One transaction; running it twice changes nothing.
///
/// # Errors
/// None of its own.
pub fn park(connection: &mut AnyConnection, to_park: &[(DeliveryId, KeyHash)]) -> Queried<()> {
    let mut by_key: HashMap<KeyHash, Vec<i64>> = HashMap::new();
    for (id, key) in to_park {
        by_key.entry(*key).or_default().push(id.as_raw());
    }
    in_transaction(connection, |connection| {
        for (key, ids) in &by_key {
            for ids in ids.chunks(ROWS_PER_STATEMENT) {
                move_rows(connection, ids, parked_column(*key))?;
            }
        }
        Ok(())
    })
}

/// Puts parked deliveries of `subscription` back among those that were never attempted, because their order does not matter
/// any more; at most `limit`, gives how many. One transaction. Call it until it gives less than `limit`.
///
/// # Errors
/// None of its own.
pub fn unpark(connection: &mut AnyConnection, subscription: SubscriptionId, limit: i64) -> Queried<usize> {
    use deliveries::dsl;
    in_transaction(connection, |connection| {
        let parked: Vec<i64> = dsl::deliveries
            .filter(dsl::subscription_id.eq(subscription.as_raw()))
            .filter(dsl::state.eq(state_number(State::Pending)))
            .filter(dsl::due_at.ge(PARKED))
            .limit(limit)
            .select(dsl::id)
            .load(connection)?;
        move_rows(connection, &parked, 0)?;
        Ok(parked.len())
    })
}

/// Wherever they were: also what is due for a retry has to make way for the one that holds its key.
fn move_rows(connection: &mut AnyConnection, ids: &[i64], to: i64) -> Queried<()> {
    use deliveries::dsl;
    let is_owed = dsl::state.eq(state_number(State::Pending));
    diesel::update(dsl::deliveries.filter(dsl::id.eq_any(ids).and(is_owed)))
        .set(dsl::due_at.eq(to))
        .execute(connection)
        .map(drop)
}

/// Which keys are taken by deliveries that wait for a retry, and which have parked deliveries.
pub(super) fn keys_found(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    ordering: Ordering,
) -> Queried<KeysFound> {
    use deliveries::dsl;
    let parked: Vec<(i64, Option<i64>)> = dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::state.eq(state_number(State::Pending)))
        .filter(dsl::due_at.ge(PARKED))
        .group_by(dsl::due_at)
        .select((dsl::due_at, min(dsl::id)))
        .load(connection)?;
    let lowest = |(due_at, id): (i64, Option<i64>)| Some((parked_behind(due_at)?, DeliveryId::from_raw(id?)));
    Ok(KeysFound {
        waiting: waiting(connection, subscription, ordering)?,
        parked: parked.into_iter().filter_map(lowest).collect(),
    })
}

fn waiting(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    ordering: Ordering,
) -> Queried<Vec<(KeyHash, DeliveryId)>> {
    if ordering == Ordering::None {
        return Ok(Vec::new());
    }
    let rows: Vec<(i64, Option<String>)> = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .filter(deliveries::subscription_id.eq(subscription.as_raw()))
        .filter(deliveries::state.eq(state_number(State::Pending)))
        .filter(deliveries::due_at.gt(0))
        .filter(deliveries::due_at.lt(PARKED))
        .order(deliveries::id)
        .select((deliveries::id, events::ordering_key))
        .load(connection)?;
    let keyed = rows.into_iter().map(|(id, key)| (ordering.key(key.as_deref()), DeliveryId::from_raw(id)));
    Ok(keyed.filter_map(|(key, id)| Some((key?, id))).collect())
}

/// The first parked deliveries of each key that `order` asks for.
pub(super) fn heads(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    order: &ReadOrder,
) -> Queried<Vec<Head>> {
    order.heads.iter().map(|key| head(connection, subscription, order, *key)).collect()
}

fn head(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    order: &ReadOrder,
    key: KeyHash,
) -> Queried<Head> {
    use deliveries::dsl;
    let found: Vec<i64> = dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::state.eq(state_number(State::Pending)))
        .filter(dsl::due_at.eq(parked_column(key)))
        .order(dsl::id)
        .limit(rows_to_find(HEAD, order))
        .select(dsl::id)
        .load(connection)?;
    let unknown: Vec<i64> = found.into_iter().filter(|id| !order.known.contains(&DeliveryId::from_raw(*id))).collect();
    let first = &unknown[..unknown.len().min(HEAD)];
    let mut by_id = owed_by_id(connection, first, HEAD_BYTES)?;
    let owed: Vec<_> = first.iter().map_while(|id| by_id.remove(id)).collect();
    Ok(Head { key, more: owed.len() < unknown.len(), owed })
}
