//! Transactions that write.
//!
//! `SQLite` begins a transaction as a reader, and one that then wants to write while another process does is refused at once,
//! whatever `busy_timeout` says: waiting could not help a reader of an old state. Taking the write lock at the beginning waits.

use std::cell::Cell;

#[cfg(feature = "sqlite")]
use diesel::connection::AnsiTransactionManager;
use diesel::{
    Connection,
    connection::{SimpleConnection, TransactionManager},
};

use super::{AnyConnection, Queried};

type Manager = <AnyConnection as Connection>::TransactionManager;

thread_local! {
    /// Whether this thread is inside a transaction. Work has one connection and does not leave its thread; diesel cannot be
    /// asked, because our `BEGIN` for `MySQL` goes past its manager.
    static OPEN: Cell<bool> = const { Cell::new(false) };
}

/// The time in which a transaction is open on this thread; also a panic ends it.
struct Opened;

impl Opened {
    fn mark() -> Self {
        OPEN.set(true);
        Self
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        OPEN.set(false);
    }
}

/// Runs `work` in one transaction: its writes are committed together, or none when it fails. Inside a transaction that is
/// open already, `work` becomes a part of that one; when it fails, the whole has to fail.
///
/// # Errors
/// What `work` met, or why nothing could be begun or committed.
pub(super) fn in_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Queried<T>,
) -> Queried<T> {
    if OPEN.get() {
        return work(connection);
    }
    begin(connection)?;
    let _opened = Opened::mark();
    match work(connection).and_then(|value| commit(connection).map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => {
            roll_back(connection);
            Err(error)
        }
    }
}

/// Runs `work`, which reads in several queries, on one state of the database: what moves meanwhile is neither missed nor
/// found twice.
///
/// # Errors
/// What `work` met, or why nothing could be begun.
pub(super) fn in_snapshot<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Queried<T>,
) -> Queried<T> {
    let begin = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION READ ONLY",
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(_) => "BEGIN",
    };
    connection.batch_execute(begin)?;
    let result = work(connection);
    if connection.batch_execute("ROLLBACK").is_err() {
        Manager::transaction_manager_status_mut(connection).set_in_error();
    }
    result
}

fn begin(connection: &mut AnyConnection) -> Queried<()> {
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => mysql::begin(connection),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")
        }
    }
}

fn commit(connection: &mut AnyConnection) -> Queried<()> {
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => mysql::commit(connection),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => AnsiTransactionManager::commit_transaction(connection),
    }
}

/// When even this fails, the error before is what tells why: SQLite rolls back by itself when the disk is full, and then
/// complains that there is nothing to roll back. The pool drops a connection in that state.
fn roll_back(connection: &mut AnyConnection) {
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => mysql::roll_back(connection),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => {
            AnsiTransactionManager::rollback_transaction(connection).unwrap_or_default();
        }
    }
}

/// Whether a transaction of this connection could not be ended: nothing more can be done with it.
pub(super) fn is_stuck(connection: &mut AnyConnection) -> bool {
    Manager::is_broken_transaction_manager(connection)
}

/// diesel's own `BEGIN` and `COMMIT` take three round trips each: several statements at once are allowed before, and
/// forbidden after. Prepared statements take one. MySQL prepares no `BEGIN`, but `SET`, and says of this variable that
/// setting it again commits.
#[cfg(feature = "mysql")]
mod mysql {
    use diesel::{
        MysqlConnection, QueryResult, RunQueryDsl,
        connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
        mysql::Mysql,
        query_builder::{AstPass, QueryFragment, QueryId},
    };

    const BEGIN: Prepared = Prepared("SET autocommit = 0");
    const COMMIT: Prepared = Prepared("SET autocommit = 1");
    const ROLL_BACK: &str = "ROLLBACK; SET autocommit = 1";

    /// A statement that each connection prepares once.
    struct Prepared(&'static str);

    impl QueryId for Prepared {
        type QueryId = ();
        const HAS_STATIC_QUERY_ID: bool = false;
    }

    impl QueryFragment<Mysql> for Prepared {
        fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
            out.push_sql(self.0);
            Ok(())
        }
    }

    impl RunQueryDsl<MysqlConnection> for Prepared {}

    pub(super) fn begin(connection: &mut MysqlConnection) -> QueryResult<()> {
        BEGIN.execute(connection).map(drop)
    }

    pub(super) fn commit(connection: &mut MysqlConnection) -> QueryResult<()> {
        COMMIT.execute(connection).map(drop)
    }

    pub(super) fn roll_back(connection: &mut MysqlConnection) {
        if connection.batch_execute(ROLL_BACK).is_err() {
            AnsiTransactionManager::transaction_manager_status_mut(connection).set_in_error();
        }
    }
}
