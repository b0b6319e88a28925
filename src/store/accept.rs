//! *accept*: the first of the two writes on an event's way.

use std::{collections::HashMap, sync::Arc};

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl, insert_into,
    sql_types::{BigInt, Integer, SmallInt},
};

use super::{
    AnyConnection, Queried,
    connection::insert_rows,
    schema::{deliveries, events, idempotency_keys},
    transaction::in_transaction,
    values::state_number,
    zero::Zero,
};
use crate::domain::{
    delivery::State,
    event::Event,
    id::{DeliveryId, EventId, OwnerId, SubscriptionId},
    time::Timestamp,
};

/// Rows in one statement: far below both databases' bounds on placeholders.
const ROWS_PER_INSERT: usize = 500;
/// Payload bytes in one statement: below MariaDB's smallest usual `max_allowed_packet` of 16 MiB.
const BYTES_PER_INSERT: usize = 4 * 1024 * 1024;

/// An event with all that it owes.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The event.
    pub event: Arc<Event>,
    /// Who published it.
    pub publisher: OwnerId,
    /// A delivery for each subscription that matched.
    pub deliveries: Vec<(DeliveryId, SubscriptionId)>,
    /// Under which key of its publisher.
    pub key: Option<IdempotencyKey>,
}

/// The publisher's own name for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The name.
    pub key: String,
    /// SHA-256 of what was published under it.
    pub digest: [u8; 32],
    /// Until when the name is remembered.
    pub expires_at: Timestamp,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored, with everything that it owes.
    Stored,
    /// The same was published under the same key before; this is the first answer.
    Repeated {
        /// The event of then.
        event: EventId,
        /// How many deliveries it owed then.
        deliveries: u32,
    },
    /// Something else was published under the same key before; nothing is stored.
    KeyReused,
}

/// Whether a transaction may have been committed by an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It is run for the first time.
    First,
    /// It was run before, and how that ended is not known.
    Again,
}

/// Stores events and the deliveries they owe, all or nothing; one result per event, in their order. One transaction.
///
/// An event whose key is known stores nothing. When a run that was not answered turns out to have been committed, nothing is
/// stored twice.
///
/// # Errors
/// A violated key when another node took one of the idempotency keys in the same moment.
pub fn accept_events(
    connection: &mut AnyConnection,
    batch: &[Acceptance],
    run: Run,
    now: Timestamp,
) -> Queried<Vec<Accepted>> {
    in_transaction(connection, |connection| {
        let known = known_keys(connection, batch, now)?;
        let results = decide(batch, &known);
        let stored: Vec<&Acceptance> = batch
            .iter()
            .zip(&results)
            .filter(|(_, result)| **result == Accepted::Stored)
            .map(|(item, _)| item)
            .collect();
        if run == Run::Again && is_stored(connection, &stored)? {
            return Ok(results);
        }
        insert_events(connection, &stored)?;
        insert_deliveries(connection, &stored)?;
        insert_keys(connection, &stored)?;
        Ok(results)
    })
}

/// What is remembered under a key.
struct Known {
    event: EventId,
    deliveries: u32,
    digest: Vec<u8>,
}

type Keys<'a> = HashMap<(OwnerId, &'a str), Known>;

fn known_keys<'a>(connection: &mut AnyConnection, batch: &'a [Acceptance], now: Timestamp) -> Queried<Keys<'a>> {
    let mut asked: HashMap<OwnerId, HashMap<&str, EventId>> = HashMap::new();
    for item in batch {
        if let Some(key) = &item.key {
            // The first of a name is the one that is stored.
            asked.entry(item.publisher).or_default().entry(&key.key).or_insert(item.event.id);
        }
    }
    let mut known = HashMap::new();
    for (publisher, names) in asked {
        for (name, found) in known_keys_of(connection, publisher, &names, now)? {
            known.insert((publisher, name), found);
        }
    }
    Ok(known)
}

/// One publisher at a time, because only so does the primary key find the names.
fn known_keys_of<'a>(
    connection: &mut AnyConnection,
    publisher: OwnerId,
    names: &HashMap<&'a str, EventId>,
    now: Timestamp,
) -> Queried<Vec<(&'a str, Known)>> {
    use idempotency_keys::dsl;
    let asked: Vec<&[u8]> = names.keys().map(|name| name.as_bytes()).collect();
    let present = dsl::idempotency_keys
        .filter(dsl::publisher_id.eq(publisher.as_raw()))
        .filter(dsl::publisher_key.eq_any(&asked));
    diesel::delete(present.clone()).filter(dsl::expires_at.le(now.as_micros())).execute(connection)?;
    let rows: Vec<(Vec<u8>, Vec<u8>, i64)> =
        present.select((dsl::publisher_key, dsl::digest, dsl::event_id)).load(connection)?;
    let mut known = Vec::with_capacity(rows.len());
    for (name, digest, event) in rows {
        let found = std::str::from_utf8(&name).ok().and_then(|name| names.get_key_value(name));
        // A run that was committed without our knowing left its own key behind.
        let Some((name, _)) = found.filter(|(_, minted)| minted.as_raw() != event) else { continue };
        let deliveries = events::table
            .find(event)
            .select(events::deliveries)
            .first::<i32>(connection)
            .optional()?
            .unwrap_or_default();
        let deliveries = u32::try_from(deliveries).unwrap_or_default();
        known.push((*name, Known { event: EventId::from_raw(event), deliveries, digest }));
    }
    Ok(known)
}

/// Compares each event with what is remembered, and with those before it in the batch.
fn decide(batch: &[Acceptance], known: &Keys<'_>) -> Vec<Accepted> {
    let mut in_batch: HashMap<(OwnerId, &str), &Acceptance> = HashMap::new();
    let mut results = Vec::with_capacity(batch.len());
    for item in batch {
        let Some(key) = &item.key else {
            results.push(Accepted::Stored);
            continue;
        };
        let name = (item.publisher, key.key.as_str());
        let same = |digest: &[u8], event, deliveries| {
            if digest == key.digest { Accepted::Repeated { event, deliveries } } else { Accepted::KeyReused }
        };
        results.push(if let Some(known) = known.get(&name) {
            same(&known.digest, known.event, known.deliveries)
        } else if let Some(first) = in_batch.get(&name) {
            let digest = first.key.as_ref().map_or([0; 32], |key| key.digest);
            same(&digest, first.event.id, u32::try_from(first.deliveries.len()).unwrap_or(u32::MAX))
        } else {
            in_batch.insert(name, item);
            Accepted::Stored
        });
    }
    results
}

/// A batch is stored as a whole, so its first event tells for all.
pub(super) fn is_stored(connection: &mut AnyConnection, stored: &[&Acceptance]) -> Queried<bool> {
    let Some(first) = stored.first() else { return Ok(true) };
    let id: Option<i64> =
        events::table.find(first.event.id.as_raw()).select(events::id).first(connection).optional()?;
    Ok(id.is_some())
}

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct EventRow<'a> {
    id: i64,
    publisher_id: i32,
    event_type: &'a str,
    ordering_key: Option<&'a str>,
    accepted_at: i64,
    deliveries: i32,
    payload: &'a [u8],
}

pub(super) fn insert_events(connection: &mut AnyConnection, stored: &[&Acceptance]) -> Queried<()> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    for item in stored {
        let payload = &item.event.payload;
        if rows.len() == ROWS_PER_INSERT || (bytes + payload.len() > BYTES_PER_INSERT && !rows.is_empty()) {
            insert_event_rows(connection, &std::mem::take(&mut rows))?;
            bytes = 0;
        }
        bytes += payload.len();
        rows.push(EventRow {
            id: item.event.id.as_raw(),
            publisher_id: item.publisher.as_raw(),
            event_type: item.event.event_type.as_str(),
            ordering_key: item.event.ordering_key.as_deref(),
            accepted_at: item.event.accepted_at.as_micros(),
            deliveries: i32::try_from(item.deliveries.len()).unwrap_or(i32::MAX),
            payload,
        });
    }
    insert_event_rows(connection, &rows)
}

fn insert_event_rows(connection: &mut AnyConnection, rows: &[EventRow<'_>]) -> Queried<()> {
    insert_rows!(connection, insert_into(events::table), rows)
}

#[derive(Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
struct DeliveryRow {
    id: i64,
    event_id: i64,
    subscription_id: i32,
    /// Pending.
    state: Zero<SmallInt>,
    attempts: Zero<Integer>,
    due_at: Zero<BigInt>,
}

const _: () = assert!(state_number(State::Pending) == 0);

fn insert_deliveries(connection: &mut AnyConnection, stored: &[&Acceptance]) -> Queried<()> {
    let rows: Vec<DeliveryRow> = stored
        .iter()
        .flat_map(|item| item.deliveries.iter().map(|owed| (item.event.id, owed)))
        .map(|(event, (delivery, subscription))| DeliveryRow {
            id: delivery.as_raw(),
            event_id: event.as_raw(),
            subscription_id: subscription.as_raw(),
            state: Zero::new(),
            attempts: Zero::new(),
            due_at: Zero::new(),
        })
        .collect();
    for rows in rows.chunks(ROWS_PER_INSERT) {
        insert_rows!(connection, insert_into(deliveries::table), rows)?;
    }
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
struct KeyRow<'a> {
    publisher_id: i32,
    publisher_key: &'a [u8],
    digest: &'a [u8],
    event_id: i64,
    expires_at: i64,
}

pub(super) fn insert_keys(connection: &mut AnyConnection, stored: &[&Acceptance]) -> Queried<()> {
    let rows: Vec<KeyRow<'_>> = stored
        .iter()
        .filter_map(|item| item.key.as_ref().map(|key| (item, key)))
        .map(|(item, key)| KeyRow {
            publisher_id: item.publisher.as_raw(),
            publisher_key: key.key.as_bytes(),
            digest: &key.digest,
            event_id: item.event.id.as_raw(),
            expires_at: key.expires_at.as_micros(),
        })
        .collect();
    for rows in rows.chunks(ROWS_PER_INSERT) {
        insert_rows!(connection, insert_into(idempotency_keys::table), rows)?;
    }
    Ok(())
}

/// Forgets idempotency keys that have run out, at most `limit` of them; gives how many. One statement.
///
/// # Errors
/// None of its own.
pub fn forget_keys(connection: &mut AnyConnection, now: Timestamp, limit: i64) -> Queried<usize> {
    let expired: Vec<(i32, Vec<u8>)> = idempotency_keys::table
        .filter(idempotency_keys::expires_at.le(now.as_micros()))
        .select((idempotency_keys::publisher_id, idempotency_keys::publisher_key))
        .limit(limit)
        .load(connection)?;
    let mut forgotten = 0;
    for (publisher, key) in expired {
        forgotten += diesel::delete(idempotency_keys::table.find((publisher, key))).execute(connection)?;
    }
    Ok(forgotten)
}

/// The greatest id of an event or a delivery, 0 when there is none: where minting goes on.
///
/// # Errors
/// None of its own.
pub fn last_minted(connection: &mut AnyConnection) -> Queried<i64> {
    let event: Option<i64> = events::table.select(diesel::dsl::max(events::id)).first(connection)?;
    let delivery: Option<i64> = deliveries::table.select(diesel::dsl::max(deliveries::id)).first(connection)?;
    Ok(event.max(delivery).unwrap_or_default())
}
