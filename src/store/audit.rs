//! What people changed: written in the transaction of the change, never changed itself, and kept for long. What people
//! ordered is written down behind it.

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, insert_into};
use serde_json::{Map, Value};

use super::{
    AnyConnection, Queried,
    connection::insert_rows,
    keyring::Keyring,
    schema::{audit, subscriptions},
    subscriptions::{Change, get, of_ids},
    transaction::in_transaction,
    values::corrupt,
};
use crate::domain::{
    audit::{Author, Entry},
    id::{OwnerId, SubscriptionId},
    owner::Scope,
    subscription::Subscription,
    time::Timestamp,
};

/// Entries looked at with one query.
const CHUNK: i64 = 500;
/// Entries looked at for one page, about.
const BOUND: i64 = 5_000;
/// The most bytes that are kept of what was and of what became.
const MAX_BYTES: usize = 64 * 1024;

#[derive(Insertable)]
#[diesel(table_name = audit, treat_none_as_default_value = false)]
struct NewRow<'a> {
    changed_at: i64,
    actor_id: Option<i32>,
    actor: &'a str,
    action: &'a str,
    subject: &'a str,
    owner_id: Option<i32>,
    was: Option<String>,
    became: Option<String>,
}

/// Runs `change` and writes down what `told` says of its result. One transaction, of which those that `change` begins are a
/// part.
///
/// # Errors
/// Those of `change`.
pub fn audited<T>(
    connection: &mut AnyConnection,
    author: &Author,
    now: Timestamp,
    change: impl FnOnce(&mut AnyConnection) -> Queried<T>,
    told: impl FnOnce(&T) -> Option<Entry>,
) -> Queried<T> {
    in_transaction(connection, |connection| {
        let result = change(connection)?;
        write(connection, author, now, told(&result).as_slice())?;
        Ok(result)
    })
}

/// Runs `change`, which changes subscription `id`, and writes down how. One transaction.
///
/// # Errors
/// Those of `change`, and a row that this version, or none of `keys`, can read.
pub fn audited_change(
    connection: &mut AnyConnection,
    keys: &Keyring,
    (author, action, now): (&Author, &'static str, Timestamp),
    id: SubscriptionId,
    change: impl FnOnce(&mut AnyConnection) -> Queried<Change>,
) -> Queried<Change> {
    in_transaction(connection, |connection| {
        lock(connection, &[id])?;
        let before = get(connection, keys, Scope::All, id)?;
        let result = change(connection)?;
        if let Change::Made(after) = &result {
            write(connection, author, now, Entry::subscription(action, before.as_ref(), after).as_slice())?;
        }
        Ok(result)
    })
}

/// The same for `change` of many subscriptions, which gives those that it changed. One transaction.
///
/// # Errors
/// As above.
pub fn audited_changes(
    connection: &mut AnyConnection,
    keys: &Keyring,
    (author, action, now): (&Author, &'static str, Timestamp),
    ids: &[SubscriptionId],
    change: impl FnOnce(&mut AnyConnection) -> Queried<Vec<Subscription>>,
) -> Queried<Vec<Subscription>> {
    in_transaction(connection, |connection| {
        lock(connection, ids)?;
        let before = of_ids(connection, keys, ids)?;
        let changed = change(connection)?;
        let was = |after: &Subscription| before.iter().find(|before| before.id == after.id);
        let entries: Vec<Entry> =
            changed.iter().filter_map(|after| Entry::subscription(action, was(after), after)).collect();
        write(connection, author, now, &entries)?;
        Ok(changed)
    })
}

/// Writes down what changed no row of its own: an order that is carried out elsewhere. One transaction.
///
/// # Errors
/// None of its own.
pub fn note(connection: &mut AnyConnection, author: &Author, now: Timestamp, entry: &Entry) -> Queried<()> {
    in_transaction(connection, |connection| write(connection, author, now, std::slice::from_ref(entry)))
}

/// Clears away those of the `limit` oldest entries that were written at `until` or before; gives how many. One transaction.
///
/// # Errors
/// None of its own.
pub fn prune(connection: &mut AnyConnection, until: Timestamp, limit: i64) -> Queried<usize> {
    in_transaction(connection, |connection| {
        let oldest: Vec<(i32, i64)> =
            audit::table.order(audit::id).limit(limit).select((audit::id, audit::changed_at)).load(connection)?;
        let outdated = oldest.into_iter().filter(|(_, changed_at)| *changed_at <= until.as_micros());
        let ids: Vec<i32> = outdated.map(|(id, _)| id).collect();
        diesel::delete(audit::table.filter(audit::id.eq_any(ids))).execute(connection)
    })
}

/// Holds rows still, so that what is read of them is what is changed: a write that changes nothing.
fn lock(connection: &mut AnyConnection, ids: &[SubscriptionId]) -> Queried<()> {
    let ids = ids.iter().map(|id| id.as_raw());
    diesel::update(subscriptions::table.filter(subscriptions::id.eq_any(ids)))
        .set(subscriptions::version.eq(subscriptions::version))
        .execute(connection)
        .map(drop)
}

/// Writes entries down, in the transaction that is open.
fn write(connection: &mut AnyConnection, author: &Author, now: Timestamp, entries: &[Entry]) -> Queried<()> {
    let text = |told: &Map<String, Value>| {
        let text = Value::Object(told.clone()).to_string();
        (!told.is_empty() && text.len() <= MAX_BYTES).then_some(text)
    };
    let rows: Vec<NewRow<'_>> = entries
        .iter()
        .map(|entry| NewRow {
            changed_at: now.as_micros(),
            actor_id: author.id.map(OwnerId::as_raw),
            actor: &author.name,
            action: entry.action,
            subject: &entry.subject,
            owner_id: entry.owner.map(OwnerId::as_raw),
            was: text(&entry.was),
            became: text(&entry.became),
        })
        .collect();
    insert_rows!(connection, insert_into(audit::table), rows.as_slice())
}

/// Which entries: those to which all of this applies. The newest come first.
#[derive(Clone, Debug)]
pub struct Filter {
    /// About whose affairs.
    pub scope: Scope,
    /// By this author.
    pub actor: Option<String>,
    /// With this action.
    pub action: Option<String>,
    /// About this.
    pub subject: Option<String>,
    /// Older than this one only: where the page before ended.
    pub before: Option<i32>,
    /// At most so many.
    pub limit: usize,
}

/// An entry as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The row.
    pub id: i32,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub author: Author,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What was different before.
    pub was: Option<Value>,
    /// What it became.
    pub became: Option<Value>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What was found.
    pub found: Vec<Listed>,
    /// Where the next part begins, as its [`Filter::before`]; `None` after the last one.
    pub next: Option<i32>,
}

type Row = (i32, i64, Option<i32>, String, String, String, Option<i32>, Option<String>, Option<String>);

fn listed_from(row: Row) -> Queried<Listed> {
    let (id, changed_at, actor_id, actor, action, subject, _, was, became) = row;
    let json = |text: Option<String>| {
        let read = text.map(|text| serde_json::from_str(&text)).transpose();
        read.map_err(|error| corrupt(format!("audit {id}: {error}")))
    };
    Ok(Listed {
        id,
        changed_at: Timestamp::from_micros(changed_at),
        author: Author { id: actor_id.map(OwnerId::from_raw), name: actor },
        action,
        subject,
        was: json(was)?,
        became: json(became)?,
    })
}

/// A page of entries, the newest first: what a bounded walk along the primary key, or the index of owners, finds.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(connection: &mut AnyConnection, filter: &Filter) -> Queried<Page> {
    let is_meant = |row: &Row| {
        filter.actor.as_ref().is_none_or(|actor| *actor == row.3)
            && filter.action.as_ref().is_none_or(|action| *action == row.4)
            && filter.subject.as_ref().is_none_or(|subject| *subject == row.5)
    };
    let (mut before, mut looked_at, mut found) = (filter.before.unwrap_or(i32::MAX), 0, Vec::new());
    loop {
        let mut query = audit::table.filter(audit::id.lt(before)).order(audit::id.desc()).limit(CHUNK).into_boxed();
        if let Scope::Of(owner) = filter.scope {
            query = query.filter(audit::owner_id.eq(owner.as_raw()));
        }
        let rows: Vec<Row> = query.load(connection)?;
        let below =
            rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count == CHUNK)).map(|row| row.0);
        for row in rows.into_iter().filter(is_meant) {
            let id = row.0;
            found.push(listed_from(row)?);
            if found.len() == filter.limit {
                return Ok(Page { found, next: Some(id) });
            }
        }
        let Some(below) = below else { return Ok(Page { found, next: None }) };
        (before, looked_at) = (below, looked_at + CHUNK);
        if looked_at >= BOUND {
            return Ok(Page { found, next: Some(before) });
        }
    }
}
