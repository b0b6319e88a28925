//! One connection to either database, set up for durability, and the migrations.

use diesel::{Connection, connection::SimpleConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StoreError;
#[cfg(feature = "mysql")]
use super::{
    completing,
    named_lock::{NamedLock, end_when_silent},
};

#[cfg(feature = "mysql")]
const MYSQL_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");
#[cfg(feature = "sqlite")]
const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// WAL lets readers and the writer work at once; FULL makes a commit survive a power cut, which NORMAL does not in WAL.
/// `busy_timeout` is in milliseconds: another process may hold the write lock. A quarter of a GiB may be mapped. Whoever
/// commits copies the log only when it is 64 MiB long, which `checkpoint` mostly prevents; when it was longer, because somebody
/// read in it, its file becomes shorter again.
#[cfg(feature = "sqlite")]
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 268435456; \
     PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 67108864;";

/// How often, and how long after each other, it is tried to set a file up: half a second.
#[cfg(feature = "sqlite")]
const SETUP_TRIES: u32 = 50;
#[cfg(feature = "sqlite")]
const SETUP_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// READ COMMITTED takes no gap locks, which would make the two writers wait for each other. Times are numbers, so the time
/// zone does not matter. Waiting for a row lock ends after 5 s: a transaction that is run again is better than a queue.
#[cfg(feature = "mysql")]
const MYSQL_SETUP: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET SESSION innodb_lock_wait_timeout = 5; SET NAMES utf8mb4;";

/// Seconds for which migrations wait for those of another process.
#[cfg(feature = "mysql")]
const MIGRATIONS_WAIT: u32 = 60;

pub use any::AnyConnection;

mod any {
    #![allow(missing_docs, reason = "the derive writes items without documentation beside the enum")]

    /// A connection to one of the databases that were compiled in.
    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        /// MySQL or MariaDB.
        #[cfg(feature = "mysql")]
        Mysql(diesel::MysqlConnection),
        /// An embedded file.
        #[cfg(feature = "sqlite")]
        Sqlite(diesel::SqliteConnection),
    }
}

/// Runs a statement on the real connection inside: multi-row inserts do not exist on the derived backend.
macro_rules! on_each {
    ($connection:expr, $inner:ident => $statement:expr) => {
        match $connection {
            #[cfg(feature = "mysql")]
            $crate::store::connection::AnyConnection::Mysql($inner) => $statement,
            #[cfg(feature = "sqlite")]
            $crate::store::connection::AnyConnection::Sqlite($inner) => $statement,
        }
    };
}
pub(super) use on_each;

/// Inserts a slice of rows by statements that stay prepared. A server is sent many rows at a time. `SQLite` is a function call
/// away, and to read a long statement costs it more than to carry out short ones.
macro_rules! insert_rows {
    ($connection:expr, $insert:ident($table:expr), $rows:expr) => {
        match $connection {
            #[cfg(feature = "mysql")]
            $crate::store::connection::AnyConnection::Mysql(connection) => {
                let mut rest = $rows;
                loop {
                    let (rows, later) = rest.split_at($crate::store::prepared::fitting(rest.len()));
                    let inserted = match rows {
                        [] => break Ok(()),
                        [row] => $insert($table).values(row).execute(connection),
                        rows => $crate::store::prepared::Kept($insert($table).values(rows)).execute(connection),
                    };
                    match inserted {
                        Ok(_) => rest = later,
                        Err(error) => break Err(error),
                    }
                }
            }
            #[cfg(feature = "sqlite")]
            $crate::store::connection::AnyConnection::Sqlite(connection) => {
                $rows.iter().try_for_each(|row| $insert($table).values(row).execute(connection).map(drop))
            }
        }
    };
}
pub(super) use insert_rows;

/// The most rows whose attempts one query asks for. Of an index that is not unique, MariaDB and MySQL look up how many rows
/// each place has only up to 200 places (`eq_range_index_dive_limit`); beyond, they guess, and may read the whole table.
pub(super) const MAX_PLACES: usize = 150;

/// Which database, and where.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `mysql://user:password@host:port/database`.
    #[cfg(feature = "mysql")]
    Mysql(String),
    /// `sqlite:path/of/file.db`.
    #[cfg(feature = "sqlite")]
    Sqlite(String),
}

/// The text names no database that this build can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected {expected}", expected = expected_urls())]
pub struct BadDatabaseUrl(String);

fn expected_urls() -> String {
    let mut forms = Vec::new();
    if cfg!(feature = "sqlite") {
        forms.push("sqlite:FILE");
    }
    if cfg!(feature = "mysql") {
        forms.push("mysql://USER:PASSWORD@HOST:PORT/DATABASE");
    }
    forms.join(" or ")
}

impl std::str::FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, BadDatabaseUrl> {
        #[cfg(feature = "mysql")]
        if let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) {
            return Ok(Self::Mysql(format!("mysql://{rest}")));
        }
        #[cfg(feature = "sqlite")]
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() {
                return Ok(Self::Sqlite(path.to_owned()));
            }
        }
        // The text may hold a password: only its scheme is repeated.
        Err(BadDatabaseUrl(text.split(':').next().unwrap_or_default().to_owned()))
    }
}

/// Never the password.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => "mysql://…",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "sqlite:…",
        })
    }
}

impl DatabaseUrl {
    /// How many connections may write at once: SQLite has one writer.
    pub(super) const fn writers(&self) -> usize {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => 4,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => 1,
        }
    }

    /// Whether what is written is first in a log, which somebody has to copy.
    #[cfg(feature = "sqlite")]
    pub(super) const fn has_log(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Opens a connection that commits durably.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no connection to be had.
    pub fn connect(&self) -> Result<AnyConnection, StoreError> {
        match self {
            #[cfg(feature = "mysql")]
            Self::Mysql(url) => {
                let mut connection = diesel::MysqlConnection::establish(url)?;
                connection.batch_execute(MYSQL_SETUP)?;
                Ok(AnyConnection::Mysql(connection))
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => {
                let mut connection = diesel::SqliteConnection::establish(path)?;
                set_up(&mut connection)?;
                super::lists::teach_lower(&mut connection)?;
                Ok(AnyConnection::Sqlite(connection))
            }
        }
    }
}

/// Of processes that start together on a new file one makes it a WAL, and SQLite tells the others at once that it is locked,
/// without waiting for `busy_timeout`.
#[cfg(feature = "sqlite")]
#[expect(clippy::disallowed_methods, reason = "connections are opened on threads that may block")]
fn set_up(connection: &mut diesel::SqliteConnection) -> diesel::QueryResult<()> {
    for _ in 0..SETUP_TRIES {
        match connection.batch_execute(SQLITE_SETUP) {
            Err(error) if error.to_string().contains("database is locked") => std::thread::sleep(SETUP_PAUSE),
            done => return done,
        }
    }
    connection.batch_execute(SQLITE_SETUP)
}

/// Brings the tables up to this version; gives the names of the migrations that were run. Processes that start at the same
/// time wait for each other.
///
/// # Errors
/// [`StoreError::Corrupt`] when a migration fails, [`StoreError::Unavailable`] when the connection is lost, the database is full
/// or takes no writes, or somebody else migrates for too long.
pub fn migrate(connection: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => {
            end_when_silent(connection)?;
            let lock = NamedLock::of_database("migrations");
            if !lock.take(connection, MIGRATIONS_WAIT)? {
                let why = format!("somebody else has been migrating this database for {MIGRATIONS_WAIT} s");
                return Err(StoreError::Unavailable(why));
            }
            let ran = completing::run_pending(connection, MYSQL_MIGRATIONS);
            // Of a connection that was lost this tells, whatever else went wrong: then it is worth another try.
            lock.release(connection)?;
            ran.map_err(|error| StoreError::of_migration(&*error))
        }
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => connection.immediate_transaction(|connection| {
            let ran = connection.run_pending_migrations(SQLITE_MIGRATIONS);
            let ran = ran.map_err(|error| StoreError::of_migration(&*error))?;
            Ok(ran.iter().map(ToString::to_string).collect())
        }),
    }
}

/// Undoes every migration, the newest first: only for the test that goes up, down and up again.
///
/// # Errors
/// [`StoreError::Corrupt`] when a migration cannot be undone.
pub fn unmigrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let undone = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => connection.revert_all_migrations(MYSQL_MIGRATIONS).map(|names| names.len()),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => {
            connection.revert_all_migrations(SQLITE_MIGRATIONS).map(|names| names.len())
        }
    };
    undone.map(|_| ()).map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_no_database_is_refused_without_its_password() {
        let refused = "postgres://u:hunter2@host/db".parse::<DatabaseUrl>().expect_err("no such database");
        assert!(!refused.to_string().contains("hunter2"));
        assert!("sqlite:".parse::<DatabaseUrl>().is_err());
    }
}
