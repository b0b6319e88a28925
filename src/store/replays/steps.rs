//! How a replay moves on, and how much there would be to do.
//!
//! Candidates are read from the index of the queue, state by state, a bounded number at a time; only then is it looked up
//! which of them the filter means. However little a filter leaves, no transaction looks at more than [`MOST_CANDIDATES`].

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use super::{Row, SelectableHelper, end};
use crate::{
    domain::{
        delivery::State,
        id::{DeliveryId, ReplayId, SubscriptionId},
        ordering::Ordering,
        replay::{Filter, Replay, Stage},
        time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        locked::{Locked, lock, look},
        schema::{deliveries, replays, subscriptions},
        transaction::in_transaction,
        values::{ordering_from, state_number},
    },
};

/// Deliveries looked at, and held still, in one step.
const MOST_CANDIDATES: usize = 500;
/// The same for a slow replay, so that a filter that leaves little does not make it slower still.
const LEAST_CANDIDATES: usize = 100;

/// What a step of a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Deliveries are owed again.
    On {
        /// What it is now.
        replay: Box<Replay>,
        /// How many, in this step.
        replayed: u16,
    },
    /// It is done or was called off, now or before.
    Ended,
}

/// Makes a replay's next step: puts deliveries back to pending, due at `now`, and notes how far it has come. One
/// transaction, so that no delivery is put back twice, whoever dies when.
///
/// # Errors
/// A row that this version cannot read.
pub fn move_on(connection: &mut AnyConnection, id: ReplayId, now: Timestamp) -> Queried<Moved> {
    in_transaction(connection, |connection| {
        let Some(replay) = hold(connection, id)? else { return Ok(Moved::Ended) };
        // What it put back for an ended subscription would be cancelled at once.
        let Some(ordering) = ordering_if_active(connection, replay.filter.subscription)? else {
            return end(connection, id, Stage::Cancelled, now).map(|()| Moved::Ended);
        };
        let limit = usize::from(replay.step()).clamp(LEAST_CANDIDATES, MOST_CANDIDATES);
        let candidates = candidates(connection, &replay.filter, replay.done_up_to, limit)?;
        if candidates.is_empty() {
            return end(connection, id, Stage::Done, now).map(|()| Moved::Ended);
        }
        let step = choose(&replay, &candidates, lock(connection, &candidates)?);
        put_back(connection, &replay.filter, &step.meant, ordering, now)?;
        note(connection, replay, &step)
    })
}

/// Reads a replay that runs, and lets nobody else move or end it until the transaction ends.
fn hold(connection: &mut AnyConnection, id: ReplayId) -> Queried<Option<Replay>> {
    let running = replays::table.find(id.as_raw()).filter(replays::running_for.is_not_null());
    if diesel::update(running).set(replays::done_up_to.eq(replays::done_up_to)).execute(connection)? == 0 {
        return Ok(None);
    }
    let row: Row = replays::table.find(id.as_raw()).select(Row::as_select()).first(connection)?;
    row.into_replay().map(Some)
}

/// What may not overtake what in a subscription; `None` when it ended.
fn ordering_if_active(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<Option<Ordering>> {
    let active = subscriptions::table.find(subscription.as_raw()).filter(subscriptions::is_active);
    let ordering: Option<i16> = active.select(subscriptions::ordering).first(connection).optional()?;
    ordering.map(ordering_from).transpose()
}

/// Deliveries of the filter's subscription in one of its states, after `after`, in the order of their ids.
fn candidates(connection: &mut AnyConnection, filter: &Filter, after: DeliveryId, limit: usize) -> Queried<Vec<i64>> {
    use deliveries::dsl;
    let mut found = Vec::new();
    for state in filter.states.iter().filter(|state| **state != State::Pending) {
        let of_state: Vec<i64> = dsl::deliveries
            .filter(dsl::subscription_id.eq(filter.subscription.as_raw()))
            .filter(dsl::state.eq(state_number(*state)))
            // Always so for a settled delivery; said aloud, it lets the index give the order.
            .filter(dsl::due_at.eq(0))
            .filter(dsl::id.gt(after.as_raw()))
            .filter(dsl::id.le(filter.ends_with().as_raw()))
            .order(dsl::id)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(dsl::id)
            .load(connection)?;
        found.extend(of_state);
    }
    found.sort_unstable();
    found.truncate(limit);
    Ok(found)
}

/// What a step does.
struct Step {
    /// To put back.
    meant: Vec<i64>,
    /// Meant, but without a payload.
    skipped: u16,
    /// The last that was looked at.
    done_up_to: i64,
}

/// Takes candidates in their order until as many are meant as the pace allows.
fn choose(replay: &Replay, candidates: &[i64], mut facts: Vec<Locked>) -> Step {
    facts.sort_unstable_by_key(|locked| locked.id);
    // A candidate whose event is gone is nothing to replay.
    let last = candidates.last().copied().unwrap_or_default();
    let mut step = Step { meant: Vec::new(), skipped: 0, done_up_to: last };
    for locked in facts.iter().filter(|locked| is_meant(&replay.filter, locked)) {
        if locked.payload_erased {
            step.skipped += 1;
            continue;
        }
        step.meant.push(locked.id);
        if step.meant.len() == usize::from(replay.step()) {
            step.done_up_to = locked.id;
            break;
        }
    }
    step
}

fn is_meant(filter: &Filter, locked: &Locked) -> bool {
    filter.includes(&locked.event_type, Timestamp::from_micros(locked.accepted_at))
        && filter.states.iter().any(|state| state_number(*state) == locked.state)
}

/// From here on they are owed like any other, and their policy begins again. Without an order they take turns with new ones,
/// longest due first. With one they queue up as they did the first time: a due time would say that they hold their keys.
fn put_back(
    connection: &mut AnyConnection,
    filter: &Filter,
    ids: &[i64],
    ordering: Ordering,
    now: Timestamp,
) -> Queried<()> {
    use deliveries::dsl;
    let due_at = match ordering {
        Ordering::None => now.as_micros(),
        Ordering::Key | Ordering::Subscription => 0,
    };
    let states = filter.states.iter().map(|state| state_number(*state));
    diesel::update(dsl::deliveries.filter(dsl::id.eq_any(ids)).filter(dsl::state.eq_any(states)))
        .set((
            dsl::state.eq(state_number(State::Pending)),
            dsl::due_at.eq(due_at),
            dsl::uncounted_attempts.eq(dsl::attempts),
            dsl::replayed_at.eq(now.as_micros()),
        ))
        .execute(connection)
        .map(drop)
}

fn note(connection: &mut AnyConnection, replay: Replay, step: &Step) -> Queried<Moved> {
    let replayed = u16::try_from(step.meant.len()).unwrap_or(u16::MAX);
    let replay = Replay {
        done_up_to: DeliveryId::from_raw(step.done_up_to),
        replayed: replay.replayed + u64::from(replayed),
        skipped: replay.skipped + u64::from(step.skipped),
        ..replay
    };
    diesel::update(replays::table.find(replay.id.as_raw()))
        .set((
            replays::done_up_to.eq(step.done_up_to),
            replays::replayed.eq(i64::try_from(replay.replayed).unwrap_or(i64::MAX)),
            replays::skipped.eq(i64::try_from(replay.skipped).unwrap_or(i64::MAX)),
        ))
        .execute(connection)?;
    Ok(Moved::On { replay: Box::new(replay), replayed })
}

/// How many deliveries a replay would put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// So many among those that were looked at, and there are more.
    AtLeast(usize),
}

/// Counts what a replay with this filter would put back, looking at no more than `limit` deliveries. A few queries.
///
/// # Errors
/// None of its own.
pub fn count(connection: &mut AnyConnection, filter: &Filter, limit: usize) -> Queried<Count> {
    let (mut after, mut looked_at, mut meant) = (filter.begins_after(), 0, 0);
    loop {
        let candidates = candidates(connection, filter, after, MOST_CANDIDATES.min(limit - looked_at))?;
        let Some(last) = candidates.last() else { break };
        after = DeliveryId::from_raw(*last);
        looked_at += candidates.len();
        let facts = look(connection, &candidates)?;
        meant += facts.iter().filter(|locked| is_meant(filter, locked) && !locked.payload_erased).count();
        if looked_at >= limit {
            let more = !self::candidates(connection, filter, after, 1)?.is_empty();
            return Ok(if more { Count::AtLeast(meant) } else { Count::Exactly(meant) });
        }
    }
    Ok(Count::Exactly(meant))
}
