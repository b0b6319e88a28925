//! All deliveries of somebody that were attempted at least once, each with its latest attempt.

use std::collections::HashMap;

use bytes::Bytes;
use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, dsl::count_star};

use super::{Direction, List, Skip, in_order, lower, skipping, then_by};
use crate::{
    domain::{
        attempt::Attempt,
        delivery::State,
        event_type::EventType,
        id::{DeliveryId, SubscriptionId},
        owner::Scope,
        subscription::Subscription,
        time::Timestamp,
    },
    store::{
        AnyConnection, Keyring, Queried,
        connection::MAX_PLACES,
        deliveries::{ATTEMPT_COLUMNS, AttemptRow, attempt_from},
        schema::{attempts, deliveries, events, subscriptions},
        subscriptions::of_ids,
        values::{corrupt, payload_from, state_from, state_number},
    },
};

/// A delivery that was attempted.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempted {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it stands.
    pub state: State,
    /// To whom.
    pub subscription: Subscription,
    /// What happened.
    pub event_type: EventType,
    /// To what, in the publisher's own bytes; `null` once they are erased.
    pub payload: Bytes,
    /// When its first attempt was recorded.
    pub first_recorded_at: Timestamp,
    /// When its latest attempt was recorded, or it was settled without one.
    pub recorded_at: Timestamp,
    /// The latest attempt; its number is how many there were.
    pub latest: Attempt,
    /// When each attempt was started, the latest one first.
    pub started_at: Vec<Timestamp>,
}

/// What attempted deliveries can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// When the first attempt was recorded.
    FirstRecordedAt,
    /// When the latest attempt was recorded.
    RecordedAt,
    /// The subscription.
    Subscription,
    /// The status of the latest answer, as in [`Filter::status`].
    Status,
    /// How long the latest attempt took.
    Duration,
    /// Those that did not arrive before those that did.
    Delivered,
    /// How many attempts there were.
    Attempts,
    /// When the latest attempt was started.
    StartedAt,
    /// The body of the latest answer.
    Body,
}

/// How an instant is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the bound.
    At,
    /// It lies behind it.
    After,
    /// It lies behind it or is it.
    From,
    /// It lies before it.
    Before,
    /// It lies before it or is it.
    UpTo,
}

/// Which attempted deliveries, in which order.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// This one only.
    pub delivery: Option<DeliveryId>,
    /// To this subscription.
    pub subscription: Option<SubscriptionId>,
    /// To subscriptions of this event type, in lower or upper case.
    pub event_type: Option<String>,
    /// Whose latest answer had this status; an attempt without an answer counts as [`UNANSWERED_STATUS`].
    pub status: Option<i16>,
    /// That arrived, or did not.
    pub delivered: Option<bool>,
    /// Whose first attempt was recorded then.
    pub first_recorded: Vec<(Comparison, Timestamp)>,
    /// The order; what it leaves open is in the order of the ids.
    pub order: Vec<(Key, Direction)>,
}

/// The status of attempts that were not answered, in filters and orders.
pub const UNANSWERED_STATUS: i16 = 500;

/// Deliveries with their subscription and latest attempt.
macro_rules! joined {
    () => {
        deliveries::table
            .inner_join(subscriptions::table.on(subscriptions::id.eq(deliveries::subscription_id)))
            .inner_join(
                attempts::table
                    .on(attempts::delivery_id.eq(deliveries::id).and(attempts::number.eq(deliveries::attempts))),
            )
    };
}

/// A boxed query with the filters of a [`Filter`].
macro_rules! filtered {
    ($list:expr, $selection:expr) => {{
        let mut query = joined!().filter(deliveries::first_recorded_at.is_not_null()).select($selection).into_boxed();
        if let Scope::Of(owner) = $list.scope {
            query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
        }
        if let Some(delivery) = $list.delivery {
            query = query.filter(deliveries::id.eq(delivery.as_raw()));
        }
        if let Some(subscription) = $list.subscription {
            query = query.filter(deliveries::subscription_id.eq(subscription.as_raw()));
        }
        if let Some(event_type) = &$list.event_type {
            query = query.filter(lower(subscriptions::event_type).eq(lower(event_type)));
        }
        if let Some(status) = $list.status {
            query = match status {
                UNANSWERED_STATUS => query.filter(attempts::status.is_null().or(attempts::status.eq(status))),
                _ => query.filter(attempts::status.eq(status)),
            };
        }
        if let Some(delivered) = $list.delivered {
            let arrived = state_number(State::Delivered);
            query = if delivered {
                query.filter(deliveries::state.eq(arrived))
            } else {
                query.filter(deliveries::state.ne(arrived))
            };
        }
        for (comparison, bound) in &$list.first_recorded {
            let (recorded_at, bound) = (deliveries::first_recorded_at, bound.as_micros());
            query = match comparison {
                Comparison::At => query.filter(recorded_at.eq(bound)),
                Comparison::After => query.filter(recorded_at.gt(bound)),
                Comparison::From => query.filter(recorded_at.ge(bound)),
                Comparison::Before => query.filter(recorded_at.lt(bound)),
                Comparison::UpTo => query.filter(recorded_at.le(bound)),
            };
        }
        query
    }};
}

impl List for Filter {
    type Row = Attempted;

    fn by_id(&self) -> Option<Direction> {
        match self.order.first() {
            None => Some(Direction::Ascending),
            Some((Key::Id, direction)) => Some(*direction),
            Some(_) => None,
        }
    }

    fn count(&self, connection: &mut AnyConnection) -> Queried<i64> {
        filtered!(self, count_star()).first(connection)
    }

    fn ids(&self, connection: &mut AnyConnection, skip: Skip, limit: i64) -> Queried<Vec<i64>> {
        let query = filtered!(self, deliveries::id).limit(limit);
        let mut query = skipping!(query, skip, self.by_id(), deliveries::id, i64);
        for (key, direction) in &self.order {
            query = match key {
                Key::Id => then_by!(query, direction, deliveries::id),
                Key::FirstRecordedAt => then_by!(query, direction, deliveries::first_recorded_at),
                Key::RecordedAt => then_by!(query, direction, deliveries::recorded_at),
                Key::Subscription => then_by!(query, direction, deliveries::subscription_id),
                Key::Status => then_by!(query, direction, coalesce(attempts::status, UNANSWERED_STATUS)),
                Key::Duration => then_by!(query, direction, attempts::duration_us),
                Key::Delivered => then_by!(query, direction, deliveries::state.eq(state_number(State::Delivered))),
                Key::Attempts => then_by!(query, direction, deliveries::attempts),
                Key::StartedAt => then_by!(query, direction, attempts::started_at),
                Key::Body => then_by!(query, direction, attempts::body),
            };
        }
        query.then_order_by(deliveries::id).load(connection)
    }

    fn rows(&self, connection: &mut AnyConnection, keys: &Keyring, ids: &[i64]) -> Queried<Vec<Attempted>> {
        let rows: Vec<Row> = joined!()
            .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
            .filter(deliveries::id.eq_any(ids))
            .filter(deliveries::first_recorded_at.is_not_null())
            .select((
                (deliveries::id, deliveries::state, deliveries::subscription_id),
                (deliveries::first_recorded_at, deliveries::recorded_at),
                (events::event_type, events::payload),
                ATTEMPT_COLUMNS,
            ))
            .load(connection)?;
        let mut to: Vec<_> = rows.iter().map(|row| SubscriptionId::from_raw(row.0.2)).collect();
        to.sort_unstable();
        to.dedup();
        let subscriptions: HashMap<_, _> =
            of_ids(connection, keys, &to)?.into_iter().map(|subscription| (subscription.id, subscription)).collect();
        let mut starts = starts(connection, ids)?;
        let rows = rows
            .into_iter()
            .map(|row| {
                let starts = starts.remove(&row.0.0).unwrap_or_default();
                attempted_from(row, &subscriptions, starts)
            })
            .collect::<Queried<Vec<_>>>()?;
        Ok(in_order(ids, rows, |attempted| attempted.id.as_raw()))
    }
}

diesel::define_sql_function! {
    /// The first that is not null.
    fn coalesce(value: diesel::sql_types::Nullable<diesel::sql_types::SmallInt>, otherwise: diesel::sql_types::SmallInt) -> diesel::sql_types::SmallInt;
}

type Row = ((i64, i16, i32), (Option<i64>, Option<i64>), (String, Vec<u8>), AttemptRow);

fn attempted_from(
    row: Row,
    subscriptions: &HashMap<SubscriptionId, Subscription>,
    mut starts: Vec<(i32, i64)>,
) -> Queried<Attempted> {
    let ((id, state, subscription), (first_recorded_at, recorded_at), (event_type, payload), attempt) = row;
    let subscription = SubscriptionId::from_raw(subscription);
    let number = attempt.1;
    // Attempts that were recorded after the row was read come with the next reading.
    starts.retain(|(of, _)| *of <= number);
    starts.sort_unstable_by_key(|(of, _)| std::cmp::Reverse(*of));
    Ok(Attempted {
        id: DeliveryId::from_raw(id),
        state: state_from(state)?,
        subscription: subscriptions
            .get(&subscription)
            .cloned()
            .ok_or_else(|| corrupt(format!("delivery {id} belongs to subscription {subscription}, which is gone")))?,
        event_type: EventType::parse(&event_type).map_err(|error| corrupt(error.to_string()))?,
        payload: payload_from(payload),
        first_recorded_at: Timestamp::from_micros(first_recorded_at.unwrap_or_default()),
        recorded_at: Timestamp::from_micros(recorded_at.or(first_recorded_at).unwrap_or_default()),
        latest: attempt_from(attempt)?,
        started_at: starts.into_iter().map(|(_, at)| Timestamp::from_micros(at)).collect(),
    })
}

/// Number and start of every attempt, by delivery.
fn starts(connection: &mut AnyConnection, ids: &[i64]) -> Queried<HashMap<i64, Vec<(i32, i64)>>> {
    let mut starts: HashMap<i64, Vec<(i32, i64)>> = HashMap::new();
    for ids in ids.chunks(MAX_PLACES) {
        let rows: Vec<(i64, i32, i64)> = attempts::table
            .filter(attempts::delivery_id.eq_any(ids))
            .select((attempts::delivery_id, attempts::number, attempts::started_at))
            .load(connection)?;
        for (id, number, at) in rows {
            starts.entry(id).or_default().push((number, at));
        }
    }
    Ok(starts)
}
