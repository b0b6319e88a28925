//! *record*: the second of the two writes on an event's way.

use std::{
    collections::{BTreeMap, HashMap},
    convert::identity,
};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, dsl::sql, insert_or_ignore_into,
    sql_types::BigInt,
};

use super::{
    AnyConnection, Queried,
    connection::{insert_rows, on_each},
    prepared::{Kept, padded},
    schema::{attempts, deliveries},
    traces::{StageColumns, TraceColumns},
    transaction::in_transaction,
    values::{cut, due_column, failure_number, state_number},
};
use crate::domain::{
    attempt::{Attempt, Outcome},
    delivery::{State, Verdict},
    id::{DeliveryId, SubscriptionId},
    time::Timestamp,
};

const ROWS_PER_STATEMENT: usize = 500;
/// Rows of a statement in which each has a due time of its own: they are looked up one after the other.
const CASES: usize = 100;
/// The longest message that is kept, in bytes; the column takes 1,000 characters.
const MESSAGE_BYTES: usize = 1_000;
/// The longest content type that is kept, in bytes; the column takes 255 characters.
const CONTENT_TYPE_BYTES: usize = 255;

/// An attempt and what follows from it.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was attempted and what came of it.
    pub attempt: Attempt,
    /// What it means for the delivery.
    pub verdict: Verdict,
}

/// Stores attempts and moves their deliveries, all or nothing. One transaction.
///
/// Running it twice changes nothing: an attempt that is stored already stays as it is, and a delivery only moves by an
/// attempt that is newer than all it has. A settled delivery is not moved, unless it arrived after all (see [`State`]).
///
/// # Errors
/// None of its own.
pub fn record_attempts(connection: &mut AnyConnection, records: &[Record], now: Timestamp) -> Queried<()> {
    in_transaction(connection, |connection| {
        insert_attempts(connection, records)?;
        for (change, moved) in changes(records) {
            let rows = if change.effect == Effect::Move(State::Pending) { CASES } else { ROWS_PER_STATEMENT };
            for moved in moved.chunks(rows) {
                move_deliveries(connection, change, moved, now)?;
            }
        }
        Ok(())
    })
}

/// What most attempts have: they are answered on a connection that was there.
#[derive(Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
struct AnsweredRow<'a> {
    delivery_id: i64,
    number: i32,
    started_at: i64,
    duration_us: i64,
    status: Option<i16>,
    content_type: Option<&'a str>,
    body: Option<&'a [u8]>,
    #[diesel(embed)]
    trace: TraceColumns<'a>,
}

/// The row of any attempt.
#[derive(Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
struct AttemptRow<'a> {
    #[diesel(embed)]
    answered: AnsweredRow<'a>,
    failure: Option<i16>,
    message: Option<&'a str>,
    #[diesel(embed)]
    stages: StageColumns,
}

impl<'a> AttemptRow<'a> {
    /// `None` for what was not attempted after all.
    fn from(attempt: &'a Attempt) -> Option<Self> {
        let (failure, answer) = match &attempt.outcome {
            Outcome::NotAttempted => return None,
            Outcome::Failed(failure) => (Some(failure), None),
            Outcome::Answered(answer) => (None, Some(answer)),
        };
        let answered = AnsweredRow {
            delivery_id: attempt.delivery.as_raw(),
            number: i32::from(attempt.number),
            started_at: attempt.started_at.as_micros(),
            duration_us: i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
            status: answer.and_then(|answer| i16::try_from(answer.status).ok()),
            content_type: answer
                .and_then(|answer| answer.content_type.as_deref())
                .map(|text| cut(text, CONTENT_TYPE_BYTES)),
            body: answer.map(|answer| &answer.body[..]).filter(|body| !body.is_empty()),
            trace: TraceColumns::from(&attempt.trace),
        };
        Some(Self {
            answered,
            failure: failure.map(|failure| failure_number(failure.class)),
            message: failure.map(|failure| cut(&failure.message, MESSAGE_BYTES)),
            stages: StageColumns::from(&attempt.trace),
        })
    }

    /// Whether it has nothing that an [`AnsweredRow`] has not.
    fn is_plain(&self) -> bool {
        self.failure.is_none() && self.message.is_none() && self.stages.are_none()
    }
}

/// Most rows leave out what they do not have: each value costs an allocation here and a conversion at the server.
pub(super) fn insert_attempts(connection: &mut AnyConnection, records: &[Record]) -> Queried<()> {
    let rows = records.iter().filter_map(|record| AttemptRow::from(&record.attempt));
    let (plain, others): (Vec<_>, Vec<_>) = rows.partition(AttemptRow::is_plain);
    let plain: Vec<_> = plain.into_iter().map(|row| row.answered).collect();
    for rows in plain.chunks(ROWS_PER_STATEMENT) {
        insert_rows!(connection, insert_or_ignore_into(attempts::table), rows)?;
    }
    for rows in others.chunks(ROWS_PER_STATEMENT) {
        insert_rows!(connection, insert_or_ignore_into(attempts::table), rows)?;
    }
    Ok(())
}

/// What changes in a delivery, but for its due time. Most of a batch changes alike and shares one statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Change {
    /// Of the attempt.
    number: u16,
    effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Effect {
    /// The attempt does not count; only the due time moves.
    Postpone,
    /// The attempt counts, though not for the retry policy, and nothing else changes.
    Keep,
    /// The same for a delivery that was settled already.
    Count,
    /// No attempt was made, and none will be.
    Expire,
    /// The attempt counts, and the delivery is in this state from now on, with another due time.
    Move(State),
}

impl Effect {
    /// With the due time that a delivery has from now on, if it is owed and its due time moves.
    const fn of(verdict: Verdict) -> (Self, Option<Timestamp>) {
        match verdict {
            Verdict::Delivered => (Self::Move(State::Delivered), None),
            Verdict::RetryAt(due_at) => (Self::Move(State::Pending), Some(due_at)),
            Verdict::Dead => (Self::Move(State::Dead), None),
            Verdict::Cancelled => (Self::Move(State::Cancelled), None),
            Verdict::Kept => (Self::Keep, None),
            Verdict::Expired => (Self::Expire, None),
            Verdict::Postponed(due_at) => (Self::Postpone, Some(due_at)),
        }
    }

    /// In which states it takes effect. An arrival is a fact whatever the delivery was before; a failed attempt in flight
    /// while its delivery was cancelled still counts; else a settled delivery stays what it is.
    ///
    /// Always five, so that the statements have one shape.
    const fn takes_effect_in(self) -> [State; 5] {
        match self {
            Self::Move(State::Delivered) | Self::Keep => {
                [State::Pending, State::Dead, State::Expired, State::Cancelled, State::SetAside]
            }
            Self::Count => [State::Delivered, State::Dead, State::Expired, State::Cancelled, State::SetAside],
            Self::Move(State::Cancelled) => {
                [State::Pending, State::Cancelled, State::Cancelled, State::Cancelled, State::Cancelled]
            }
            Self::Move(State::Pending | State::Dead | State::Expired | State::SetAside)
            | Self::Postpone
            | Self::Expire => [State::Pending; 5],
        }
    }

    const fn counts(self) -> bool {
        !matches!(self, Self::Postpone | Self::Expire)
    }
}

/// A delivery that changes, and what its column says of its due time from now on.
type Moved = (i64, i64);

/// In the order of their attempts: a batch that had to wait may hold several of one delivery, and of the same number one
/// that did not count before the one that did. Of two that are alike the later one counts.
fn changes(records: &[Record]) -> Vec<(Change, Vec<Moved>)> {
    let mut changes: HashMap<Change, BTreeMap<i64, i64>> = HashMap::new();
    for Record { attempt, verdict } in records {
        if *verdict == Verdict::Kept && attempt.outcome == Outcome::NotAttempted {
            continue;
        }
        let (effect, due_at) = Effect::of(*verdict);
        let change = Change { number: attempt.number, effect };
        changes.entry(change).or_default().insert(attempt.delivery.as_raw(), due_column(due_at));
    }
    let mut changes: Vec<_> = changes.into_iter().map(|(change, moved)| (change, Vec::from_iter(moved))).collect();
    changes.sort_unstable_by_key(|(change, _)| (change.number, change.effect.counts()));
    changes
}

/// Updates the deliveries with these ids, as far as `$change` takes effect in their present state; gives how many. `$form` is
/// put around the statement.
macro_rules! update_rows {
    ($form:path, $connection:expr, $ids:expr, $due_at:expr, $change:expr, $now:expr) => {{
        use deliveries::dsl;
        let (connection, Change { number, effect }) = ($connection, $change);
        let number = i32::from(number);
        let [one, two, three, four, five] = effect.takes_effect_in().map(state_number);
        let may_move = dsl::state.eq(one).or(dsl::state.eq(two)).or(dsl::state.eq(three));
        let may_move = may_move.or(dsl::state.eq(four)).or(dsl::state.eq(five));
        // Else the second run of an old batch would turn back what a newer attempt has moved.
        let rows = dsl::deliveries.filter(dsl::id.eq_any($ids)).filter(may_move).filter(dsl::attempts.lt(number));
        let attempted = (dsl::recorded_at.eq($now.as_micros()), dsl::attempts.eq(number));
        let first = dsl::first_recorded_at.eq((number == 1).then(|| $now.as_micros()));
        let uncounted = dsl::uncounted_attempts.eq(dsl::uncounted_attempts + 1);
        let (due, state) = (dsl::due_at.eq($due_at), |state| dsl::state.eq(state_number(state)));
        match (effect, number) {
            (Effect::Postpone, _) => $form(diesel::update(rows).set(due)).execute(connection),
            (Effect::Expire, _) => {
                let expired = (state(State::Expired), due, dsl::recorded_at.eq($now.as_micros()));
                $form(diesel::update(rows).set(expired)).execute(connection)
            }
            (Effect::Keep | Effect::Count, 1) => {
                $form(diesel::update(rows).set((attempted, uncounted, first))).execute(connection)
            }
            (Effect::Keep | Effect::Count, _) => {
                $form(diesel::update(rows).set((attempted, uncounted))).execute(connection)
            }
            (Effect::Move(to), 1) => {
                $form(diesel::update(rows).set((attempted, first, state(to), due))).execute(connection)
            }
            (Effect::Move(to), _) => $form(diesel::update(rows).set((attempted, state(to), due))).execute(connection),
        }
    }};
}

/// Moves deliveries that changed alike.
fn move_deliveries(connection: &mut AnyConnection, change: Change, moved: &[Moved], now: Timestamp) -> Queried<()> {
    let updated = update(connection, change, moved, now)?;
    if updated < moved.len() && change.effect.counts() {
        // Settled before the attempt, or while it was in flight. It was made, so its number must not be given to another.
        update(connection, Change { effect: Effect::Count, ..change }, moved, now)?;
    }
    Ok(())
}

fn update(connection: &mut AnyConnection, change: Change, moved: &[Moved], now: Timestamp) -> Queried<usize> {
    let ids: Vec<i64> = moved.iter().map(|(id, _)| *id).collect();
    let first = moved.first().map_or(0, |(_, due_at)| *due_at);
    if moved.iter().all(|(_, due_at)| *due_at == first) {
        let ids = padded(ids);
        return on_each!(connection, c => update_rows!(Kept, c, ids, first, change, now));
    }
    update_rows!(identity, connection, ids, sql::<BigInt>(&due_of_each(moved)), change, now)
}

/// An expression of SQL. Attempts that fail together are due at times of their own, and a statement for each of them would
/// keep the writer from accepting.
fn due_of_each(moved: &[Moved]) -> String {
    let cases = moved.iter().map(|(id, due_at)| format!(" WHEN {id} THEN {due_at}"));
    format!("CASE id{} END", cases.collect::<String>())
}

/// The columns of a delivery that is settled without an attempt.
macro_rules! settled_as {
    ($state:expr, $now:expr) => {
        (
            deliveries::state.eq(state_number($state)),
            deliveries::due_at.eq(0),
            deliveries::recorded_at.eq($now.as_micros()),
        )
    };
}

/// What is cancelled of all that a subscription is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What would be attempted.
    Pending,
    /// That, and what a person has set aside.
    Unfinished,
}

impl Reach {
    const fn states(self) -> &'static [State] {
        match self {
            Self::Pending => &[State::Pending],
            Self::Unfinished => &State::UNFINISHED,
        }
    }
}

/// Cancels what `subscription` is owed, up to and including `last`, at most `limit` deliveries; gives how many it found, of
/// which some may have been settled in the same moment. One transaction. Call it until it gives less than `limit`.
///
/// # Errors
/// None of its own.
pub fn cancel_owed(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    reach: Reach,
    last: DeliveryId,
    limit: i64,
    now: Timestamp,
) -> Queried<usize> {
    use deliveries::dsl;
    in_transaction(connection, |connection| {
        let mut found = 0;
        for state in reach.states() {
            let ids: Vec<i64> = dsl::deliveries
                .filter(dsl::subscription_id.eq(subscription.as_raw()))
                .filter(dsl::state.eq(state_number(*state)))
                .filter(dsl::id.le(last.as_raw()))
                .select(dsl::id)
                .limit(limit - i64::try_from(found).unwrap_or(limit))
                .load(connection)?;
            if ids.is_empty() {
                continue;
            }
            found += ids.len();
            // One that arrived since it was found stays delivered.
            let rows = dsl::deliveries.filter(dsl::id.eq_any(&ids)).filter(dsl::state.eq(state_number(*state)));
            diesel::update(rows).set(settled_as!(State::Cancelled, now)).execute(connection)?;
        }
        Ok(found)
    })
}

/// Cancels a delivery that is pending or set aside; gives whether it was. One statement, and the same when it is run again.
///
/// # Errors
/// None of its own.
pub fn cancel_one(connection: &mut AnyConnection, delivery: DeliveryId, now: Timestamp) -> Queried<bool> {
    let unfinished = deliveries::state.eq_any(State::UNFINISHED.map(state_number));
    let row = deliveries::table.find(delivery.as_raw()).filter(unfinished);
    Ok(diesel::update(row).set(settled_as!(State::Cancelled, now)).execute(connection)? > 0)
}
