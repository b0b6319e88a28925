//! Transactions that write.
//!
//! `SQLite` begins a transaction as a reader, and one that then wants to write while another process does is refused at once,
//! whatever `busy_timeout` says: waiting could not help a reader of an old state. Taking the write lock at the beginning waits.

use diesel::{
    Connection,
    connection::{AnsiTransactionManager, TransactionManager, TransactionManagerStatus},
};

use super::{AnyConnection, Queried};

type Manager = <AnyConnection as Connection>::TransactionManager;

/// Runs `work` in one transaction: its writes are committed together, or none when it fails. Inside a transaction that is
/// open already, `work` becomes a part of that one; when it fails, the whole has to fail.
///
/// # Errors
/// What `work` met, or why nothing could be begun or committed.
pub(super) fn in_transaction<T>(
    connection: &mut AnyConnection,
    work: impl FnOnce(&mut AnyConnection) -> Queried<T>,
) -> Queried<T> {
    if is_open(connection) {
        return work(connection);
    }
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => AnsiTransactionManager::begin_transaction(connection)?,
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => {
            AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE")?;
        }
    }
    let error = match work(connection) {
        Ok(value) => return Manager::commit_transaction(connection).map(|()| value),
        Err(error) => error,
    };
    // When even this fails, the first error is what tells why: SQLite rolls back by itself when the disk is full, and then
    // complains that there is nothing to roll back. The pool drops a connection in that state.
    Manager::rollback_transaction(connection).ok();
    Err(error)
}

/// Whether a transaction is open.
fn is_open(connection: &mut AnyConnection) -> bool {
    match Manager::transaction_manager_status_mut(connection) {
        TransactionManagerStatus::Valid(status) => status.transaction_depth().is_some(),
        TransactionManagerStatus::InError => false,
    }
}

/// Whether a transaction of this connection could not be ended: nothing more can be done with it.
pub(super) fn is_stuck(connection: &mut AnyConnection) -> bool {
    Manager::is_broken_transaction_manager(connection)
}
