//! Pauses. Every pause is in the row of its subscription and outlives the process.
//!
//! `modified_at`, which the contract shows to the owner, stays as it is.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};

use super::{Change, change, row::Row};
use crate::{
    domain::{
        hold::{Hold, Ramp},
        id::SubscriptionId,
        owner::Scope,
        subscription::Subscription,
        time::Timestamp,
    },
    store::{AnyConnection, Queried, keyring::Keyring, schema::subscriptions, values::hold_mode_number},
};

/// The columns of a pause, and of how to catch up after it.
#[derive(diesel::AsChangeset)]
#[diesel(table_name = subscriptions, treat_none_as_null = true)]
pub(super) struct HoldColumns<'a> {
    held_since: Option<i64>,
    held_until: Option<i64>,
    held_reason: Option<&'a str>,
    held_by: Option<&'a str>,
    held_mode: Option<i16>,
    resume_per_second: Option<i32>,
    resume_up_to: Option<i64>,
    /// Somebody looked after the endpoint: whether it fails is counted anew.
    failing_since: Option<i64>,
}

impl<'a> HoldColumns<'a> {
    pub(super) fn paused(hold: &'a Hold) -> Self {
        Self {
            held_since: Some(hold.since.as_micros()),
            held_until: hold.until.map(Timestamp::as_micros),
            held_reason: hold.reason.as_deref(),
            held_by: Some(&hold.by),
            held_mode: Some(hold_mode_number(hold.mode)),
            resume_per_second: None,
            resume_up_to: None,
            failing_since: None,
        }
    }

    pub(super) fn resumed(ramp: Option<Ramp>) -> Self {
        Self {
            held_since: None,
            held_until: None,
            held_reason: None,
            held_by: None,
            held_mode: None,
            resume_per_second: ramp.map(|ramp| i32::try_from(ramp.per_second.get()).unwrap_or(i32::MAX)),
            resume_up_to: ramp.map(|ramp| ramp.up_to.as_raw()),
            failing_since: None,
        }
    }
}

/// Pauses a subscription, in place of whatever pause it has. One transaction.
///
/// # Errors
/// None of its own.
pub fn hold(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    hold: &Hold,
) -> Queried<Change> {
    set(connection, keys, scope, id, || HoldColumns::paused(hold))
}

/// Subscriptions in `scope` that are active and paused at `now`, those first that were paused last, at most `limit`. One query;
/// it reads the subscriptions, of which there are few.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn held(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    now: Timestamp,
    limit: i64,
) -> Queried<Vec<Subscription>> {
    use subscriptions::dsl;
    let mut query = dsl::subscriptions
        .select(Row::as_select())
        .filter(dsl::is_active.eq(true))
        .filter(dsl::held_since.is_not_null())
        .filter(dsl::held_until.is_null().or(dsl::held_until.gt(now.as_micros())))
        .order(dsl::held_since.desc())
        .limit(limit)
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(dsl::owner_id.eq(owner.as_raw()));
    }
    let rows: Vec<Row> = query.load(connection)?;
    rows.into_iter().map(|row| row.into_subscription(keys)).collect()
}

/// Resumes a subscription, at the pace of `ramp` or at full speed. One transaction.
///
/// # Errors
/// None of its own.
pub fn resume(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    ramp: Option<Ramp>,
) -> Queried<Change> {
    set(connection, keys, scope, id, || HoldColumns::resumed(ramp))
}

fn set<'a>(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    columns: impl Fn() -> HoldColumns<'a>,
) -> Queried<Change> {
    change(
        connection,
        keys,
        scope,
        id,
        |_| true,
        |connection, subscription| {
            let row = subscriptions::table.find(id.as_raw()).filter(subscriptions::version.eq(subscription.version));
            diesel::update(row)
                .set((columns(), subscriptions::version.eq(subscription.version + 1)))
                .execute(connection)
        },
    )
}
