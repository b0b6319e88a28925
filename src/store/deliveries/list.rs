//! Lists of deliveries, the newest first, by filters that no index serves.
//!
//! A page is the end of a walk: deliveries are taken in the order of their ids, a bounded number of them, and those that the
//! filter does not mean are left out. A walk that has come to its bound gives what it found and says where to go on, so a
//! page may be short, or empty, and not the last. What narrows a walk is the index of the queue, when the filter comes down
//! to few subscriptions. Rows that come in meanwhile have greater ids and disturb nothing; one that moves from one state to
//! another in the moment of the look may be missed.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{COLUMNS, DeliveryRow, Ending, Listed, delivery_from, event_type_from};
use crate::{
    domain::{
        attempt::FailureClass,
        delivery::{Delivery, State},
        endpoint::{Endpoint, Host},
        event_type::EventType,
        id::{DeliveryId, EventId, SubscriptionId},
        owner::Scope,
        time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        connection::MAX_PLACES,
        schema::{attempts, deliveries, events, subscriptions},
        transaction::in_snapshot,
        values::{PARKED, state_number},
    },
};

mod source;

use source::Source;

/// Deliveries looked at with one query of each table.
const CHUNK: usize = 500;
/// Deliveries looked at for one page, about.
const BOUND: usize = 5_000;

/// Which deliveries to list: those to which all of this applies. The newest come first.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// Of this subscription only.
    pub subscription: Option<SubscriptionId>,
    /// Of this event only: its id and how many deliveries it owed.
    pub event: Option<(EventId, u32)>,
    /// In this state only.
    pub state: Option<State>,
    /// Of events of this type only.
    pub event_type: Option<EventType>,
    /// Of events with this ordering key only.
    pub ordering_key: Option<String>,
    /// Of subscriptions whose endpoint is on this host now.
    pub host: Option<Host<String>>,
    /// Whose latest attempt ended like this.
    pub latest: Option<EndingFilter>,
    /// Of events accepted at this instant or later.
    pub from: Option<Timestamp>,
    /// Of events accepted before this instant.
    pub to: Option<Timestamp>,
    /// Older than this one only: where the page before ended.
    pub before: Option<DeliveryId>,
    /// At most so many.
    pub limit: usize,
}

impl Filter {
    /// Everything in `scope`, up to `limit`.
    #[must_use]
    pub const fn all(scope: Scope, limit: usize) -> Self {
        Self {
            scope,
            subscription: None,
            event: None,
            state: None,
            event_type: None,
            ordering_key: None,
            host: None,
            latest: None,
            from: None,
            to: None,
            before: None,
            limit,
        }
    }

    /// The ids from `.0` to below `.1` in which everything lies that is meant. Ids carry the time of acceptance, and in a
    /// burst run ahead of it.
    fn bounds(&self) -> (i64, i64) {
        const AHEAD: std::time::Duration = std::time::Duration::from_secs(10);
        let (mut low, mut high) = (0, i64::MAX);
        if let Some((event, deliveries)) = self.event {
            let owed = event.owed_ids(deliveries);
            (low, high) = (owed.start().as_raw(), owed.end().as_raw().saturating_add(1));
        }
        if let Some(from) = self.from {
            low = low.max(DeliveryId::before(from).as_raw().saturating_add(1));
        }
        if let Some(to) = self.to {
            high = high.min(DeliveryId::before(to.after(AHEAD)).as_raw().saturating_add(1));
        }
        if let Some(before) = self.before {
            high = high.min(before.as_raw());
        }
        (low, high)
    }
}

/// How a latest attempt ended, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndingFilter {
    /// With a status from the first to the second, both included.
    Status(u16, u16),
    /// With a failure of this class.
    Failure(FailureClass),
}

impl EndingFilter {
    fn means(self, ending: Ending) -> bool {
        match (self, ending) {
            (Self::Status(least, most), Ending::Status(status)) => (least..=most).contains(&status),
            (Self::Failure(meant), Ending::Failure(class)) => meant == class,
            (Self::Status(..), Ending::Failure(_)) | (Self::Failure(_), Ending::Status(_)) => false,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What was found.
    pub found: Vec<Listed>,
    /// Where the next part begins, as its [`Filter::before`]; `None` after the last one.
    pub next: Option<DeliveryId>,
}

/// A page of deliveries, the newest first, all of one moment. Queries of primary keys and of the index of the queue, as many as the bound of a
/// walk allows.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(connection: &mut AnyConnection, filter: &Filter) -> Queried<Page> {
    in_snapshot(connection, |connection| walk(connection, filter))
}

fn walk(connection: &mut AnyConnection, filter: &Filter) -> Queried<Page> {
    let (low, mut high) = filter.bounds();
    let source = Source::of(connection, filter)?;
    let mut found = Vec::new();
    let mut looked_at = 0;
    loop {
        let most = if looked_at == 0 { filter.limit.min(CHUNK) } else { CHUNK };
        let chunk = source.chunk(connection, (low, high), most)?;
        looked_at += most;
        for listed in meant(connection, filter, chunk.rows)? {
            found.push(listed);
            if found.len() == filter.limit {
                let next = found.last().map(|last: &Listed| last.delivery.id);
                return Ok(Page { found, next });
            }
        }
        let Some(below) = chunk.below else { return Ok(Page { found, next: None }) };
        high = below;
        if looked_at >= BOUND {
            return Ok(Page { found, next: Some(DeliveryId::from_raw(high)) });
        }
    }
}

/// The deliveries of `subscription` that were attempted and wait for their retry, those first that are due first, at most
/// `most`. Queries of the index of the queue and of primary keys.
///
/// # Errors
/// A row that this version cannot read.
pub fn retrying(connection: &mut AnyConnection, subscription: SubscriptionId, most: usize) -> Queried<Vec<Listed>> {
    let rows: Vec<DeliveryRow> = deliveries::table
        .filter(deliveries::subscription_id.eq(subscription.as_raw()))
        .filter(deliveries::state.eq(state_number(State::Pending)))
        // What was never attempted waits for nothing, and what is parked for the one before it.
        .filter(deliveries::due_at.gt(0))
        .filter(deliveries::due_at.lt(PARKED))
        .order((deliveries::due_at, deliveries::id))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(COLUMNS)
        .load(connection)?;
    let mut listed = meant(connection, &Filter::all(Scope::All, most), rows)?;
    listed.sort_by_key(|listed| (listed.delivery.due_at, listed.delivery.id));
    Ok(listed)
}

/// Those of `rows` that `filter` means, with what is shown of them.
fn meant(connection: &mut AnyConnection, filter: &Filter, rows: Vec<DeliveryRow>) -> Queried<Vec<Listed>> {
    let deliveries = rows.into_iter().map(delivery_from).collect::<Queried<Vec<_>>>()?;
    let is_candidate = |delivery: &Delivery| {
        filter.state.is_none_or(|state| delivery.state == state)
            && filter.event.is_none_or(|(event, _)| delivery.event == event)
            && filter.subscription.is_none_or(|subscription| delivery.subscription == subscription)
    };
    let mut deliveries: Vec<_> = deliveries.into_iter().filter(is_candidate).collect();
    keep_visible(connection, filter, &mut deliveries)?;
    let events = events_of(connection, &deliveries)?;
    let mut listed = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let Some((event_type, ordering_key, accepted_at)) = events.get(&delivery.event.as_raw()) else { continue };
        let accepted_at = Timestamp::from_micros(*accepted_at);
        let is_meant = filter.event_type.as_ref().is_none_or(|meant| meant.as_str() == event_type)
            && filter.ordering_key.as_ref().is_none_or(|meant| ordering_key.as_ref() == Some(meant))
            && filter.from.is_none_or(|from| from <= accepted_at)
            && filter.to.is_none_or(|to| accepted_at < to);
        if is_meant {
            let (event_type, ordering_key) = (event_type_from(event_type)?, ordering_key.clone());
            listed.push(Listed { delivery, event_type, ordering_key, accepted_at, latest: None });
        }
    }
    add_endings(connection, &mut listed)?;
    if let Some(meant) = filter.latest {
        listed.retain(|listed| listed.latest.is_some_and(|ending| meant.means(ending)));
    }
    Ok(listed)
}

/// Leaves out deliveries of subscriptions that are out of scope or on another host.
fn keep_visible(connection: &mut AnyConnection, filter: &Filter, deliveries: &mut Vec<Delivery>) -> Queried<()> {
    if deliveries.is_empty() || (filter.scope == Scope::All && filter.host.is_none()) {
        return Ok(());
    }
    let mut ids: Vec<i32> = deliveries.iter().map(|delivery| delivery.subscription.as_raw()).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(i32, i32, String)> = subscriptions::table
        .filter(subscriptions::id.eq_any(ids))
        .select((subscriptions::id, subscriptions::owner_id, subscriptions::target_url))
        .load(connection)?;
    let is_visible = |(_, owner, url): &&(i32, i32, String)| {
        let is_in_scope = match filter.scope {
            Scope::All => true,
            Scope::Of(meant) => meant.as_raw() == *owner,
        };
        is_in_scope && filter.host.as_ref().is_none_or(|host| is_on(url, host))
    };
    let visible: Vec<i32> = rows.iter().filter(is_visible).map(|(id, ..)| *id).collect();
    deliveries.retain(|delivery| visible.contains(&delivery.subscription.as_raw()));
    Ok(())
}

/// Whether the endpoint of a subscription is on `host`.
fn is_on(target_url: &str, host: &Host<String>) -> bool {
    Endpoint::parse(target_url).is_ok_and(|endpoint| endpoint.host().to_owned() == *host)
}

type EventColumns = (String, Option<String>, i64);

fn events_of(connection: &mut AnyConnection, deliveries: &[Delivery]) -> Queried<HashMap<i64, EventColumns>> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let mut ids: Vec<i64> = deliveries.iter().map(|delivery| delivery.event.as_raw()).collect();
    ids.dedup();
    let rows: Vec<(i64, EventColumns)> = events::table
        .filter(events::id.eq_any(ids))
        .select((events::id, (events::event_type, events::ordering_key, events::accepted_at)))
        .load(connection)?;
    Ok(rows.into_iter().collect())
}

/// Says of each how its latest attempt ended.
fn add_endings(connection: &mut AnyConnection, listed: &mut [Listed]) -> Queried<()> {
    let attempted = listed.iter().filter(|listed| listed.delivery.attempts > 0);
    let ids: Vec<i64> = attempted.map(|listed| listed.delivery.id.as_raw()).collect();
    let mut rows: Vec<(i64, i32, Option<i16>, Option<i16>)> = Vec::with_capacity(ids.len());
    for ids in ids.chunks(MAX_PLACES) {
        let some = attempts::table.filter(attempts::delivery_id.eq_any(ids)).select((
            attempts::delivery_id,
            attempts::number,
            attempts::status,
            attempts::failure,
        ));
        rows.append(&mut some.load(connection)?);
    }
    let mut latest: HashMap<i64, (i32, Option<Ending>)> = HashMap::with_capacity(rows.len());
    for (id, number, status, failure) in rows {
        let entry = latest.entry(id).or_insert((0, None));
        if entry.0 < number {
            *entry = (number, Ending::from_columns(status, failure)?);
        }
    }
    for listed in listed {
        listed.latest = latest.get(&listed.delivery.id.as_raw()).and_then(|(_, ending)| *ending);
    }
    Ok(())
}

/// The deliveries from `low` to below `high`, the newest first. One query of the primary key.
fn by_id(connection: &mut AnyConnection, low: i64, high: i64, most: usize) -> Queried<Vec<DeliveryRow>> {
    deliveries::table
        .filter(deliveries::id.ge(low))
        .filter(deliveries::id.lt(high))
        .order(deliveries::id.desc())
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(COLUMNS)
        .load(connection)
}

/// These deliveries, the newest first. One query of the primary key.
fn of_ids(connection: &mut AnyConnection, ids: &[i64]) -> Queried<Vec<DeliveryRow>> {
    let mut rows: Vec<DeliveryRow> =
        deliveries::table.filter(deliveries::id.eq_any(ids)).select(COLUMNS).load(connection)?;
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.0));
    Ok(rows)
}

/// The newest of a subscription's deliveries in `state` that wait for nothing, from `low` to below `high`. One query of the
/// index of the queue, in its order.
fn by_index(
    connection: &mut AnyConnection,
    (subscription, state): (i32, State),
    (low, high): (i64, i64),
    most: usize,
) -> Queried<Vec<i64>> {
    use deliveries::dsl;
    dsl::deliveries
        .filter(dsl::subscription_id.eq(subscription))
        .filter(dsl::state.eq(state_number(state)))
        .filter(dsl::due_at.eq(0))
        .filter(dsl::id.ge(low))
        .filter(dsl::id.lt(high))
        .order(dsl::id.desc())
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(dsl::id)
        .load(connection)
}
