//! SQLite's log (the WAL), copied into the file beside the writer instead of by it.
//!
//! Left to itself, SQLite lets the commit that makes the log long copy all of it, and everybody who waits for that commit waits
//! for that, too. Here another connection copies while the writer goes on. When it has caught up, the next transaction begins
//! the log anew.

use std::time::Duration;

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Integer};

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
/// What is written while the log is copied is copied after it, so many times. The busiest writer is always ahead: it copies the
/// log itself when that has become very long (`wal_autocheckpoint`).
const ROUNDS: u32 = 8;
/// After trouble.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the log is.
#[derive(Debug, QueryableByName)]
struct Log {
    /// Pages in it; -1 when the file has none.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// Those of them that are in the file, too.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// Keeps the log of an SQLite file short, for as long as it is polled. A server keeps its own: then it ends at once.
pub async fn keep_short(store: Store) {
    while store.has_log() {
        store.written().await;
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = shorten(&store).await {
            log::warn!(error:% = error; "the log of the database could not be copied into its file");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn shorten(store: &Store) -> Result<(), StoreError> {
    let mut left = store.run(Lane::Checkpoint, not_copied).await?;
    if left < MANY {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        left = store.run(Lane::Checkpoint, copy).await?;
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// Copies what is in the log now, and gives how many pages came meanwhile. PASSIVE waits for nobody, and nobody for it.
fn copy(connection: &mut AnyConnection) -> Queried<i32> {
    pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    // That counts up to where the log ended when it began.
    not_copied(connection)
}

/// The pages of the log that are not in the file yet.
///
/// # Errors
/// What the database says.
pub fn not_copied(connection: &mut AnyConnection) -> Queried<i32> {
    let Log { log, checkpointed } = pragma(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    Ok(log - checkpointed)
}

fn pragma(connection: &mut AnyConnection, pragma: &str) -> Queried<Log> {
    match connection {
        AnyConnection::Sqlite(connection) => sql_query(pragma).get_result(connection),
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => Ok(Log { log: 0, checkpointed: 0 }),
    }
}
