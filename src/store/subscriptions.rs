//! Subscriptions: standing orders and their holds.

use std::time::Duration;

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    insert_into,
    result::{DatabaseErrorKind, Error as DieselError},
};

use super::{
    AnyConnection, Queried,
    connection::on_each,
    schema::subscriptions,
    transaction::in_transaction,
    values::{corrupt, ordering_from, ordering_number},
};
use crate::domain::{
    event_type::EventType,
    hold::Hold,
    id::{OwnerId, SubscriptionId},
    owner::Scope,
    queue::Rate,
    secret::Secret,
    subscription::{Config, Flow, MAX_MAX_IN_FLIGHT, Subscription, Terms},
    time::Timestamp,
};

/// What became of a change to the subscriptions.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It was made; this is the subscription now.
    Made(Box<Subscription>),
    /// The owner has a subscription with this event type and endpoint already, active or not.
    AlreadyRegistered,
    /// There is no such subscription, or not for the one who asks.
    NotFound,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = subscriptions)]
struct Row {
    id: i32,
    owner_id: i32,
    version: i64,
    event_type: String,
    target_url: String,
    is_active: bool,
    secret_key: Option<String>,
    retry_countdown_config: String,
    callback: Option<String>,
    additional_headers: String,
    config: String,
    max_in_flight: i32,
    held_since: Option<i64>,
    held_until: Option<i64>,
    held_reason: Option<String>,
    held_by: Option<String>,
    created_at: i64,
    modified_at: i64,
    ordering: i16,
    rate_per_second: Option<i32>,
    rate_burst: Option<i32>,
    max_age_seconds: Option<i64>,
}

impl Row {
    fn flow(&self) -> Queried<Flow> {
        let positive = |number: i32| u32::try_from(number).unwrap_or(1).max(1);
        Ok(Flow {
            max_in_flight: u16::try_from(self.max_in_flight).unwrap_or(1).clamp(1, MAX_MAX_IN_FLIGHT),
            ordering: ordering_from(self.ordering)?,
            rate: self.rate_per_second.map(|per_second| Rate {
                per_second: positive(per_second),
                burst: self.rate_burst.map_or(1, positive),
            }),
            max_age: self
                .max_age_seconds
                .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default())),
        })
    }

    fn into_subscription(self) -> Queried<Subscription> {
        let unreadable = |column: &str, error: String| corrupt(format!("subscription {}, {column}: {error}", self.id));
        let config = serde_json::from_str(&self.config).map_err(|error| unreadable("config", error.to_string()))?;
        let terms = Terms {
            event_type: EventType::parse(&self.event_type).map_err(|e| unreadable("event_type", e.to_string()))?,
            retry: serde_json::from_str(&self.retry_countdown_config)
                .map_err(|error| unreadable("retry_countdown_config", error.to_string()))?,
            additional_headers: serde_json::from_str(&self.additional_headers)
                .map_err(|error| unreadable("additional_headers", error.to_string()))?,
            config: Config::new(config).map_err(|error| unreadable("config", error.to_string()))?,
            flow: self.flow()?,
            target_url: self.target_url,
            secret: self.secret_key.map(Secret::new),
            is_active: self.is_active,
            callback: self.callback,
        };
        let hold = self.held_since.map(|since| Hold {
            since: Timestamp::from_micros(since),
            until: self.held_until.map(Timestamp::from_micros),
            reason: self.held_reason,
            by: self.held_by.unwrap_or_default(),
        });
        Ok(Subscription {
            id: SubscriptionId::from_raw(self.id),
            owner: OwnerId::from_raw(self.owner_id),
            version: self.version,
            terms,
            hold,
            created_at: Timestamp::from_micros(self.created_at),
            modified_at: Timestamp::from_micros(self.modified_at),
        })
    }
}

/// The columns that an owner decides about.
#[derive(Insertable, diesel::AsChangeset)]
#[diesel(table_name = subscriptions, treat_none_as_null = true, treat_none_as_default_value = false)]
struct TermsRow {
    event_type: String,
    target_url: String,
    is_active: bool,
    secret_key: Option<String>,
    retry_countdown_config: String,
    callback: Option<String>,
    additional_headers: String,
    config: String,
    max_in_flight: i32,
    ordering: i16,
    rate_per_second: Option<i32>,
    rate_burst: Option<i32>,
    max_age_seconds: Option<i64>,
}

impl TermsRow {
    fn from(terms: &Terms) -> Queried<Self> {
        let json =
            |result: serde_json::Result<String>| result.map_err(|e| DieselError::SerializationError(Box::new(e)));
        Ok(Self {
            event_type: terms.event_type.to_string(),
            target_url: terms.target_url.clone(),
            is_active: terms.is_active,
            secret_key: terms.secret.as_ref().map(|secret| secret.reveal().to_owned()),
            retry_countdown_config: json(serde_json::to_string(&terms.retry))?,
            callback: terms.callback.clone(),
            additional_headers: json(serde_json::to_string(&terms.additional_headers))?,
            config: json(serde_json::to_string(terms.config.raw()))?,
            max_in_flight: i32::from(terms.flow.max_in_flight),
            ordering: ordering_number(terms.flow.ordering),
            rate_per_second: terms.flow.rate.map(|rate| i32::try_from(rate.per_second).unwrap_or(i32::MAX)),
            rate_burst: terms.flow.rate.map(|rate| i32::try_from(rate.burst).unwrap_or(i32::MAX)),
            max_age_seconds: terms.flow.max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = subscriptions)]
struct NewRow {
    owner_id: i32,
    version: i64,
    #[diesel(embed)]
    terms: TermsRow,
    created_at: i64,
    modified_at: i64,
}

/// Stores a new subscription. One transaction.
///
/// # Errors
/// None of its own: a registration that exists already is a [`Change`].
pub fn create(connection: &mut AnyConnection, owner: OwnerId, terms: &Terms, now: Timestamp) -> Queried<Change> {
    let row = NewRow {
        owner_id: owner.as_raw(),
        version: 1,
        terms: TermsRow::from(terms)?,
        created_at: now.as_micros(),
        modified_at: now.as_micros(),
    };
    let created = in_transaction(connection, |connection| {
        on_each!(connection, c => insert_into(subscriptions::table).values(&row).execute(c).map(drop))?;
        registered(connection, owner, terms)
    });
    made_unless_registered(created.and_then(|created| created.ok_or(DieselError::NotFound)))
}

#[derive(Insertable)]
#[diesel(table_name = subscriptions)]
struct NumberedRow {
    id: i32,
    #[diesel(embed)]
    row: NewRow,
}

/// Inserts a subscription under the id that it has, as its first version; the ids that the database gives go on behind it.
pub(super) fn insert_numbered(connection: &mut AnyConnection, subscription: &Subscription) -> Queried<()> {
    let row = NewRow {
        owner_id: subscription.owner.as_raw(),
        version: 1,
        terms: TermsRow::from(&subscription.terms)?,
        created_at: subscription.created_at.as_micros(),
        modified_at: subscription.modified_at.as_micros(),
    };
    let row = NumberedRow { id: subscription.id.as_raw(), row };
    on_each!(connection, c => insert_into(subscriptions::table).values(&row).execute(c).map(drop))
}

/// The subscription of `owner` with the event type and endpoint of `terms`.
pub(super) fn registered(
    connection: &mut AnyConnection,
    owner: OwnerId,
    terms: &Terms,
) -> Queried<Option<Subscription>> {
    use subscriptions::dsl;
    let row: Option<Row> = dsl::subscriptions
        .filter(dsl::owner_id.eq(owner.as_raw()))
        .filter(dsl::target_url.eq(&terms.target_url))
        .filter(dsl::event_type.eq(terms.event_type.as_str()))
        .select(Row::as_select())
        .first(connection)
        .optional()?;
    row.map(Row::into_subscription).transpose()
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
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, scope: Scope, id: SubscriptionId) -> Queried<Option<Subscription>> {
    let mut query =
        subscriptions::table.filter(subscriptions::id.eq(id.as_raw())).select(Row::as_select()).into_boxed();
    if let Scope::Of(owner) = scope {
        query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
    }
    let row: Option<Row> = query.first(connection).optional()?;
    row.map(Row::into_subscription).transpose()
}

/// Subscriptions in `scope` after `after`, in the order of their ids, at most `limit`. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn page(
    connection: &mut AnyConnection,
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
    rows.into_iter().map(Row::into_subscription).collect()
}

/// The subscriptions with these ids, in no particular order. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn of_ids(connection: &mut AnyConnection, ids: &[SubscriptionId]) -> Queried<Vec<Subscription>> {
    let ids = ids.iter().map(|id| id.as_raw());
    let rows: Vec<Row> =
        subscriptions::table.filter(subscriptions::id.eq_any(ids)).select(Row::as_select()).load(connection)?;
    rows.into_iter().map(Row::into_subscription).collect()
}

/// Changes the terms of a subscription by `edit`, which gets the present ones. One transaction.
///
/// # Errors
/// None of its own: a registration that exists already is a [`Change`].
pub fn change_terms(
    connection: &mut AnyConnection,
    scope: Scope,
    id: SubscriptionId,
    edit: &impl Fn(&Terms) -> Terms,
    now: Timestamp,
) -> Queried<Change> {
    change(connection, scope, id, |connection, subscription| {
        let terms = TermsRow::from(&edit(&subscription.terms))?;
        let row = subscriptions::table.find(id.as_raw()).filter(subscriptions::version.eq(subscription.version));
        diesel::update(row)
            .set((
                terms,
                subscriptions::version.eq(subscription.version + 1),
                subscriptions::modified_at.eq(now.as_micros()),
            ))
            .execute(connection)
    })
}

/// Pauses a subscription, or resumes it with `None`. One transaction. `modified_at`, which the contract shows to the owner,
/// stays as it is.
///
/// # Errors
/// None of its own.
pub fn set_hold(
    connection: &mut AnyConnection,
    scope: Scope,
    id: SubscriptionId,
    hold: Option<&Hold>,
) -> Queried<Change> {
    use subscriptions::dsl;
    change(connection, scope, id, |connection, subscription| {
        let row = dsl::subscriptions.find(id.as_raw()).filter(dsl::version.eq(subscription.version));
        diesel::update(row)
            .set((
                dsl::held_since.eq(hold.map(|hold| hold.since.as_micros())),
                dsl::held_until.eq(hold.and_then(|hold| hold.until).map(Timestamp::as_micros)),
                dsl::held_reason.eq(hold.and_then(|hold| hold.reason.as_deref())),
                dsl::held_by.eq(hold.map(|hold| hold.by.as_str())),
                dsl::version.eq(subscription.version + 1),
            ))
            .execute(connection)
    })
}

/// Runs `update`, which changes the row of the version it is given, until no other change comes in between.
fn change(
    connection: &mut AnyConnection,
    scope: Scope,
    id: SubscriptionId,
    update: impl Fn(&mut AnyConnection, &Subscription) -> Queried<usize>,
) -> Queried<Change> {
    loop {
        let Some(present) = get(connection, scope, id)? else { return Ok(Change::NotFound) };
        let changed = in_transaction(connection, |connection| {
            if update(connection, &present)? == 0 {
                return Ok(None);
            }
            get(connection, scope, id)
        });
        match changed {
            Ok(None) => {}
            Ok(Some(subscription)) => return made_unless_registered(Ok(subscription)),
            Err(error) => return made_unless_registered(Err(error)),
        }
    }
}
