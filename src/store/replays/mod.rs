//! Replays: orders to attempt many deliveries again, and how far each has come.

mod steps;

use std::num::NonZeroU16;

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    insert_into,
    result::{DatabaseErrorKind, Error as DieselError},
};

pub use self::steps::{Count, Moved, count, move_on};
use super::{
    AnyConnection, Queried,
    connection::on_each,
    erase::erasure_of,
    schema::{replays, subscriptions},
    transaction::in_transaction,
    values::{corrupt, stage_from, stage_number, states_from, states_number},
};
use crate::domain::{
    event_type::EventType,
    id::{DeliveryId, ReplayId, SubscriptionId},
    owner::Scope,
    replay::{Filter, Replay, Stage},
    time::Timestamp,
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = replays)]
struct Row {
    id: i32,
    subscription_id: i32,
    stage: i16,
    states: i16,
    accepted_from: Option<i64>,
    accepted_to: i64,
    event_type: Option<String>,
    per_second: Option<i32>,
    done_up_to: i64,
    replayed: i64,
    skipped: i64,
    ordered_by: String,
    ordered_at: i64,
    ended_at: Option<i64>,
}

impl Row {
    fn into_replay(self) -> Queried<Replay> {
        let event_type = self.event_type.map(|name| EventType::parse(&name)).transpose();
        let filter = Filter {
            subscription: SubscriptionId::from_raw(self.subscription_id),
            states: states_from(self.states),
            from: self.accepted_from.map(Timestamp::from_micros),
            to: Timestamp::from_micros(self.accepted_to),
            event_type: event_type.map_err(|error| corrupt(format!("replay {}: {error}", self.id)))?,
        };
        Ok(Replay {
            id: ReplayId::from_raw(self.id),
            filter,
            per_second: self.per_second.and_then(|pace| u16::try_from(pace).ok()).and_then(NonZeroU16::new),
            stage: stage_from(self.stage)?,
            done_up_to: DeliveryId::from_raw(self.done_up_to),
            replayed: u64::try_from(self.replayed).unwrap_or_default(),
            skipped: u64::try_from(self.skipped).unwrap_or_default(),
            ordered_by: self.ordered_by,
            ordered_at: Timestamp::from_micros(self.ordered_at),
            ended_at: self.ended_at.map(Timestamp::from_micros),
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = replays, treat_none_as_default_value = false)]
struct NewRow<'a> {
    subscription_id: i32,
    running_for: Option<i32>,
    stage: i16,
    states: i16,
    accepted_from: Option<i64>,
    accepted_to: i64,
    event_type: Option<&'a str>,
    per_second: Option<i32>,
    done_up_to: i64,
    replayed: i64,
    skipped: i64,
    ordered_by: &'a str,
    ordered_at: i64,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It stands.
    Made(Box<Replay>),
    /// The subscription has a replay that runs already.
    Running(ReplayId),
    /// What the subscription was sent is being erased.
    Erasing,
}

/// Stores the order of a replay, which runs from then on ([`move_on`]). One query and one transaction.
///
/// # Errors
/// A violated key when another replay of the subscription ended in the same moment.
pub fn order(
    connection: &mut AnyConnection,
    filter: &Filter,
    per_second: Option<NonZeroU16>,
    ordered_by: &str,
    now: Timestamp,
) -> Queried<Ordered> {
    let row = NewRow {
        subscription_id: filter.subscription.as_raw(),
        running_for: Some(filter.subscription.as_raw()),
        stage: stage_number(Stage::Running),
        states: states_number(&filter.states),
        accepted_from: filter.from.map(Timestamp::as_micros),
        accepted_to: filter.to.as_micros(),
        event_type: filter.event_type.as_ref().map(EventType::as_str),
        per_second: per_second.map(|pace| i32::from(pace.get())),
        done_up_to: filter.begins_after().as_raw(),
        replayed: 0,
        skipped: 0,
        ordered_by,
        ordered_at: now.as_micros(),
    };
    if erasure_of(connection, filter.subscription)?.is_some() {
        return Ok(Ordered::Erasing);
    }
    let made = in_transaction(connection, |connection| {
        on_each!(connection, c => insert_into(replays::table).values(&row).execute(c).map(drop))?;
        running_for(connection, filter.subscription)
    });
    match made {
        Ok(Some(replay)) => Ok(Ordered::Made(Box::new(replay))),
        Ok(None) => Err(DieselError::NotFound),
        Err(error @ DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            match running_for(connection, filter.subscription)? {
                Some(running) => Ok(Ordered::Running(running.id)),
                // It ended in the same moment; asking again will do.
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn running_for(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<Option<Replay>> {
    let running = replays::table.filter(replays::running_for.eq(subscription.as_raw()));
    let row: Option<Row> = running.select(Row::as_select()).first(connection).optional()?;
    row.map(Row::into_replay).transpose()
}

/// The replays that run, with their subscriptions, at most `limit`. One query.
///
/// # Errors
/// None of its own.
pub fn running(connection: &mut AnyConnection, limit: i64) -> Queried<Vec<(ReplayId, SubscriptionId)>> {
    let found: Vec<(i32, Option<i32>)> = replays::table
        // Not null, in words for which SQLite has use of the index.
        .filter(replays::running_for.gt(0))
        .order(replays::running_for)
        .limit(limit)
        .select((replays::id, replays::running_for))
        .load(connection)?;
    let running = |(id, of): (i32, Option<i32>)| Some((ReplayId::from_raw(id), SubscriptionId::from_raw(of?)));
    Ok(found.into_iter().filter_map(running).collect())
}

/// One replay, if its subscription is in `scope`. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, scope: Scope, id: ReplayId) -> Queried<Option<Replay>> {
    let mut query = replays::table
        .inner_join(subscriptions::table)
        .filter(replays::id.eq(id.as_raw()))
        .select(Row::as_select())
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let row: Option<Row> = query.first(connection).optional()?;
    row.map(Row::into_replay).transpose()
}

/// Replays of subscriptions in `scope`, the newest first, older than `before`, at most `limit`. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(
    connection: &mut AnyConnection,
    scope: Scope,
    before: Option<ReplayId>,
    limit: i64,
) -> Queried<Vec<Replay>> {
    let mut query = replays::table
        .inner_join(subscriptions::table)
        .order(replays::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    if let Some(before) = before {
        query = query.filter(replays::id.lt(before.as_raw()));
    }
    let rows: Vec<Row> = query.load(connection)?;
    rows.into_iter().map(Row::into_replay).collect()
}

/// Calls a replay off, if its subscription is in `scope`; one that has ended stays as it is. Gives what it is then. What it
/// had put back stays so. Two statements.
///
/// # Errors
/// A row that this version cannot read.
pub fn cancel(connection: &mut AnyConnection, scope: Scope, id: ReplayId, now: Timestamp) -> Queried<Option<Replay>> {
    if get(connection, scope, id)?.is_none() {
        return Ok(None);
    }
    end(connection, id, Stage::Cancelled, now)?;
    get(connection, scope, id)
}

/// Calls off the replay of a subscription that runs, if there is one.
pub(super) fn cancel_running(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Queried<()> {
    match running_for(connection, subscription)? {
        Some(running) => end(connection, running.id, Stage::Cancelled, now),
        None => Ok(()),
    }
}

/// Ends a replay that runs.
fn end(connection: &mut AnyConnection, id: ReplayId, stage: Stage, now: Timestamp) -> Queried<()> {
    let running = replays::table.find(id.as_raw()).filter(replays::running_for.is_not_null());
    diesel::update(running)
        .set((
            replays::stage.eq(stage_number(stage)),
            replays::running_for.eq(None::<i32>),
            replays::ended_at.eq(now.as_micros()),
        ))
        .execute(connection)
        .map(drop)
}
