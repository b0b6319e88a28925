//! Where a walk takes its deliveries from: the whole table, or the index of the queue for a few subscriptions.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{Filter, by_id, by_index, is_on, of_ids};
use crate::{
    domain::{delivery::State, owner::Scope},
    store::{
        AnyConnection, Queried,
        deliveries::DeliveryRow,
        schema::{deliveries, subscriptions},
        values::state_number,
    },
};

/// The most pairs of a subscription and a state that are looked up one by one: each costs a query per chunk.
const MAX_PAIRS: usize = 128;
/// Subscriptions of which the hosts are looked at.
const MAX_HOSTS: i64 = 10_000;
/// The most deliveries that wait for something and are known by their ids: the index has them in another order.
const MAX_WAITING: usize = 10_000;

/// A part of a walk.
pub(super) struct Chunk {
    /// The newest first.
    pub(super) rows: Vec<DeliveryRow>,
    /// Below which id to go on; `None` when there is nothing below.
    pub(super) below: Option<i64>,
}

/// See the module.
pub(super) enum Source {
    /// Everything, by the primary key.
    Table,
    /// These, by the index.
    Of {
        /// What is found in the order of the index.
        pairs: Vec<(i32, State)>,
        /// What waits for a retry or behind a key, the newest first.
        waiting: Vec<i64>,
    },
}

impl Source {
    pub(super) fn of(connection: &mut AnyConnection, filter: &Filter) -> Queried<Self> {
        // An event's deliveries lie together in the table.
        if filter.event.is_some() {
            return Ok(Self::Table);
        }
        let states = filter.state.map_or_else(|| State::ALL.to_vec(), |state| vec![state]);
        let most = MAX_PAIRS / states.len();
        let Some(subscriptions) = narrowed(connection, filter, most)? else { return Ok(Self::Table) };
        let pairs: Vec<(i32, State)> =
            subscriptions.iter().flat_map(|id| states.iter().map(|state| (*id, *state))).collect();
        if !states.contains(&State::Pending) {
            return Ok(Self::Of { pairs, waiting: Vec::new() });
        }
        Ok(waiting_of(connection, &subscriptions)?.map_or(Self::Table, |waiting| Self::Of { pairs, waiting }))
    }

    /// The newest deliveries from `low` to below `high`, at most `most`.
    pub(super) fn chunk(&self, connection: &mut AnyConnection, (low, high): (i64, i64), most: usize) -> Queried<Chunk> {
        let Self::Of { pairs, waiting } = self else {
            let rows = by_id(connection, low, high, most)?;
            let below = rows.last().filter(|_| rows.len() == most).map(|row| row.0);
            return Ok(Chunk { rows, below });
        };
        let mut ids: Vec<i64> = waiting.iter().copied().filter(|id| (low..high).contains(id)).take(most).collect();
        for pair in pairs {
            ids.extend(by_index(connection, *pair, (low, high), most)?);
        }
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        // What was looked up as waiting may have been settled in between.
        ids.dedup();
        ids.truncate(most);
        let below = ids.last().copied().filter(|_| ids.len() == most);
        Ok(Chunk { rows: if ids.is_empty() { Vec::new() } else { of_ids(connection, &ids)? }, below })
    }
}

/// The subscriptions that `filter` comes down to; `None` when it does not narrow them to `most`.
fn narrowed(connection: &mut AnyConnection, filter: &Filter, most: usize) -> Queried<Option<Vec<i32>>> {
    use subscriptions::dsl;
    let look_at = if filter.host.is_some() { MAX_HOSTS } else { i64::try_from(most).unwrap_or(i64::MAX) };
    let mut query =
        dsl::subscriptions.order(dsl::id).limit(look_at + 1).select((dsl::id, dsl::target_url)).into_boxed();
    if let Some(id) = filter.subscription {
        query = query.filter(dsl::id.eq(id.as_raw()));
    }
    if let Scope::Of(owner) = filter.scope {
        query = query.filter(dsl::owner_id.eq(owner.as_raw()));
    }
    let rows: Vec<(i32, String)> = query.load(connection)?;
    if i64::try_from(rows.len()).is_ok_and(|count| count > look_at) {
        return Ok(None);
    }
    let is_meant = |url: &str| filter.host.as_ref().is_none_or(|host| is_on(url, host));
    let ids: Vec<i32> = rows.into_iter().filter(|(_, url)| is_meant(url)).map(|(id, _)| id).collect();
    Ok(if ids.len() <= most { Some(ids) } else { None })
}

/// What these subscriptions are owed and waits for something, the newest first; `None` when that is too much. A query of the
/// index for each.
fn waiting_of(connection: &mut AnyConnection, ids: &[i32]) -> Queried<Option<Vec<i64>>> {
    use deliveries::dsl;
    let mut waiting: Vec<i64> = Vec::new();
    for id in ids {
        let room = MAX_WAITING - waiting.len() + 1;
        let of_one: Vec<i64> = dsl::deliveries
            .filter(dsl::subscription_id.eq(id))
            .filter(dsl::state.eq(state_number(State::Pending)))
            .filter(dsl::due_at.gt(0))
            .limit(i64::try_from(room).unwrap_or(i64::MAX))
            .select(dsl::id)
            .load(connection)?;
        waiting.extend(of_one);
        if waiting.len() > MAX_WAITING {
            return Ok(None);
        }
    }
    waiting.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    Ok(Some(waiting))
}
