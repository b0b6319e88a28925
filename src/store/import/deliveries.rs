//! What is owed from elsewhere, with the attempts that were made there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, insert_into, result::Error as DieselError};

use super::Mode;
use crate::{
    domain::{
        attempt::Attempt,
        delivery::{Delivery, State, Verdict},
        event::Event,
        id::OwnerId,
        time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        accept::{Acceptance, IdempotencyKey, insert_events, insert_keys, is_stored},
        connection::insert_rows,
        owners::find_by_name,
        record::{Record, insert_attempts},
        schema::{deliveries, idempotency_keys},
        values::{due_column, state_number},
    },
};

/// An event that is owed to one subscription.
#[derive(Clone, Debug)]
pub struct IncomingDelivery {
    /// What happened.
    pub event: Arc<Event>,
    /// What is owed, with the attempts made so far.
    pub delivery: Delivery,
    /// The name of the subscription's owner, who counts as the publisher.
    pub owner: String,
    /// The latest attempt, if one was made.
    pub latest: Option<Attempt>,
    /// What it is called where it comes from.
    pub key: IdempotencyKey,
}

/// What becomes of something owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFate {
    /// It is new.
    New,
    /// It came in before.
    Present,
    /// Something else came in under its key before; nothing is written.
    KeyTaken,
}

/// Brings what is owed. One transaction.
///
/// # Errors
/// `NotFound` when an owner is not there, except in a dry run.
pub fn import_deliveries(
    connection: &mut AnyConnection,
    incoming: &[IncomingDelivery],
    mode: Mode,
) -> Queried<Vec<DeliveryFate>> {
    mode.run(connection, |connection| {
        let owners = owner_ids(connection, incoming, mode)?;
        let fates = decide(incoming, &known_keys(connection, incoming, &owners)?);
        if mode == Mode::Write {
            let new = incoming.iter().zip(&fates).filter(|(_, fate)| **fate == DeliveryFate::New);
            insert(connection, &new.map(|(item, _)| item).collect::<Vec<_>>(), &owners)?;
        }
        Ok(fates)
    })
}

fn owner_ids(
    connection: &mut AnyConnection,
    incoming: &[IncomingDelivery],
    mode: Mode,
) -> Queried<HashMap<String, OwnerId>> {
    let mut ids = HashMap::new();
    let names: HashSet<&str> = incoming.iter().map(|item| item.owner.as_str()).collect();
    for name in names {
        match (find_by_name(connection, name)?, mode) {
            (Some(owner), _) => drop(ids.insert(name.to_owned(), owner.id)),
            (None, Mode::DryRun) => {}
            (None, Mode::Write) => return Err(DieselError::NotFound),
        }
    }
    Ok(ids)
}

/// Digest and event of what is remembered, by owner and key. It counts also when its time is over: the row is there.
type Known = HashMap<(String, Vec<u8>), (Vec<u8>, i64)>;

fn known_keys(
    connection: &mut AnyConnection,
    incoming: &[IncomingDelivery],
    owners: &HashMap<String, OwnerId>,
) -> Queried<Known> {
    use idempotency_keys::dsl;
    let mut known = HashMap::new();
    for (name, id) in owners {
        let asked = incoming.iter().filter(|item| item.owner == *name).map(|item| item.key.key.as_bytes());
        let rows: Vec<(Vec<u8>, Vec<u8>, i64)> = dsl::idempotency_keys
            .filter(dsl::publisher_id.eq(id.as_raw()))
            .filter(dsl::publisher_key.eq_any(asked))
            .select((dsl::publisher_key, dsl::digest, dsl::event_id))
            .load(connection)?;
        known.extend(rows.into_iter().map(|(key, digest, event)| ((name.clone(), key), (digest, event))));
    }
    Ok(known)
}

fn decide(incoming: &[IncomingDelivery], known: &Known) -> Vec<DeliveryFate> {
    let mut seen = HashSet::new();
    let fate = |item: &IncomingDelivery| {
        let key = (item.owner.clone(), item.key.key.clone().into_bytes());
        let fate = match known.get(&key) {
            // A run that was committed without our knowing left its own row behind.
            Some((_, event)) if *event == item.event.id.as_raw() => DeliveryFate::New,
            Some((digest, _)) if *digest == item.key.digest => DeliveryFate::Present,
            Some(_) => DeliveryFate::KeyTaken,
            None if seen.contains(&key) => DeliveryFate::Present,
            None => DeliveryFate::New,
        };
        seen.insert(key);
        fate
    };
    incoming.iter().map(fate).collect()
}

fn insert(connection: &mut AnyConnection, new: &[&IncomingDelivery], owners: &HashMap<String, OwnerId>) -> Queried<()> {
    let acceptance = |item: &&IncomingDelivery| {
        Ok(Acceptance {
            event: Arc::clone(&item.event),
            publisher: *owners.get(&item.owner).ok_or(DieselError::NotFound)?,
            deliveries: vec![(item.delivery.id, item.delivery.subscription)],
            key: Some(item.key.clone()),
        })
    };
    let acceptances: Vec<Acceptance> = new.iter().map(acceptance).collect::<Queried<_>>()?;
    let acceptances: Vec<&Acceptance> = acceptances.iter().collect();
    if is_stored(connection, &acceptances)? {
        return Ok(());
    }
    insert_events(connection, &acceptances)?;
    let rows: Vec<DeliveryRow> = new.iter().map(|item| DeliveryRow::from(&item.delivery)).collect();
    insert_rows!(&mut *connection, insert_into(deliveries::table), &rows[..])?;
    let record = |attempt: Attempt| Record { attempt, verdict: Verdict::Kept };
    insert_attempts(connection, &new.iter().filter_map(|item| item.latest.clone()).map(record).collect::<Vec<_>>())?;
    insert_keys(connection, &acceptances)
}

#[derive(Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
struct DeliveryRow {
    id: i64,
    event_id: i64,
    subscription_id: i32,
    state: i16,
    attempts: i32,
    due_at: i64,
    first_recorded_at: Option<i64>,
    recorded_at: Option<i64>,
}

impl From<&Delivery> for DeliveryRow {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.as_raw(),
            event_id: delivery.event.as_raw(),
            subscription_id: delivery.subscription.as_raw(),
            state: state_number(delivery.state),
            attempts: i32::from(delivery.attempts),
            due_at: if delivery.state == State::Pending { due_column(delivery.due_at) } else { 0 },
            first_recorded_at: delivery.course.first_recorded_at.map(Timestamp::as_micros),
            recorded_at: delivery.recorded_at.map(Timestamp::as_micros),
        }
    }
}
