//! Locks by name on a server: each ends with the session that took it.
//!
//! Names are the server's, not the database's, and up to 64 characters long, as are those of databases.

use std::time::Duration;

use diesel::{
    MysqlConnection, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    dsl::sql,
    result::Error as DieselError,
    select,
    sql_types::{BigInt, Nullable},
};

/// A server that hears nothing of a session for so long ends it, and its locks: the machine is gone, or the network to it.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// Has the server end this session, and its locks, when it hears nothing of it for 30 s. Left to itself it waits for hours.
pub(super) fn end_when_silent(session: &mut MysqlConnection) -> QueryResult<()> {
    session.batch_execute(&format!("SET SESSION wait_timeout = {}", SILENCE.as_secs()))
}

/// The number that the server gives to a session; a server that was started again begins anew.
pub(super) type SessionId = i64;

/// A lock of one database.
pub(super) struct NamedLock(String);

impl NamedLock {
    /// The lock of this name that belongs to the database in which it is asked for.
    pub(super) fn of_database(name: &str) -> Self {
        Self(format!("CONCAT('postrider.{name}.', MD5(DATABASE()))"))
    }

    /// Whether the session has the lock now; waits for so many seconds.
    pub(super) fn take(&self, session: &mut MysqlConnection, wait: u32) -> QueryResult<bool> {
        let query = format!("GET_LOCK({}, {wait})", self.0);
        match select(sql::<Nullable<BigInt>>(&query)).get_result::<Option<i64>>(session)? {
            Some(taken) => Ok(taken == 1),
            None => {
                Err(DieselError::QueryBuilderError("the server gives no lock; does the URL name a database?".into()))
            }
        }
    }

    /// Gives the lock back before the session ends.
    pub(super) fn release(&self, session: &mut MysqlConnection) -> QueryResult<()> {
        let query = format!("RELEASE_LOCK({})", self.0);
        select(sql::<Nullable<BigInt>>(&query)).get_result::<Option<i64>>(session).map(drop)
    }

    /// Who has the lock.
    pub(super) fn holder(&self, session: &mut MysqlConnection) -> QueryResult<Option<SessionId>> {
        select(sql::<Nullable<BigInt>>(&self.holder_sql())).get_result(session)
    }

    /// The same as an expression within a query.
    pub(super) fn holder_sql(&self) -> String {
        format!("IS_USED_LOCK({})", self.0)
    }
}
