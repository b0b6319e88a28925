//! Who is owed something since when, for those who watch over all subscriptions.
//!
//! Every query reads a bounded part of the index, however much is owed.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    AnyConnection, Queried,
    schema::{deliveries, events, subscriptions},
    values::state_number,
};
use crate::domain::{
    delivery::State,
    id::{DeliveryId, SubscriptionId},
    time::Timestamp,
};

/// Up to here the deliveries of a subscription are counted exactly.
pub const COUNTED_UP_TO: usize = 10_000;
/// How many of those that are due last are looked at, when there are more than are counted.
const LAST: i64 = 1_000;

/// A subscription as the watch sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub id: SubscriptionId,
    /// Whether events are matched for it.
    pub is_active: bool,
    /// Whether somebody paused it.
    pub is_held: bool,
    /// One of the oldest deliveries that it is owed; `None` when it is owed nothing. The oldest of all may be older while it
    /// waits for a retry.
    pub old: Option<DeliveryId>,
}

/// The subscriptions after `after`, in the order of their ids, at most `limit`. One query: two probes of the index for each.
///
/// # Errors
/// None of its own.
pub fn watch(
    connection: &mut AnyConnection,
    after: SubscriptionId,
    now: Timestamp,
    limit: i64,
) -> Queried<Vec<Watched>> {
    type Row = (i32, bool, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
    // Without a bound on `due_at`: so both ends are found by the first two columns alone.
    macro_rules! first_by {
        ($order:expr) => {
            deliveries::table
                .filter(deliveries::subscription_id.eq(subscriptions::id))
                .filter(deliveries::state.eq(state_number(State::Pending)))
                .order($order)
                .select(deliveries::id)
                .limit(1)
                .single_value()
        };
    }
    let rows: Vec<Row> = subscriptions::table
        .filter(subscriptions::id.gt(after.as_raw()))
        .order(subscriptions::id)
        .limit(limit)
        .select((
            subscriptions::id,
            subscriptions::is_active,
            subscriptions::held_since,
            subscriptions::held_until,
            first_by!((deliveries::due_at, deliveries::id)),
            first_by!((deliveries::due_at.desc(), deliveries::id.desc())),
        ))
        .load(connection)?;
    let watched = |(id, is_active, held_since, held_until, first, last): Row| Watched {
        id: SubscriptionId::from_raw(id),
        is_active,
        is_held: held_since.is_some() && held_until.is_none_or(|until| now.as_micros() < until),
        old: first.into_iter().chain(last).min().map(DeliveryId::from_raw),
    };
    Ok(rows.into_iter().map(watched).collect())
}

/// What one subscription is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owing {
    /// How many deliveries; exact when [`Owing::is_exact`], else there are more.
    pub owed: usize,
    /// Whether all were counted.
    pub is_exact: bool,
    /// The oldest of them. When not all were counted, the oldest of those that are due first or last, which it nearly always
    /// is: waits grow with age.
    pub oldest: Option<DeliveryId>,
}

/// What `subscription` is owed, counted up to `most`. One or two queries of the index.
///
/// # Errors
/// None of its own.
pub fn owing(connection: &mut AnyConnection, subscription: SubscriptionId, most: usize) -> Queried<Owing> {
    use deliveries::dsl;
    let pending = || {
        dsl::deliveries
            .filter(dsl::subscription_id.eq(subscription.as_raw()))
            .filter(dsl::state.eq(state_number(State::Pending)))
            .select(dsl::id)
    };
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let first: Vec<i64> = pending().order((dsl::due_at, dsl::id)).limit(limit).load(connection)?;
    let is_exact = first.len() <= most;
    let last: Vec<i64> = if is_exact {
        Vec::new()
    } else {
        pending().order((dsl::due_at.desc(), dsl::id.desc())).limit(LAST).load(connection)?
    };
    Ok(Owing {
        owed: first.len().min(most),
        is_exact,
        oldest: first.into_iter().chain(last).min().map(DeliveryId::from_raw),
    })
}

/// How many deliveries of `subscription` are set aside, counted up to `most`. One query of the index.
///
/// # Errors
/// None of its own.
pub(super) fn set_aside(connection: &mut AnyConnection, subscription: SubscriptionId, most: usize) -> Queried<usize> {
    use deliveries::dsl;
    let found: Vec<i64> = dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::state.eq(state_number(State::SetAside)))
        .select(dsl::id)
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .load(connection)?;
    Ok(found.len())
}

/// When the event of a delivery was accepted; `None` when it is gone.
///
/// # Errors
/// None of its own.
pub(super) fn accepted_at(connection: &mut AnyConnection, delivery: DeliveryId) -> Queried<Option<Timestamp>> {
    let found: Option<i64> = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .filter(deliveries::id.eq(delivery.as_raw()))
        .select(events::accepted_at)
        .first(connection)
        .optional()?;
    Ok(found.map(Timestamp::from_micros))
}
