//! The state of secrets at rest, and how they move from one key to another while the engine runs.

use std::collections::BTreeMap;

use diesel::{
    AsChangeset, ExpressionMethods, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    result::Error as DieselError,
};

use super::{
    AnyConnection, Queried,
    keyring::{Key, Keyring},
    schema::subscriptions,
    sealed::{Column, Place, Stored},
    transaction::in_transaction,
};
use crate::domain::id::{OwnerId, SubscriptionId};

/// The columns with secrets, as they are stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = subscriptions)]
struct Row {
    id: i32,
    owner_id: i32,
    version: i64,
    #[diesel(embed)]
    columns: Columns,
}

#[derive(Queryable, Selectable, AsChangeset, Clone, PartialEq, Eq)]
#[diesel(table_name = subscriptions, treat_none_as_null = true)]
struct Columns {
    secret_key: Option<String>,
    retiring_secrets: Option<String>,
    additional_headers: String,
    config: String,
}

impl Row {
    fn place(&self) -> Place {
        Place { owner: OwnerId::from_raw(self.owner_id), id: SubscriptionId::from_raw(self.id) }
    }

    fn values(&self) -> impl Iterator<Item = (Column, &str)> {
        let Columns { secret_key, retiring_secrets, additional_headers, config } = &self.columns;
        let values = [
            (Column::SecretKey, secret_key.as_deref()),
            (Column::RetiringSecrets, retiring_secrets.as_deref()),
            (Column::AdditionalHeaders, Some(additional_headers.as_str())),
            (Column::Config, Some(config.as_str())),
        ];
        values.into_iter().filter_map(|(column, value)| Some((column, value?)))
    }

    /// The same secrets under the key that seals; what is under it already stays as it is.
    fn resealed(&self, keys: &Keyring) -> Queried<Columns> {
        let place = self.place();
        let reseal = |column, stored: &str| -> Queried<String> {
            let text = keys.open(place, column, stored);
            let text = text.map_err(|error| DieselError::DeserializationError(Box::new(error)))?;
            let is_done = is_under(Stored::read(stored), keys.sealing().map(Key::id));
            Ok(if is_done { stored.to_owned() } else { keys.seal(place, column, &text) })
        };
        let optional = |column, stored: Option<&str>| stored.map(|stored| reseal(column, stored)).transpose();
        Ok(Columns {
            secret_key: optional(Column::SecretKey, self.columns.secret_key.as_deref())?,
            retiring_secrets: optional(Column::RetiringSecrets, self.columns.retiring_secrets.as_deref())?,
            additional_headers: reseal(Column::AdditionalHeaders, &self.columns.additional_headers)?,
            config: reseal(Column::Config, &self.columns.config)?,
        })
    }
}

fn is_under(stored: Stored<'_>, sealing: Option<&str>) -> bool {
    match stored {
        Stored::Plain(_) => sealing.is_none(),
        Stored::Sealed { key, .. } => sealing == Some(key),
        Stored::Unknown => false,
    }
}

fn rows(connection: &mut AnyConnection, after: SubscriptionId, limit: i64) -> Queried<Vec<Row>> {
    subscriptions::table
        .filter(subscriptions::id.gt(after.as_raw()))
        .order(subscriptions::id)
        .limit(limit)
        .select(Row::as_select())
        .load(connection)
}

/// What became of a page of subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Subscriptions looked at.
    pub seen: usize,
    /// Those whose secrets are under another key now.
    pub moved: usize,
    /// Those that were changed by somebody else in the same moment: look at them again.
    pub contested: usize,
    /// The last one; `None` when there was none.
    pub last: Option<SubscriptionId>,
}

/// Puts the secrets of the `limit` subscriptions after `after` under the key that seals. One transaction. What is under it
/// already is left alone, so it can be run again at any time; a subscription that is changed in the same moment keeps that
/// change. Nothing of a subscription is different after it, so its version stays.
///
/// # Errors
/// A secret that none of `keys` opens: nothing of the page was changed.
pub fn reseal_page(
    connection: &mut AnyConnection,
    keys: &Keyring,
    after: SubscriptionId,
    limit: i64,
) -> Queried<Resealed> {
    in_transaction(connection, |connection| {
        let rows = rows(connection, after, limit)?;
        let last = rows.last().map(|row| SubscriptionId::from_raw(row.id));
        let mut page = Resealed { seen: rows.len(), last, ..Resealed::default() };
        for row in rows {
            let columns = row.resealed(keys)?;
            if columns == row.columns {
                continue;
            }
            let same = subscriptions::table.find(row.id).filter(subscriptions::version.eq(row.version));
            match diesel::update(same).set(columns).execute(connection)? {
                0 => page.contested += 1,
                _ => page.moved += 1,
            }
        }
        Ok(page)
    })
}

/// Makes the database file forget what was written over, as far as it can: old rows stay in the free space of `SQLite`'s pages
/// and in its journal otherwise. What was left there long ago only `VACUUM` clears. To be called before the first [`reseal_page`] and after the last one.
///
/// # Errors
/// One to be run again after, while somebody else copies `SQLite`'s log or reads in it for long.
pub fn wipe_traces(connection: &mut AnyConnection) -> Queried<()> {
    match connection {
        // Servers purge old rows by themselves; their logs are the business of whoever runs them.
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => Ok(()),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(_) => {
            use diesel::connection::SimpleConnection;
            connection.batch_execute("PRAGMA secure_delete = ON")?;
            super::checkpoint::empty(connection)
        }
    }
}

/// Values in the columns with secrets, by how they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// In plain text.
    pub plain: u64,
    /// Sealed, by the id of the key.
    pub sealed: BTreeMap<String, u64>,
    /// Those of them that none of the keys opens, each with the reason; the first few.
    pub unopened: Vec<String>,
    /// How many there are of them.
    pub unopened_count: u64,
}

/// The most reasons that a [`Census`] keeps.
const MAX_REASONS: usize = 10;

/// Counts the values of the `limit` subscriptions after `after` into `census`, and tries to open each; gives the last one,
/// `None` when there was none. One query.
///
/// # Errors
/// None of its own.
pub fn take_census(
    connection: &mut AnyConnection,
    keys: &Keyring,
    census: &mut Census,
    after: SubscriptionId,
    limit: i64,
) -> Queried<Option<SubscriptionId>> {
    let rows = rows(connection, after, limit)?;
    for row in &rows {
        for (column, stored) in row.values() {
            match Stored::read(stored) {
                Stored::Plain(_) => census.plain += 1,
                Stored::Sealed { key, .. } => *census.sealed.entry(key.to_owned()).or_default() += 1,
                Stored::Unknown => {}
            }
            if let Err(error) = keys.open(row.place(), column, stored) {
                census.unopened_count += 1;
                if census.unopened.len() < MAX_REASONS {
                    census.unopened.push(error.to_string());
                }
            }
        }
    }
    Ok(rows.last().map(|row| SubscriptionId::from_raw(row.id)))
}
