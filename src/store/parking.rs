//! Deliveries that wait behind their ordering key, out of the way of other keys.
//!
//! A parked delivery is pending, and its `due_at` says behind which key (see [`PARKED`]), so that the index of the queue
//! finds the parked deliveries of one key together.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Integer, Nullable, SmallInt, Text},
};

use super::{
    AnyConnection, Queried,
    backlog::{owed_by_id, rows_to_find},
    connection::on_each,
    schema::deliveries,
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
                move_rows(connection, ids, parked_column(*key), i64::MIN)?;
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
        move_rows(connection, &parked, 0, PARKED)?;
        Ok(parked.len())
    })
}

/// Those that are due at `from` or later. To be parked, they may be anywhere: also what is due for a retry has to make way for
/// the one that holds its key.
fn move_rows(connection: &mut AnyConnection, ids: &[i64], to: i64, from: i64) -> Queried<()> {
    use deliveries::dsl;
    let is_meant = dsl::state.eq(state_number(State::Pending)).and(dsl::due_at.ge(from));
    diesel::update(dsl::deliveries.filter(dsl::id.eq_any(ids).and(is_meant)))
        .set(dsl::due_at.eq(to))
        .execute(connection)
        .map(drop)
}

/// What waits at a time or behind a key: `due_at` says which.
#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = BigInt)]
    due_at: i64,
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<Text>)]
    ordering_key: Option<String>,
}

/// The first parked delivery of each key.
macro_rules! first_parked {
    () => {
        "SELECT due_at, MIN(id) AS id, NULL AS ordering_key FROM deliveries \
         WHERE subscription_id = ? AND state = ? AND due_at >= ? GROUP BY due_at"
    };
}

/// These, and each delivery that waits for a retry. One statement: an engine that was killed, or a connection that was lost,
/// may have left a write behind that parks one while this is read, and of two statements both could miss it.
const HELD: &str = concat!(
    first_parked!(),
    " UNION ALL \
     SELECT deliveries.due_at, deliveries.id, events.ordering_key FROM deliveries \
     INNER JOIN events ON events.id = deliveries.event_id \
     WHERE deliveries.subscription_id = ? AND deliveries.state = ? AND deliveries.due_at > 0 AND deliveries.due_at < ?"
);

/// Which keys are taken by deliveries that wait for a retry, and which have parked deliveries.
pub(super) fn keys_found(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    ordering: Ordering,
) -> Queried<KeysFound> {
    let (to, pending) = (subscription.as_raw(), state_number(State::Pending));
    macro_rules! load {
        ($query:expr) => {{
            let query = $query.bind::<Integer, _>(to).bind::<SmallInt, _>(pending).bind::<BigInt, _>(PARKED);
            on_each!(connection, connection => query.load(connection))?
        }};
    }
    let rows: Vec<Held> = match ordering {
        // However many retries wait: they take no keys.
        Ordering::None => load!(sql_query(first_parked!())),
        Ordering::Key | Ordering::Subscription => {
            let parked = sql_query(HELD).bind::<Integer, _>(to).bind::<SmallInt, _>(pending);
            load!(parked.bind::<BigInt, _>(PARKED))
        }
    };
    let mut found = KeysFound::default();
    for Held { due_at, id, ordering_key } in rows {
        let id = DeliveryId::from_raw(id);
        match parked_behind(due_at) {
            Some(key) => found.parked.push((key, id)),
            None => found.waiting.extend(ordering.key(ordering_key.as_deref()).map(|key| (key, id))),
        }
    }
    Ok(found)
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
