//! Lists of any length, filtered and ordered, for those who want all of them.
//!
//! A list is read in two steps, so that memory stays flat whatever its length: the ids of a window of rows in their order,
//! then the rows of a few ids at a time. In the order of the ids the next window begins behind the last id; in any other
//! order it skips as many rows as came before, so that a row which moves between two windows may be missed or come twice.

pub mod attempted;
pub mod registered;
pub mod waiting;

use diesel::sql_types::Text;

use super::{AnyConnection, Keyring, Queried};

diesel::define_sql_function! {
    /// Lower case, of all letters.
    fn lower(text: Text) -> Text;
}

/// SQLite's own knows only the letters of ASCII.
#[cfg(feature = "sqlite")]
pub(super) fn teach_lower(connection: &mut diesel::SqliteConnection) -> diesel::QueryResult<()> {
    lower_utils::register_impl(connection, |text: String| text.to_lowercase())
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Behind so many rows.
    Rows(i64),
    /// Behind the row with this id; only in the order of the ids.
    UpTo(i64),
}

/// A filtered and ordered list.
pub trait List: Clone + Send + 'static {
    /// An entry.
    type Row: Send + 'static;

    /// Which way the ids run, when the order is that of the ids.
    fn by_id(&self) -> Option<Direction>;

    /// How many entries there are. One query.
    ///
    /// # Errors
    /// None of its own.
    fn count(&self, connection: &mut AnyConnection) -> Queried<i64>;

    /// The ids of a window of at most `limit` rows, in order. One query.
    ///
    /// # Errors
    /// None of its own.
    fn ids(&self, connection: &mut AnyConnection, skip: Skip, limit: i64) -> Queried<Vec<i64>>;

    /// The entries with these ids, in the order of `ids`; those that are gone, or no longer belong to the list, are left
    /// out. A few queries.
    ///
    /// # Errors
    /// A row that this version, or none of `keys`, can read.
    fn rows(&self, connection: &mut AnyConnection, keys: &Keyring, ids: &[i64]) -> Queried<Vec<Self::Row>>;
}

/// Orders a boxed query by a column or an expression.
macro_rules! then_by {
    ($query:expr, $direction:expr, $key:expr) => {
        match $direction {
            $crate::store::lists::Direction::Ascending => $query.then_order_by($key.asc()),
            $crate::store::lists::Direction::Descending => $query.then_order_by($key.desc()),
        }
    };
}

/// Begins a boxed query behind what is skipped; `$id` is the column with the ids, of type `$number`.
macro_rules! skipping {
    ($query:expr, $skip:expr, $by_id:expr, $id:expr, $number:ty) => {
        match $skip {
            $crate::store::lists::Skip::Rows(rows) => $query.offset(rows),
            $crate::store::lists::Skip::UpTo(id) => {
                let id = <$number>::try_from(id).unwrap_or(<$number>::MAX);
                match $by_id {
                    Some($crate::store::lists::Direction::Descending) => $query.filter($id.lt(id)),
                    Some($crate::store::lists::Direction::Ascending) | None => $query.filter($id.gt(id)),
                }
            }
        }
    };
}
use {skipping, then_by};

/// `rows` in the order of `ids`.
fn in_order<T>(ids: &[i64], rows: Vec<T>, id_of: impl Fn(&T) -> i64) -> Vec<T> {
    let mut by_id: std::collections::HashMap<i64, T> = rows.into_iter().map(|row| (id_of(&row), row)).collect();
    ids.iter().filter_map(|id| by_id.remove(id)).collect()
}
