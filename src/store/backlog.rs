//! Pages of what a subscription is owed.
//!
//! Ids are read from the index alone; payloads only for the deliveries that the page brings.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, dsl::exists};

use super::{
    AnyConnection, Queried,
    erase::erasure_of,
    parking,
    schema::{deliveries, events, subscriptions},
    values::{PARKED, corrupt, count_from, due_from, state_number},
};
use crate::domain::{
    delivery::{Course, State},
    event::Event,
    event_type::EventType,
    id::{DeliveryId, EventId, SubscriptionId},
    queue::{Owed, Page, ReadOrder},
    time::Timestamp,
};

/// The most payloads that are read at a time.
const PAYLOADS_PER_QUERY: usize = 50;
/// How many are read at first, when nothing is known of their weight: a query that is answered is in memory as a whole.
const PAYLOADS_AT_FIRST: usize = 8;

/// Reads what `order` asks for: what is due at `now` and what was never attempted, until the payloads together reach
/// `max_bytes` (at least one delivery, so that there is progress).
///
/// # Errors
/// A row that this version cannot read.
pub fn read_page(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    order: &ReadOrder,
    now: Timestamp,
    max_bytes: usize,
) -> Queried<Page> {
    let fresh = fresh_ids(connection, subscription, order)?;
    let Due { ids: due, next: mut next_due } = due(connection, subscription, order, now)?;

    let wanted = in_turns(&fresh.ids, &due.ids);
    let mut owed = owed_by_id(connection, &wanted, max_bytes)?;
    let mut page = Page::default();
    let mut more_fresh = fresh.more;
    for id in fresh.ids {
        match owed.remove(&id) {
            Some(owed) => page.fresh.push(owed),
            None => more_fresh = true,
        }
    }
    let mut left_out = due.more.then_some(now);
    for (id, due_at) in due.ids {
        match owed.remove(&id) {
            Some(owed) => page.due.push(owed),
            None => left_out = left_out.or(due_from(due_at)),
        }
    }
    if left_out.is_some() {
        next_due = left_out;
    }
    page.keys = order.keys.then(|| parking::keys_found(connection, subscription, order.ordering)).transpose()?;
    page.heads = parking::heads(connection, subscription, order)?;
    Ok(Page { more_fresh, next_due, ..page })
}

/// First attempts and retries take turns, or a page of heavy payloads would hold nothing but one kind.
fn in_turns(fresh: &[i64], due: &[(i64, i64)]) -> Vec<i64> {
    let mut wanted = Vec::with_capacity(fresh.len() + due.len());
    for turn in 0..fresh.len().max(due.len()) {
        wanted.extend(fresh.get(turn));
        wanted.extend(due.get(turn).map(|(id, _)| id));
    }
    wanted
}

/// Ids of a page, and whether there are more behind it.
struct Ids<T> {
    ids: Vec<T>,
    more: bool,
}

impl<T> Ids<T> {
    /// Leaves out what is known and what exceeds `limit`.
    fn choose(found: Vec<T>, limit: usize, is_known: impl Fn(&T) -> bool) -> Self {
        let mut unknown = found.into_iter().filter(|found| !is_known(found));
        let ids = unknown.by_ref().take(limit).collect();
        Self { ids, more: unknown.next().is_some() }
    }
}

/// Enough rows to find `limit` unknown ones and one more.
pub(super) fn rows_to_find(limit: usize, order: &ReadOrder) -> i64 {
    i64::try_from(limit + order.known.len() + 1).unwrap_or(i64::MAX)
}

fn fresh_ids(connection: &mut AnyConnection, subscription: SubscriptionId, order: &ReadOrder) -> Queried<Ids<i64>> {
    use deliveries::dsl;
    if order.fresh == 0 {
        return Ok(Ids { ids: Vec::new(), more: false });
    }
    let found: Vec<i64> = dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::state.eq(state_number(State::Pending)))
        .filter(dsl::due_at.eq(0))
        .order(dsl::id)
        .limit(rows_to_find(order.fresh, order))
        .select(dsl::id)
        .load(connection)?;
    Ok(Ids::choose(found, order.fresh, |id| order.known.contains(&DeliveryId::from_raw(*id))))
}

/// What is due, with the times since when.
struct Due {
    ids: Ids<(i64, i64)>,
    /// When the first is due that is not yet; nothing is said of it while there is more than was asked for.
    next: Option<Timestamp>,
}

fn due(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    order: &ReadOrder,
    now: Timestamp,
) -> Queried<Due> {
    use deliveries::dsl;
    let found: Vec<(i64, i64)> = dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::state.eq(state_number(State::Pending)))
        .filter(dsl::due_at.gt(0))
        .filter(dsl::due_at.lt(PARKED))
        .order((dsl::due_at, dsl::id))
        .limit(rows_to_find(order.due, order))
        .select((dsl::id, dsl::due_at))
        .load(connection)?;
    let due = found.iter().take_while(|(_, due_at)| *due_at <= now.as_micros()).count();
    let next = found.get(due).and_then(|(_, due_at)| due_from(*due_at));
    let due = found.into_iter().take(due).collect();
    Ok(Due { ids: Ids::choose(due, order.due, |(id, _)| order.known.contains(&DeliveryId::from_raw(*id))), next })
}

/// Attempts, first recorded, uncounted, replayed.
type CourseRow = (i32, Option<i64>, i32, Option<i64>);
type OwedRow = (i64, CourseRow, i64, String, Option<String>, i64, Vec<u8>);

/// The columns of [`OwedRow`], from deliveries joined with their events.
macro_rules! owed_columns {
    () => {
        (
            deliveries::id,
            (
                deliveries::attempts,
                deliveries::first_recorded_at,
                deliveries::uncounted_attempts,
                deliveries::replayed_at,
            ),
            events::id,
            events::event_type,
            events::ordering_key,
            events::accepted_at,
            events::payload,
        )
    };
}

/// Those of `ids` that are still pending, in this order until their payloads together reach `max_bytes`.
pub(super) fn owed_by_id(connection: &mut AnyConnection, ids: &[i64], max_bytes: usize) -> Queried<HashMap<i64, Owed>> {
    let mut owed = HashMap::with_capacity(ids.len());
    let (mut bytes, mut heaviest) = (0, 1);
    let mut rest = ids;
    while !rest.is_empty() && (bytes < max_bytes || owed.is_empty()) {
        let fitting = if owed.is_empty() { PAYLOADS_AT_FIRST } else { (max_bytes - bytes) / heaviest };
        let (asked, later) = rest.split_at(rest.len().min(fitting.clamp(1, PAYLOADS_PER_QUERY)));
        rest = later;
        let mut rows: HashMap<i64, OwedRow> =
            owed_rows(connection, asked)?.into_iter().map(|row| (row.0, row)).collect();
        for row in asked.iter().filter_map(|id| rows.remove(id)) {
            if bytes >= max_bytes && !owed.is_empty() {
                break;
            }
            bytes += row.6.len();
            heaviest = heaviest.max(row.6.len());
            owed.insert(row.0, owed_from(row)?);
        }
    }
    Ok(owed)
}

/// A delivery that a person wants attempted.
#[derive(Debug)]
pub enum Wanted {
    /// Here it is.
    Found(Owed),
    /// It is erased, or about to be.
    Erased,
    /// There is no such delivery.
    NotFound,
}

/// One delivery of `subscription`, whatever its state. Two queries.
///
/// # Errors
/// A row that this version cannot read.
pub fn read_one(connection: &mut AnyConnection, subscription: SubscriptionId, delivery: DeliveryId) -> Queried<Wanted> {
    let row: Option<OwedRow> = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .filter(deliveries::id.eq(delivery.as_raw()))
        .filter(deliveries::subscription_id.eq(subscription.as_raw()))
        .select(owed_columns!())
        .first(connection)
        .optional()?;
    let Some(row) = row else { return Ok(Wanted::NotFound) };
    // No JSON is empty, so an empty payload is one that was erased.
    let being_erased = erasure_of(connection, subscription)?.is_some_and(|erasure| delivery <= erasure.up_to);
    if being_erased || row.6.is_empty() { Ok(Wanted::Erased) } else { owed_from(row).map(Wanted::Found) }
}

/// The pending deliveries that `$which` names.
macro_rules! load_owed {
    ($connection:expr, $which:expr) => {
        deliveries::table
            .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
            .filter($which)
            .filter(deliveries::state.eq(state_number(State::Pending)))
            .select(owed_columns!())
            .load($connection)
    };
}

/// A single delivery, what a failing endpoint reads again and again, has a statement that is prepared once for each
/// connection.
fn owed_rows(connection: &mut AnyConnection, ids: &[i64]) -> Queried<Vec<OwedRow>> {
    match ids {
        [] => Ok(Vec::new()),
        [id] => load_owed!(connection, deliveries::id.eq(*id)),
        ids => load_owed!(connection, deliveries::id.eq_any(ids)),
    }
}

fn owed_from(row: OwedRow) -> Queried<Owed> {
    let (id, course, event, event_type, ordering_key, accepted_at, payload) = row;
    let (attempts, first_recorded_at, uncounted, replayed_at) = course;
    let event = Event {
        id: EventId::from_raw(event),
        event_type: EventType::parse(&event_type).map_err(|error| corrupt(error.to_string()))?,
        payload: Bytes::from(payload),
        ordering_key,
        accepted_at: Timestamp::from_micros(accepted_at),
    };
    Ok(Owed {
        id: DeliveryId::from_raw(id),
        attempts: count_from(attempts),
        course: Course {
            first_recorded_at: first_recorded_at.map(Timestamp::from_micros),
            uncounted: count_from(uncounted),
            replayed_at: replayed_at.map(Timestamp::from_micros),
        },
        event: Arc::new(event),
    })
}

/// Subscriptions after `after`, in the order of their ids, that are owed something; at most `limit`. One probe of the index
/// for each subscription, however many deliveries there are.
///
/// # Errors
/// None of its own.
pub fn owing_subscriptions(
    connection: &mut AnyConnection,
    after: SubscriptionId,
    limit: i64,
) -> Queried<Vec<SubscriptionId>> {
    let owed = deliveries::table
        .filter(deliveries::subscription_id.eq(subscriptions::id))
        .filter(deliveries::state.eq(state_number(State::Pending)))
        .select(deliveries::id);
    let ids: Vec<i32> = subscriptions::table
        .filter(subscriptions::id.gt(after.as_raw()))
        .filter(exists(owed))
        .order(subscriptions::id)
        .limit(limit)
        .select(subscriptions::id)
        .load(connection)?;
    Ok(ids.into_iter().map(SubscriptionId::from_raw).collect())
}
