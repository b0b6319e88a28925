//! Deliveries that have become too old to be attempted.
//!
//! The queue gives up those whose turn comes. Here are the others, which wait behind a pause, an open breaker, an ordering key
//! or a long backoff. They are found in the index of the queue: what was never attempted as a range of ids; what has a due
//! time by walking over it in pages, so that no statement looks at more than a page.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{AnyConnection, Queried, schema::deliveries, values::state_number};
use crate::domain::{
    delivery::State,
    id::{DeliveryId, SubscriptionId},
    time::Timestamp,
};

/// How far a walk over what a subscription is owed has come; in the order of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    due_at: i64,
    id: i64,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Pending deliveries of events that were accepted long enough ago.
    pub ids: Vec<DeliveryId>,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<Place>,
}

/// Looks at up to `limit` pending deliveries of `subscription` from `place` on, for those accepted before `accepted_before`.
/// Begin with `Place::default()`, and again after those that were found are settled. One or two queries.
///
/// # Errors
/// None of its own.
pub fn find_expired(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    place: Place,
    accepted_before: Timestamp,
    limit: i64,
) -> Queried<Found> {
    use deliveries::dsl;
    let last_old = DeliveryId::before(accepted_before).as_raw();
    let pending = || {
        dsl::deliveries
            .filter(dsl::subscription_id.eq(subscription.as_raw()))
            .filter(dsl::state.eq(state_number(State::Pending)))
            .select((dsl::due_at, dsl::id))
    };
    let mut here = pending().filter(dsl::due_at.eq(place.due_at)).filter(dsl::id.gt(place.id)).into_boxed();
    if place.due_at == 0 {
        here = here.filter(dsl::id.le(last_old));
    }
    let mut rows: Vec<(i64, i64)> = here.order(dsl::id).limit(limit).load(connection)?;
    let left = limit - i64::try_from(rows.len()).unwrap_or(limit);
    if left > 0 {
        let later: Vec<(i64, i64)> = pending()
            .filter(dsl::due_at.gt(place.due_at))
            .order((dsl::due_at, dsl::id))
            .limit(left)
            .load(connection)?;
        rows.extend(later);
    }
    let is_last = i64::try_from(rows.len()).is_ok_and(|rows| rows < limit);
    Ok(Found {
        next: rows.last().filter(|_| !is_last).map(|(due_at, id)| Place { due_at: *due_at, id: *id }),
        ids: rows.into_iter().filter(|(_, id)| *id <= last_old).map(|(_, id)| DeliveryId::from_raw(id)).collect(),
    })
}

/// Settles those of `ids` as expired that are pending and were not replayed at `replayed_before` or later; gives how many. One
/// statement.
///
/// # Errors
/// None of its own.
pub fn expire(
    connection: &mut AnyConnection,
    ids: &[DeliveryId],
    replayed_before: Timestamp,
    now: Timestamp,
) -> Queried<usize> {
    use deliveries::dsl;
    let ids = ids.iter().map(|id| id.as_raw());
    let rows = dsl::deliveries
        .filter(dsl::id.eq_any(ids))
        .filter(dsl::state.eq(state_number(State::Pending)))
        .filter(dsl::replayed_at.is_null().or(dsl::replayed_at.lt(replayed_before.as_micros())));
    diesel::update(rows)
        .set((dsl::state.eq(state_number(State::Expired)), dsl::due_at.eq(0), dsl::recorded_at.eq(now.as_micros())))
        .execute(connection)
}
