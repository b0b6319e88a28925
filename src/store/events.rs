//! Events for people who look: lists, one with its payload, and whom it might have reached.

use bytes::Bytes;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};

use super::{
    AnyConnection, Queried,
    keyring::Keyring,
    schema::{deliveries, events, idempotency_keys, subscriptions},
    subscriptions::row::Row as SubscriptionRow,
    values::corrupt,
};
use crate::domain::{
    event_type::EventType,
    id::{EventId, OwnerId},
    owner::Scope,
    subscription::Subscription,
    time::Timestamp,
};

/// Events looked at with one query.
const CHUNK: i64 = 500;
/// Events looked at for one page, about.
const BOUND: i64 = 5_000;

/// Which events: those to which all of this applies. The newest come first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Published by this owner only.
    pub publisher: Option<OwnerId>,
    /// Of this type only.
    pub event_type: Option<EventType>,
    /// With this ordering key only.
    pub ordering_key: Option<String>,
    /// Accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Accepted before this instant.
    pub to: Option<Timestamp>,
    /// Older than this one only: where the page before ended.
    pub before: Option<EventId>,
    /// At most so many.
    pub limit: usize,
}

/// An event without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The event.
    pub id: EventId,
    /// Who published it.
    pub publisher: OwnerId,
    /// What happened.
    pub event_type: EventType,
    /// What may not overtake what.
    pub ordering_key: Option<String>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// How many deliveries it owed.
    pub deliveries: u32,
}

/// An event with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What lists show of it.
    pub listed: Listed,
    /// In the publisher's own bytes; empty once it was erased.
    pub payload: Bytes,
    /// When it was erased.
    pub payload_erased_at: Option<Timestamp>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub found: Vec<Listed>,
    /// Where the next part begins, as its [`Filter::before`]; `None` after the last one.
    pub next: Option<EventId>,
}

type Row = (i64, i32, String, Option<String>, i64, i32);

/// The columns of [`Row`]: those before the payload, behind which SQLite finds a column only by reading through it.
const COLUMNS: (
    events::id,
    events::publisher_id,
    events::event_type,
    events::ordering_key,
    events::accepted_at,
    events::deliveries,
) = (
    events::id,
    events::publisher_id,
    events::event_type,
    events::ordering_key,
    events::accepted_at,
    events::deliveries,
);

fn listed_from(row: Row) -> Queried<Listed> {
    let (id, publisher, event_type, ordering_key, accepted_at, deliveries) = row;
    Ok(Listed {
        id: EventId::from_raw(id),
        publisher: OwnerId::from_raw(publisher),
        event_type: EventType::parse(&event_type).map_err(|error| corrupt(error.to_string()))?,
        ordering_key,
        accepted_at: Timestamp::from_micros(accepted_at),
        deliveries: u32::try_from(deliveries).unwrap_or_default(),
    })
}

impl Filter {
    /// The ids from `.0` to below `.1` in which everything lies that is meant. In a burst ids run ahead of the time.
    fn bounds(&self) -> (i64, i64) {
        const AHEAD: std::time::Duration = std::time::Duration::from_secs(10);
        let low = self.from.map_or(0, |from| EventId::before(from).as_raw().saturating_add(1));
        let high = self.to.map_or(i64::MAX, |to| EventId::before(to.after(AHEAD)).as_raw().saturating_add(1));
        (low, high.min(self.before.map_or(i64::MAX, EventId::as_raw)))
    }

    fn means(&self, event: &Listed) -> bool {
        self.publisher.is_none_or(|publisher| publisher == event.publisher)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == event.event_type)
            && self.ordering_key.as_ref().is_none_or(|key| event.ordering_key.as_ref() == Some(key))
            && self.from.is_none_or(|from| from <= event.accepted_at)
            && self.to.is_none_or(|to| event.accepted_at < to)
    }
}

/// A page of events, the newest first: what a walk along the primary key finds, which has a bound. A page may be short, or
/// empty, and not the last.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(connection: &mut AnyConnection, filter: &Filter) -> Queried<Page> {
    let (low, mut high) = filter.bounds();
    let mut found: Vec<Listed> = Vec::new();
    let mut looked_at = 0;
    loop {
        let rows: Vec<Row> = events::table
            .filter(events::id.ge(low))
            .filter(events::id.lt(high))
            .order(events::id.desc())
            .limit(CHUNK)
            .select(COLUMNS)
            .load(connection)?;
        let below =
            rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count == CHUNK)).map(|row| row.0);
        for row in rows {
            let listed = listed_from(row)?;
            if filter.means(&listed) {
                found.push(listed);
            }
            if found.len() == filter.limit {
                let next = found.last().map(|last| last.id);
                return Ok(Page { found, next });
            }
        }
        let Some(below) = below else { return Ok(Page { found, next: None }) };
        (high, looked_at) = (below, looked_at + CHUNK);
        if looked_at >= BOUND {
            return Ok(Page { found, next: Some(EventId::from_raw(high)) });
        }
    }
}

/// One event with its payload. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, id: EventId) -> Queried<Option<Whole>> {
    let row: Option<(Row, Vec<u8>, Option<i64>)> = events::table
        .filter(events::id.eq(id.as_raw()))
        .select((COLUMNS, events::payload, events::payload_erased_at))
        .first(connection)
        .optional()?;
    let whole = |(row, payload, erased_at): (Row, Vec<u8>, Option<i64>)| {
        let payload_erased_at = erased_at.map(Timestamp::from_micros);
        Ok(Whole { listed: listed_from(row)?, payload: payload.into(), payload_erased_at })
    };
    row.map(whole).transpose()
}

/// The event that `publisher` published under an idempotency key which is remembered at `now`. One query.
///
/// # Errors
/// None of its own.
pub fn find_by_key(
    connection: &mut AnyConnection,
    publisher: OwnerId,
    key: &str,
    now: Timestamp,
) -> Queried<Option<EventId>> {
    use idempotency_keys::dsl;
    let id: Option<i64> = dsl::idempotency_keys
        .filter(dsl::publisher_id.eq(publisher.as_raw()))
        .filter(dsl::publisher_key.eq(key.as_bytes()))
        .filter(dsl::expires_at.gt(now.as_micros()))
        .select(dsl::event_id)
        .first(connection)
        .optional()?;
    Ok(id.map(EventId::from_raw))
}

/// The subscriptions in `scope` that are for the type of `event` now and have no delivery of it, the first `limit` by their
/// ids. A query of the event's deliveries and one of the subscriptions, in pages.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn missed_by(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    event: &Listed,
    limit: usize,
) -> Queried<Vec<Subscription>> {
    let range = event.id.owed_ids(event.deliveries);
    let reached: std::collections::HashSet<i32> = deliveries::table
        .filter(deliveries::id.between(range.start().as_raw(), range.end().as_raw()))
        .filter(deliveries::event_id.eq(event.id.as_raw()))
        .select(deliveries::subscription_id)
        .load(connection)?
        .into_iter()
        .collect();
    let mut missed = Vec::new();
    let mut after = 0;
    loop {
        let mut query = subscriptions::table
            .filter(subscriptions::id.gt(after))
            .filter(subscriptions::event_type.eq(event.event_type.as_str()))
            .order(subscriptions::id)
            .limit(CHUNK)
            .select(SubscriptionRow::as_select())
            .into_boxed();
        if let Scope::Of(owner) = scope {
            query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
        }
        let rows: Vec<SubscriptionRow> = query.load(connection)?;
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < CHUNK);
        for row in rows {
            after = row.id();
            if missed.len() < limit && !reached.contains(&after) {
                missed.push(row.into_subscription(keys)?);
            }
        }
        if is_last || missed.len() == limit {
            return Ok(missed);
        }
    }
}
