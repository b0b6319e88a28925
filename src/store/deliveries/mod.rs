//! Deliveries, their attempts, and how far each subscription is behind: for people who look.

pub mod list;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{
    AnyConnection, Queried,
    owing::{COUNTED_UP_TO, Owing, accepted_at, owing, set_aside},
    schema::{attempts, deliveries, events, subscriptions},
    traces::{self, TraceRow, heads_of, trace_from},
    values::{corrupt, count_from, due_from, failure_from, state_from, state_number},
};
use crate::domain::{
    attempt::{Answer, Attempt, Failure, FailureClass, Outcome},
    delivery::{Course, Delivery, State},
    event_type::EventType,
    id::{DeliveryId, EventId, SubscriptionId},
    owner::Scope,
    time::Timestamp,
    trace::Trace,
};

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
    /// How its latest attempt ended; `None` before the first.
    pub latest: Option<Ending>,
}

/// How an attempt ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The endpoint answered with this status.
    Status(u16),
    /// There was no complete answer.
    Failure(FailureClass),
}

impl Ending {
    /// How `attempt` ended; `None` when it was put off.
    #[must_use]
    pub fn of(attempt: &Attempt) -> Option<Self> {
        match &attempt.outcome {
            Outcome::Answered(answer) => Some(Self::Status(answer.status)),
            Outcome::Failed(failure) => Some(Self::Failure(failure.class)),
            Outcome::NotAttempted => None,
        }
    }

    fn from_columns(status: Option<i16>, failure: Option<i16>) -> Queried<Option<Self>> {
        match (status, failure) {
            (Some(status), _) => Ok(Some(Self::Status(u16::try_from(status).unwrap_or_default()))),
            (None, Some(failure)) => failure_from(failure).map(|class| Some(Self::Failure(class))),
            (None, None) => Ok(None),
        }
    }
}

type Row = (DeliveryRow, String, Option<String>, i64);
type DeliveryRow = (i64, i64, i32, i16, i32, i64, Option<i64>, Option<i64>, i32, Option<i64>);

fn delivery_from(row: DeliveryRow) -> Queried<Delivery> {
    let (id, event, subscription, state, attempts, due_at, first, last, uncounted, replayed_at) = row;
    Ok(Delivery {
        id: DeliveryId::from_raw(id),
        event: EventId::from_raw(event),
        subscription: SubscriptionId::from_raw(subscription),
        state: state_from(state)?,
        attempts: count_from(attempts),
        due_at: due_from(due_at),
        course: Course {
            first_recorded_at: first.map(Timestamp::from_micros),
            uncounted: count_from(uncounted),
            replayed_at: replayed_at.map(Timestamp::from_micros),
        },
        recorded_at: last.map(Timestamp::from_micros),
    })
}

/// The columns of [`DeliveryRow`].
const COLUMNS: (
    deliveries::id,
    deliveries::event_id,
    deliveries::subscription_id,
    deliveries::state,
    deliveries::attempts,
    deliveries::due_at,
    deliveries::first_recorded_at,
    deliveries::recorded_at,
    deliveries::uncounted_attempts,
    deliveries::replayed_at,
) = (
    deliveries::id,
    deliveries::event_id,
    deliveries::subscription_id,
    deliveries::state,
    deliveries::attempts,
    deliveries::due_at,
    deliveries::first_recorded_at,
    deliveries::recorded_at,
    deliveries::uncounted_attempts,
    deliveries::replayed_at,
);

/// One delivery with its attempts, the first one first, if `scope` includes it. Three queries.
///
/// # Errors
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, scope: Scope, id: DeliveryId) -> Queried<Option<(Listed, Vec<Attempt>)>> {
    let mut query = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .inner_join(subscriptions::table.on(subscriptions::id.eq(deliveries::subscription_id)))
        .filter(deliveries::id.eq(id.as_raw()))
        .select((COLUMNS, events::event_type, events::ordering_key, events::accepted_at))
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let row: Option<Row> = query.first(connection).optional()?;
    let Some((delivery, event_type, ordering_key, accepted_at)) = row else { return Ok(None) };
    let attempts = attempts_of(connection, SubscriptionId::from_raw(delivery.2), id)?;
    let listed = Listed {
        delivery: delivery_from(delivery)?,
        event_type: event_type_from(&event_type)?,
        ordering_key,
        accepted_at: Timestamp::from_micros(accepted_at),
        latest: attempts.last().and_then(Ending::of),
    };
    Ok(Some((listed, attempts)))
}

fn event_type_from(name: &str) -> Queried<EventType> {
    EventType::parse(name).map_err(|error| corrupt(error.to_string()))
}

/// The columns of an attempt, without its trace.
pub(super) type AttemptRow =
    (i64, i32, i64, i64, Option<i16>, Option<i16>, Option<String>, Option<String>, Option<Vec<u8>>);

/// The columns of [`AttemptRow`].
pub(super) const ATTEMPT_COLUMNS: (
    attempts::delivery_id,
    attempts::number,
    attempts::started_at,
    attempts::duration_us,
    attempts::status,
    attempts::failure,
    attempts::message,
    attempts::content_type,
    attempts::body,
) = (
    attempts::delivery_id,
    attempts::number,
    attempts::started_at,
    attempts::duration_us,
    attempts::status,
    attempts::failure,
    attempts::message,
    attempts::content_type,
    attempts::body,
);

/// All attempts of a delivery to `subscription`, with their traces.
fn attempts_of(connection: &mut AnyConnection, subscription: SubscriptionId, id: DeliveryId) -> Queried<Vec<Attempt>> {
    let rows: Vec<(AttemptRow, TraceRow)> = attempts::table
        .filter(attempts::delivery_id.eq(id.as_raw()))
        .order(attempts::number)
        .select((ATTEMPT_COLUMNS, traces::COLUMNS))
        .load(connection)?;
    let heads = heads_of(connection, subscription, rows.iter().filter_map(|(_, trace)| trace.7).collect())?;
    let traced = |(attempt, trace): (AttemptRow, TraceRow)| {
        Ok(Attempt { trace: trace_from(trace, &heads)?, ..attempt_from(attempt)? })
    };
    rows.into_iter().map(traced).collect()
}

/// An attempt without its trace.
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
        trace: Trace::default(),
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
    Ok(attempts_of(connection, subscription, DeliveryId::from_raw(id))?.pop())
}
