//! Deliveries, their attempts, and how far each subscription is behind: for people who look.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    AnyConnection, Queried,
    owing::{COUNTED_UP_TO, Owing, accepted_at, owing, set_aside},
    schema::{attempts, deliveries, events, subscriptions},
    values::{corrupt, count_from, due_from, failure_from, state_from, state_number},
};
use crate::domain::{
    attempt::{Answer, Attempt, Failure, Outcome},
    delivery::{Delivery, State},
    event_type::EventType,
    id::{DeliveryId, EventId, SubscriptionId},
    owner::Scope,
    time::Timestamp,
};

/// Which deliveries to list. The newest come first.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// Of this subscription only.
    pub subscription: Option<SubscriptionId>,
    /// In this state only.
    pub state: Option<State>,
    /// Of events of this type only.
    pub event_type: Option<EventType>,
    /// Older than this one only: the last of the page before.
    pub before: Option<DeliveryId>,
    /// At most so many.
    pub limit: i64,
}

/// A delivery with what a reader wants to know of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The delivery.
    pub delivery: Delivery,
    /// What happened.
    pub event_type: EventType,
    /// The event's ordering key.
    pub ordering_key: Option<String>,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
}

type Row = (DeliveryRow, String, Option<String>, i64);
type DeliveryRow = (i64, i64, i32, i16, i32, i64, Option<i64>, Option<i64>, Option<i64>);

fn listed_from(row: Row) -> Queried<Listed> {
    let (delivery, event_type, ordering_key, accepted_at) = row;
    let (id, event, subscription, state, attempts, due_at, first, last, replayed_at) = delivery;
    let delivery = Delivery {
        id: DeliveryId::from_raw(id),
        event: EventId::from_raw(event),
        subscription: SubscriptionId::from_raw(subscription),
        state: state_from(state)?,
        attempts: count_from(attempts),
        due_at: due_from(due_at),
        first_recorded_at: first.map(Timestamp::from_micros),
        recorded_at: last.map(Timestamp::from_micros),
        replayed_at: replayed_at.map(Timestamp::from_micros),
    };
    Ok(Listed {
        delivery,
        event_type: EventType::parse(&event_type).map_err(|error| corrupt(error.to_string()))?,
        ordering_key,
        accepted_at: Timestamp::from_micros(accepted_at),
    })
}

/// The columns of [`Row`], from deliveries joined with their events and subscriptions.
macro_rules! listed_columns {
    () => {
        (
            (
                deliveries::id,
                deliveries::event_id,
                deliveries::subscription_id,
                deliveries::state,
                deliveries::attempts,
                deliveries::due_at,
                deliveries::first_recorded_at,
                deliveries::recorded_at,
                deliveries::replayed_at,
            ),
            events::event_type,
            events::ordering_key,
            events::accepted_at,
        )
    };
}

/// A page of deliveries, the newest first. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(connection: &mut AnyConnection, filter: &Filter) -> Queried<Vec<Listed>> {
    let mut query = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .inner_join(subscriptions::table.on(subscriptions::id.eq(deliveries::subscription_id)))
        .order(deliveries::id.desc())
        .limit(filter.limit)
        .select(listed_columns!())
        .into_boxed();
    if let Scope::Of(owner) = filter.scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    if let Some(subscription) = filter.subscription {
        query = query.filter(deliveries::subscription_id.eq(subscription.as_raw()));
    }
    if let Some(state) = filter.state {
        query = query.filter(deliveries::state.eq(state_number(state)));
        if state != State::Pending {
            // Always so for a settled delivery; said aloud, it lets the index give the order.
            query = query.filter(deliveries::due_at.eq(0));
        }
    }
    if let Some(event_type) = &filter.event_type {
        query = query.filter(events::event_type.eq(event_type.as_str()));
    }
    if let Some(before) = filter.before {
        query = query.filter(deliveries::id.lt(before.as_raw()));
    }
    let rows: Vec<Row> = query.load(connection)?;
    rows.into_iter().map(listed_from).collect()
}

/// One delivery with its attempts, the first one first, if `scope` includes it. Two queries.
///
/// # Errors
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, scope: Scope, id: DeliveryId) -> Queried<Option<(Listed, Vec<Attempt>)>> {
    let mut query = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .inner_join(subscriptions::table.on(subscriptions::id.eq(deliveries::subscription_id)))
        .filter(deliveries::id.eq(id.as_raw()))
        .select(listed_columns!())
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let row: Option<Row> = query.first(connection).optional()?;
    let Some(listed) = row.map(listed_from).transpose()? else { return Ok(None) };
    Ok(Some((listed, attempts_of(connection, id)?)))
}

/// The columns of an attempt.
pub(super) type AttemptRow =
    (i64, i32, i64, i64, Option<i16>, Option<i16>, Option<String>, Option<String>, Option<Vec<u8>>);

fn attempts_of(connection: &mut AnyConnection, id: DeliveryId) -> Queried<Vec<Attempt>> {
    let rows: Vec<AttemptRow> =
        attempts::table.filter(attempts::delivery_id.eq(id.as_raw())).order(attempts::number).load(connection)?;
    rows.into_iter().map(attempt_from).collect()
}

pub(super) fn attempt_from(row: AttemptRow) -> Queried<Attempt> {
    let (delivery, number, started_at, duration_us, status, failure, message, content_type, body) = row;
    let outcome = match (status, failure) {
        (Some(status), None) => Outcome::Answered(Answer {
            status: u16::try_from(status).unwrap_or_default(),
            retry_after: None,
            content_type,
            body: body.unwrap_or_default().into(),
        }),
        (None, Some(failure)) => {
            Outcome::Failed(Failure { class: failure_from(failure)?, message: message.unwrap_or_default() })
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(corrupt(format!("attempt {number} of delivery {delivery} is neither answered nor failed")));
        }
    };
    Ok(Attempt {
        delivery: DeliveryId::from_raw(delivery),
        number: count_from(number),
        started_at: Timestamp::from_micros(started_at),
        duration: std::time::Duration::from_micros(u64::try_from(duration_us).unwrap_or_default()),
        outcome,
    })
}

/// How far a subscription is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many deliveries it is owed, counted up to [`COUNTED_UP_TO`].
    pub owed: u64,
    /// Whether there are no more than were counted.
    pub is_exact: bool,
    /// How many more are set aside, counted up to the same.
    pub set_aside: u64,
    /// The oldest of them, and when its event was accepted.
    pub oldest: Option<(DeliveryId, Timestamp)>,
    /// The newest attempt that is recorded.
    pub last_attempt: Option<Attempt>,
}

/// How far `subscription` is behind. A few queries of the index, each of a bounded part.
///
/// # Errors
/// A row that this version cannot read.
pub fn backlog(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<Backlog> {
    let Owing { owed, is_exact, oldest } = owing(connection, subscription, COUNTED_UP_TO)?;
    let accepted_at = oldest.map(|id| accepted_at(connection, id)).transpose()?.flatten();
    Ok(Backlog {
        owed: owed as u64,
        is_exact,
        set_aside: set_aside(connection, subscription, COUNTED_UP_TO)? as u64,
        oldest: oldest.zip(accepted_at),
        last_attempt: last_attempt(connection, subscription)?,
    })
}

/// The newest recorded attempt among the newest delivery of each state: found by the index, and wrong only while an older
/// delivery of the same state was attempted later.
fn last_attempt(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<Option<Attempt>> {
    use deliveries::dsl;
    let mut newest: Option<(i64, i64)> = None;
    for state in State::ALL {
        let candidate: Option<(i64, Option<i64>)> = dsl::deliveries
            .filter(dsl::subscription_id.eq(subscription.as_raw()))
            .filter(dsl::state.eq(state_number(state)))
            .order((dsl::due_at.desc(), dsl::id.desc()))
            .select((dsl::id, dsl::recorded_at))
            .first(connection)
            .optional()?;
        let candidate = candidate.and_then(|(id, recorded_at)| recorded_at.map(|at| (at, id)));
        newest = newest.max(candidate);
    }
    let Some((_, id)) = newest else { return Ok(None) };
    Ok(attempts_of(connection, DeliveryId::from_raw(id))?.pop())
}
