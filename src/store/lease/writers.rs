//! Sessions that write, on a server: each is known by a lock of its own, and can be ended.

use std::time::Duration;

use diesel::{
    MysqlConnection, QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::sql, select, sql_types::BigInt,
};
use tokio::time::Instant;

use crate::store::{
    StoreError,
    blocking::pause,
    named_lock::{NamedLock, SessionId},
};

/// Sessions of writers that are told from each other. A pool has four; those of lost connections may linger.
pub(super) const WRITERS: u32 = 64;
/// Between two looks whether sessions are over, and for how long they are looked after at a stretch.
const ENDING_PAUSE: Duration = Duration::from_millis(10);
const ENDING: Duration = Duration::from_secs(5);

/// A session that writes, and which of the locks it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Writer {
    pub(super) number: u32,
    pub(super) id: SessionId,
}

/// The lock of a session that writes.
pub(super) fn writer(number: u32) -> NamedLock {
    NamedLock::of_database(&format!("writer.{number}"))
}

/// Ends the sessions in which others write; whether they are over.
pub(super) fn end_writers(session: &mut MysqlConnection) -> Result<bool, StoreError> {
    let names: Vec<_> = (0..WRITERS).map(|number| format!("SELECT {} AS id", writer(number).holder_sql())).collect();
    let query = format!("id FROM ({}) AS writers WHERE id IS NOT NULL", names.join(" UNION ALL "));
    end_all(session, |session| select(sql::<BigInt>(&query)).load(session))
}

/// Ends the sessions that `look` finds, and looks again for 5 s; whether none is left. What they have written is kept or undone
/// as a whole by then.
pub(super) fn end_all(
    session: &mut MysqlConnection,
    look: impl Fn(&mut MysqlConnection) -> QueryResult<Vec<SessionId>>,
) -> Result<bool, StoreError> {
    let (mut refused, began_at) = (None, Instant::now());
    while began_at.elapsed() < ENDING {
        let left = look(session)?;
        if left.is_empty() {
            return Ok(true);
        }
        for id in left {
            refused = end(session, id).err().map(|error| (id, error)).or(refused);
        }
        pause(ENDING_PAUSE);
    }
    match refused {
        Some((id, error)) => log::warn!(session = id, error:% = error; "a session that wrote before does not end"),
        None => log::warn!("waiting for sessions to end that wrote before"),
    }
    Ok(false)
}

/// Ends a session. Fails for one that is gone, and for one of another user.
pub(super) fn end(session: &mut MysqlConnection, id: SessionId) -> QueryResult<()> {
    session.batch_execute(&format!("KILL {id}"))
}
