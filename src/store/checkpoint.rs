//! SQLite's log (the WAL), copied into the file beside the writer instead of by it.
//!
//! Left to itself, SQLite lets the commit that makes the log long copy all of it, and everybody who waits for that commit waits
//! for that, too. Here another connection copies while the writer goes on. When it has caught up, and nobody reads in the log
//! any more, the next transaction begins it anew.

use std::{fmt::Display, time::Duration};

use diesel::{
    QueryableByName, RunQueryDsl,
    result::{DatabaseErrorKind, Error as DieselError},
    sql_query,
    sql_types::Integer,
};

use super::{
    Queried,
    connection::AnyConnection,
    error::StoreError,
    pool::{Lane, Store},
};

/// Pages of the log that are worth copying: 16 MiB. A page that changed many times is copied once.
pub const MANY: i32 = 4_000;
/// How often the length of the log is looked at while somebody writes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is written while the log is copied is copied after it, so many times.
const ROUNDS: u32 = 8;
/// Pages that came during a round, past which the next will find as many: the busiest writer is always ahead. It copies the
/// log itself when that has become very long (`wal_autocheckpoint`).
const AHEAD: i32 = 200;
/// After trouble.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the log is.
#[derive(Debug, QueryableByName)]
pub struct Log {
    /// Whether somebody else is copying.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// Pages in it; less than 0 when that is not known.
    #[diesel(sql_type = Integer, column_name = "log")]
    pub pages: i32,
    /// Those of them that are in the file, too.
    #[diesel(sql_type = Integer, column_name = "checkpointed")]
    copied: i32,
}

impl Log {
    /// Pages that are not in the file yet.
    #[must_use]
    pub const fn left(&self) -> i32 {
        self.pages - self.copied
    }
}

/// Keeps the log of an SQLite file short, for as long as it is polled. A server keeps its own: then it ends at once.
pub async fn keep_short(store: Store) {
    while store.has_log() {
        store.written().await;
        tokio::time::sleep(LOOK_EVERY).await;
        loop {
            match shorten(&store).await {
                Ok(true) => break,
                Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => {
                    warn_of(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether the log is short, or will be with the next transaction.
async fn shorten(store: &Store) -> Result<bool, StoreError> {
    let mut log = store.run(Lane::Checkpoint, length).await?;
    // Once it is long, only a log of which nothing is left begins anew.
    for _ in 0..ROUNDS {
        if log.pages < MANY || log.left() == 0 {
            return Ok(true);
        }
        log = store.run(Lane::Checkpoint, copy).await?;
        if log.left() > AHEAD {
            break;
        }
    }
    Ok(log.left() == 0)
}

/// Copies what is in the log now, and tells how long it is then. PASSIVE waits for nobody, and nobody for it.
fn copy(connection: &mut AnyConnection) -> Queried<Log> {
    pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    // That counts up to where the log ended when it began.
    length(connection)
}

/// Looks how long the log is.
///
/// # Errors
/// What the database says.
pub fn length(connection: &mut AnyConnection) -> Queried<Log> {
    pragma(connection, "PRAGMA wal_checkpoint(NOOP)")
}

/// Copies all of the log, whatever its length, so that it begins anew: the disk is full, and the file may have room inside.
pub(super) fn make_room(connection: &mut AnyConnection) {
    if let Err(error) = copy(connection) {
        warn_of(&error);
    }
}

fn warn_of(error: &impl Display) {
    log::warn!(error:% = error; "the log of the database could not be copied into its file");
}

/// Copies all of the log and cuts it off, so that nothing of the past stays in it.
///
/// # Errors
/// One to be run again after, when somebody else is copying or reads in it for long.
pub(super) fn empty(connection: &mut AnyConnection) -> Queried<()> {
    match pragma(connection, "PRAGMA wal_checkpoint(TRUNCATE)")?.busy {
        0 => Ok(()),
        _ => Err(DieselError::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new("database is locked: its log cannot be emptied".to_owned()),
        )),
    }
}

fn pragma(connection: &mut AnyConnection, pragma: &str) -> Queried<Log> {
    match connection {
        AnyConnection::Sqlite(connection) => sql_query(pragma).get_result(connection),
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => Ok(Log { busy: 0, pages: 0, copied: 0 }),
    }
}
