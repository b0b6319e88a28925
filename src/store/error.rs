//! What can go wrong with the store, named after what the caller can do.

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as DieselError};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away or too busy: try again later. Whether a write took effect is not known.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Another row has this key already.
    #[error("a row with this key exists already: {0}")]
    Conflict(String),
    /// There is no such row, or not for the one who asks.
    #[error("no such row")]
    NotFound,
    /// A row or a statement is not what this version expects: a person must look.
    #[error("the database holds or refuses something unexpected: {0}")]
    Corrupt(String),
}

/// Errors that a second run of the same transaction may not meet: deadlock (1213), lock wait (1205), a record changed
/// since it was read (1020, MariaDB's snapshot isolation), and the same on Galera at commit.
const TRANSIENT: [&str; 5] = [
    "Deadlock found",
    "Lock wait timeout",
    "Record has changed since last read",
    "WSREP has not yet prepared node",
    "database is locked",
];

/// Errors after which the connection is of no use, in the words of `MySQL`'s library and of `MariaDB`'s.
const LOST: [&str; 9] = [
    "server has gone away",
    "Server has gone away",
    "Lost connection",
    "Can't connect",
    "Server shutdown in progress",
    "Connection was killed",
    "Commands out of sync",
    "Broken pipe",
    "Connection reset",
];

/// How a failed statement is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Roll back and run the transaction again.
    Transient,
    /// The connection is gone; another may work.
    Lost,
    /// It would fail again.
    Lasting,
}

/// Reads the trouble from the text, because diesel has no kind for most of it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "diesel's enum is open: what it may add is lasting until we know better"
)]
pub(super) fn trouble(error: &DieselError) -> Trouble {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Trouble::Transient,
        DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) | DieselError::BrokenTransactionManager => {
            Trouble::Lost
        }
        DieselError::DatabaseError(_, info) if mentions(info.message(), &TRANSIENT) => Trouble::Transient,
        DieselError::DatabaseError(_, info) if mentions(info.message(), &LOST) => Trouble::Lost,
        // The rollback failed as well: whatever came first, the connection is in an unknown state.
        DieselError::RollbackErrorOnCommit { .. } => Trouble::Lost,
        _ => Trouble::Lasting,
    }
}

fn mentions(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match (&error, trouble(&error)) {
            (_, Trouble::Transient | Trouble::Lost) => Self::Unavailable(error.to_string()),
            (DieselError::NotFound, _) => Self::NotFound,
            (DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info), _) => {
                Self::Conflict(info.message().to_owned())
            }
            _ => Self::Corrupt(error.to_string()),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
