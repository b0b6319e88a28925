//! Subscriptions: standing orders.

pub mod bulk;
pub mod failing;
pub mod holds;
pub(super) mod numbered;
pub mod ramp;
pub(super) mod row;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper, insert_into,
    result::{DatabaseErrorKind, Error as DieselError},
};

use self::row::{NewRow, OpenTerms, Row, SealedTerms};
use super::{
    AnyConnection, Queried, connection::on_each, keyring::Keyring, schema::subscriptions, sealed::Place,
    transaction::in_transaction,
};
use crate::domain::{
    id::{OwnerId, SubscriptionId},
    owner::Scope,
    subscription::{Subscription, Terms},
    time::Timestamp,
};

/// What became of a change to the subscriptions.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was made; this is the subscription now.
    Made(Box<Subscription>),
    /// The owner has a subscription with this event type and endpoint already, active or not.
    AlreadyRegistered,
    /// It has this version, and the change was meant for another.
    Outdated(i64),
    /// There is no such subscription, or not for the one who asks.
    NotFound,
}

/// Stores a new subscription. One transaction.
///
/// # Errors
/// None of its own: a registration that exists already is a [`Change`].
pub fn create(
    connection: &mut AnyConnection,
    keys: &Keyring,
    owner: OwnerId,
    terms: &Terms,
    now: Timestamp,
) -> Queried<Change> {
    let row = NewRow {
        owner_id: owner.as_raw(),
        version: 1,
        terms: OpenTerms::from(terms)?,
        sealed: SealedTerms::default(),
        created_at: now.as_micros(),
        modified_at: now.as_micros(),
    };
    let created = in_transaction(connection, |connection| {
        on_each!(connection, c => insert_into(subscriptions::table).values(&row).execute(c).map(drop))?;
        let id = registered(connection, owner, terms)?;
        // Secrets are sealed for the row that they stand in, which has an id only now.
        let sealed = SealedTerms::from(terms, keys, Place { owner, id })?;
        diesel::update(subscriptions::table.find(id.as_raw())).set(sealed).execute(connection)?;
        get(connection, keys, Scope::All, id)
    });
    made_unless_registered(created.and_then(|created| created.ok_or(DieselError::NotFound)))
}

/// The subscription of `owner` with the event type and endpoint of `terms`.
pub(super) fn registered(connection: &mut AnyConnection, owner: OwnerId, terms: &Terms) -> Queried<SubscriptionId> {
    use subscriptions::dsl;
    let id: i32 = dsl::subscriptions
        .filter(dsl::owner_id.eq(owner.as_raw()))
        .filter(dsl::target_url.eq(&terms.target_url))
        .filter(dsl::event_type.eq(terms.event_type.as_str()))
        .select(dsl::id)
        .first(connection)?;
    Ok(SubscriptionId::from_raw(id))
}

/// The subscription that stands in the way of registering `terms` for `owner`. One query.
///
/// # Errors
/// None of its own.
pub fn find_registered(
    connection: &mut AnyConnection,
    owner: OwnerId,
    terms: &Terms,
) -> Queried<Option<SubscriptionId>> {
    registered(connection, owner, terms).optional()
}

fn made_unless_registered(result: Queried<Subscription>) -> Queried<Change> {
    match result {
        Ok(subscription) => Ok(Change::Made(Box::new(subscription))),
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(Change::AlreadyRegistered),
        Err(error) => Err(error),
    }
}

/// One subscription, if `scope` includes it. One query.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn get(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
) -> Queried<Option<Subscription>> {
    let mut query =
        subscriptions::table.filter(subscriptions::id.eq(id.as_raw())).select(Row::as_select()).into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let row: Option<Row> = query.first(connection).optional()?;
    row.map(|row| row.into_subscription(keys)).transpose()
}

/// Subscriptions in `scope` after `after`, in the order of their ids, at most `limit`. One query.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn page(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    after: SubscriptionId,
    limit: i64,
) -> Queried<Vec<Subscription>> {
    let mut query = subscriptions::table
        .filter(subscriptions::id.gt(after.as_raw()))
        .order(subscriptions::id)
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let rows: Vec<Row> = query.load(connection)?;
    rows.into_iter().map(|row| row.into_subscription(keys)).collect()
}

/// The subscriptions with these ids, in no particular order. One query.
///
/// # Errors
/// A row that this version, or none of `keys`, can read.
pub fn of_ids(connection: &mut AnyConnection, keys: &Keyring, ids: &[SubscriptionId]) -> Queried<Vec<Subscription>> {
    let ids = ids.iter().map(|id| id.as_raw());
    let rows: Vec<Row> =
        subscriptions::table.filter(subscriptions::id.eq_any(ids)).select(Row::as_select()).load(connection)?;
    rows.into_iter().map(|row| row.into_subscription(keys)).collect()
}

/// The subscriptions whose deliveries have a maximum age. One query of the index.
///
/// # Errors
/// None of its own.
pub fn aging(connection: &mut AnyConnection) -> Queried<Vec<SubscriptionId>> {
    // Not null, in words for which SQLite has use of the index.
    let aging = subscriptions::table.filter(subscriptions::max_age_seconds.gt(0));
    let ids: Vec<i32> = aging.select(subscriptions::id).load(connection)?;
    Ok(ids.into_iter().map(SubscriptionId::from_raw).collect())
}

/// Changes the terms of a subscription by `edit`, which gets the present ones. One transaction.
///
/// # Errors
/// None of its own: a registration that exists already is a [`Change`].
pub fn change_terms(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    edit: &impl Fn(&Terms) -> Terms,
    now: Timestamp,
) -> Queried<Change> {
    change_version(connection, keys, scope, id, |_| true, edit, now)
}

/// The same, but only of a version that `is_expected`. One transaction.
///
/// # Errors
/// None of its own: another version is a [`Change`], too.
pub fn change_version(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    is_expected: impl Fn(i64) -> bool,
    edit: &impl Fn(&Terms) -> Terms,
    now: Timestamp,
) -> Queried<Change> {
    change(connection, keys, scope, id, is_expected, |connection, subscription| {
        let terms = edit(&subscription.terms);
        let sealed = SealedTerms::from(&terms, keys, Place { owner: subscription.owner, id })?;
        let row = subscriptions::table.find(id.as_raw()).filter(subscriptions::version.eq(subscription.version));
        if (&terms.target_url, terms.is_active) != (&subscription.terms.target_url, subscription.terms.is_active) {
            failing::note_failing(connection, &[(id, None)])?;
        }
        diesel::update(row)
            .set((
                OpenTerms::from(&terms)?,
                sealed,
                subscriptions::version.eq(subscription.version + 1),
                subscriptions::modified_at.eq(now.as_micros()),
            ))
            .execute(connection)
    })
}

/// Runs `update`, which changes the row of the version it is given, until no other change comes in between.
fn change(
    connection: &mut AnyConnection,
    keys: &Keyring,
    scope: Scope,
    id: SubscriptionId,
    is_expected: impl Fn(i64) -> bool,
    update: impl Fn(&mut AnyConnection, &Subscription) -> Queried<usize>,
) -> Queried<Change> {
    loop {
        let Some(present) = get(connection, keys, scope, id)? else { return Ok(Change::NotFound) };
        if !is_expected(present.version) {
            return Ok(Change::Outdated(present.version));
        }
        let changed = in_transaction(connection, |connection| {
            if update(connection, &present)? == 0 {
                return Ok(None);
            }
            get(connection, keys, scope, id)
        });
        match changed {
            Ok(None) => {}
            Ok(Some(subscription)) => return made_unless_registered(Ok(subscription)),
            Err(error) => return made_unless_registered(Err(error)),
        }
    }
}
