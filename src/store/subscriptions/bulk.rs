//! Pauses of many subscriptions at once: found by a filter, paused and resumed in pages.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};

use super::{holds::HoldColumns, of_ids};
use crate::{
    domain::{
        endpoint::{Endpoint, Host},
        event_type::EventType,
        hold::{Hold, Ramp},
        id::{OwnerId, SubscriptionId},
        owner::Scope,
        subscription::Subscription,
        time::Timestamp,
    },
    store::{AnyConnection, Queried, keyring::Keyring, schema::subscriptions, transaction::in_transaction},
};

/// Which subscriptions somebody means who pauses or resumes many at once: those to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldFilter {
    /// Whose.
    pub owner: Option<OwnerId>,
    /// For events of this type.
    pub event_type: Option<EventType>,
    /// With an endpoint on this host.
    pub host: Option<Host<String>>,
    /// Paused with exactly this reason.
    pub reason: Option<String>,
}

/// A subscription that a [`HoldFilter`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: SubscriptionId,
    /// Whether it is paused.
    pub is_held: bool,
}

/// A part of what a [`HoldFilter`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// In the order of their ids.
    pub found: Vec<Candidate>,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<SubscriptionId>,
}

/// The active subscriptions in `scope` that `filter` finds among the `limit` after `after`. One query; no secret is opened.
///
/// # Errors
/// None of its own.
pub fn candidates(
    connection: &mut AnyConnection,
    scope: Scope,
    filter: &HoldFilter,
    now: Timestamp,
    after: SubscriptionId,
    limit: i64,
) -> Queried<Candidates> {
    use subscriptions::dsl;
    let mut query = dsl::subscriptions
        .filter(dsl::id.gt(after.as_raw()))
        .filter(dsl::is_active.eq(true))
        .order(dsl::id)
        .limit(limit)
        .select((dsl::id, dsl::target_url, dsl::held_since, dsl::held_until))
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(dsl::owner_id.eq(owner.as_raw()));
    }
    if let Some(owner) = filter.owner {
        query = query.filter(dsl::owner_id.eq(owner.as_raw()));
    }
    if let Some(event_type) = &filter.event_type {
        query = query.filter(dsl::event_type.eq(event_type.as_str()));
    }
    if let Some(reason) = &filter.reason {
        query = query.filter(dsl::held_reason.eq(reason));
    }
    let rows: Vec<(i32, String, Option<i64>, Option<i64>)> = query.load(connection)?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let next = rows.last().filter(|_| is_full).map(|(id, ..)| SubscriptionId::from_raw(*id));
    let is_meant = |target_url: &str| filter.host.as_ref().is_none_or(|host| is_on(target_url, host));
    let found = rows.into_iter().filter(|(_, target_url, ..)| is_meant(target_url)).map(|(id, _, since, until)| {
        let is_held = since.is_some() && until.is_none_or(|until| now.as_micros() < until);
        Candidate { id: SubscriptionId::from_raw(id), is_held }
    });
    Ok(Candidates { found: found.collect(), next })
}

fn is_on(target_url: &str, host: &Host<String>) -> bool {
    Endpoint::parse(target_url).is_ok_and(|endpoint| endpoint.host().to_owned() == *host)
}

/// Pauses those of `ids` that are not paused; gives them. One transaction.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn hold_many(
    connection: &mut AnyConnection,
    keys: &Keyring,
    ids: &[SubscriptionId],
    hold: &Hold,
) -> Queried<Vec<Subscription>> {
    use subscriptions::dsl;
    in_transaction(connection, |connection| {
        let runs = dsl::held_since.is_null().or(dsl::held_until.le(hold.since.as_micros()));
        let rows = dsl::subscriptions.filter(dsl::id.eq_any(numbers(ids)).and(runs));
        diesel::update(rows).set((HoldColumns::paused(hold), dsl::version.eq(dsl::version + 1))).execute(connection)?;
        // Also those that an earlier run paused, of which it was not known how it ended.
        let paused = of_ids(connection, keys, ids)?.into_iter();
        Ok(paused.filter(|subscription| subscription.hold.as_ref() == Some(hold)).collect())
    })
}

/// Resumes those of `ids` that are paused, at the pace of `ramp` or at full speed; gives all that are not paused after. One
/// transaction.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn resume_many(
    connection: &mut AnyConnection,
    keys: &Keyring,
    ids: &[SubscriptionId],
    ramp: Option<Ramp>,
) -> Queried<Vec<Subscription>> {
    use subscriptions::dsl;
    in_transaction(connection, |connection| {
        let rows = dsl::subscriptions.filter(dsl::id.eq_any(numbers(ids)).and(dsl::held_since.is_not_null()));
        diesel::update(rows)
            .set((HoldColumns::resumed(ramp), dsl::version.eq(dsl::version + 1)))
            .execute(connection)?;
        of_ids(connection, keys, ids)
    })
}

fn numbers(ids: &[SubscriptionId]) -> impl Iterator<Item = i32> {
    ids.iter().map(|id| id.as_raw())
}
