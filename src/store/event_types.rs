//! Event types that somebody described: an installation's own, and what was added to the built-in ones.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, dsl::count_star, insert_into};

use super::{
    AnyConnection, Queried,
    connection::on_each,
    schema::{event_types, subscriptions},
    transaction::in_transaction,
    values::corrupt,
};
use crate::domain::{
    catalogue::{Description, MAX_TYPES, Validation},
    event_type::EventType,
    id::SubscriptionId,
    time::Timestamp,
};

/// What became of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The type was not described before.
    Added,
    /// The description replaces an earlier one.
    Replaced,
    /// There are as many as there may be.
    Full,
}

/// What became of the order to forget a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is forgotten.
    Gone,
    /// This active subscription has it, and maybe others.
    InUse(SubscriptionId),
    /// Nobody described it.
    Unknown,
}

type Row = (String, Option<String>, Option<String>, Option<String>, bool, i64, i64);

fn description_from(row: Row) -> Queried<Description> {
    let (name, text, schema, example, validates, _, _) = row;
    let event_type = EventType::parse(&name).map_err(|error| corrupt(format!("event type {name:?}: {error}")))?;
    let validation = if validates { Validation::On } else { Validation::Off };
    Ok(Description { event_type, text, schema, example, validation })
}

/// All that are described, in the order of their names; there are at most [`MAX_TYPES`]. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn all(connection: &mut AnyConnection) -> Queried<Vec<Description>> {
    let rows: Vec<Row> = event_types::table.order(event_types::name).load(connection)?;
    rows.into_iter().map(description_from).collect()
}

/// Describes a type, in place of what was said of it before. One transaction.
///
/// # Errors
/// None of its own.
pub fn put(connection: &mut AnyConnection, description: &Description, now: Timestamp) -> Queried<Put> {
    use event_types::dsl;
    in_transaction(connection, |connection| {
        let name = description.event_type.as_str();
        let columns = (
            dsl::description.eq(&description.text),
            dsl::json_schema.eq(&description.schema),
            dsl::example.eq(&description.example),
            dsl::validates.eq(description.validation == Validation::On),
            dsl::modified_at.eq(now.as_micros()),
        );
        if diesel::update(dsl::event_types.find(name)).set(columns).execute(connection)? > 0 {
            return Ok(Put::Replaced);
        }
        let count: i64 = dsl::event_types.select(count_star()).first(connection)?;
        if count >= MAX_TYPES {
            return Ok(Put::Full);
        }
        let row = (
            dsl::name.eq(name),
            dsl::description.eq(&description.text),
            dsl::json_schema.eq(&description.schema),
            dsl::example.eq(&description.example),
            dsl::validates.eq(description.validation == Validation::On),
            dsl::created_at.eq(now.as_micros()),
            dsl::modified_at.eq(now.as_micros()),
        );
        on_each!(connection, c => insert_into(event_types::table).values(row).execute(c).map(drop))?;
        Ok(Put::Added)
    })
}

/// Forgets what was said of a type, unless an active subscription has it. Events of it stay, and ended subscriptions. One
/// transaction; looks at all subscriptions.
///
/// # Errors
/// None of its own.
pub fn remove(connection: &mut AnyConnection, event_type: &EventType) -> Queried<Removed> {
    in_transaction(connection, |connection| {
        let name = event_type.as_str();
        let user: Option<i32> = subscriptions::table
            .filter(subscriptions::event_type.eq(name))
            .filter(subscriptions::is_active.eq(true))
            .order(subscriptions::id)
            .select(subscriptions::id)
            .first(connection)
            .optional()?;
        if let Some(id) = user {
            return Ok(Removed::InUse(SubscriptionId::from_raw(id)));
        }
        match diesel::delete(event_types::table.find(name)).execute(connection)? {
            0 => Ok(Removed::Unknown),
            _ => Ok(Removed::Gone),
        }
    })
}
