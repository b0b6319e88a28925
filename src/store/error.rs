//! What can go wrong with the store, named after what the caller can do.

use std::error::Error;

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as DieselError};

use super::sealed::Unopened;

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
    /// A secret cannot be opened: give the engine the key that sealed it. Nothing was changed.
    #[error("{0}: see POSTRIDER_SECRET_KEY")]
    Sealed(String),
    /// A row or a statement is not what this version expects: a person must look.
    #[error("the database holds or refuses something unexpected: {0}")]
    Corrupt(String),
}

/// Errors that a second run of the same transaction may not meet: deadlock (1213), lock wait (1205), a record changed
/// since it was read (1020, MariaDB's snapshot isolation), and the same on Galera at commit.
const TRANSIENT: [&str; 6] = [
    "Deadlock found",
    "Lock wait timeout",
    "Record has changed since last read",
    "WSREP has not yet prepared node",
    "database is locked",
    "Query execution was interrupted",
];

/// Errors after which the connection is of no use, in the words of `MySQL`'s library and of `MariaDB`'s. A server that takes
/// no writes (any more) is not the one to talk to: after a failover the name leads to another.
const LOST: [&str; 12] = [
    "server has gone away",
    "Server has gone away",
    "Lost connection",
    "Can't connect",
    "Server shutdown in progress",
    "Connection was killed",
    "Commands out of sync",
    "Broken pipe",
    "Connection reset",
    "disconnected by the server",
    "read-only option",
    "read-only mode",
];

/// Errors that last until somebody makes room: on disk, in a quota, in a tablespace.
const FULL: [&str; 4] = ["database or disk is full", "Disk full", "is full", "No space left on device"];

/// How a failed statement is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Roll back and run the transaction again.
    Transient,
    /// The connection is gone; another may work.
    Lost,
    /// There is no room for more: later, perhaps.
    Full,
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
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, info) if mentions(info.message(), &FULL) => {
            Trouble::Full
        }
        // The rollback failed as well: whatever came first, the connection is in an unknown state.
        DieselError::RollbackErrorOnCommit { .. } => Trouble::Lost,
        _ => Trouble::Lasting,
    }
}

impl StoreError {
    /// What a migration met. diesel tells it in words only.
    pub(super) fn of_migration(error: &(dyn Error + Send + Sync)) -> Self {
        let text = error.to_string();
        if [&TRANSIENT[..], &LOST, &FULL].iter().any(|texts| mentions(&text, texts)) {
            Self::Unavailable(text)
        } else {
            Self::Corrupt(text)
        }
    }
}

fn mentions(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match (&error, trouble(&error)) {
            (_, Trouble::Transient | Trouble::Lost | Trouble::Full) => Self::Unavailable(error.to_string()),
            (DieselError::NotFound, _) => Self::NotFound,
            (DieselError::DeserializationError(source), _) if source.is::<Unopened>() => {
                Self::Sealed(source.to_string())
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// In the words of the databases; what cannot be brought about in a test is at least read.
    #[test]
    fn a_database_that_takes_no_writes_for_now_is_one_to_wait_for() {
        for (message, expected) in [
            ("database or disk is full", Trouble::Full),
            ("The table 'deliveries' is full", Trouble::Full),
            ("Disk full (/tmp/#sql_1.MAI); waiting for someone to free some space... (errno: 28)", Trouble::Full),
            ("Error writing file '/var/lib/mysql/x' (Errcode: 28 \"No space left on device\")", Trouble::Full),
            (
                "The MariaDB server is running with the --read-only option so it cannot execute this statement",
                Trouble::Lost,
            ),
            ("Running in read-only mode", Trouble::Lost),
            ("Deadlock found when trying to get lock; try restarting transaction", Trouble::Transient),
            ("Unknown column 'x' in 'field list'", Trouble::Lasting),
        ] {
            let error = DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
            assert_eq!(trouble(&error), expected, "{message}");
            let is_unavailable = matches!(StoreError::from(error), StoreError::Unavailable(_));
            assert_eq!(is_unavailable, expected != Trouble::Lasting, "{message}");
            let of_migration = StoreError::of_migration(&*Box::<dyn Error + Send + Sync>::from(message));
            assert_eq!(matches!(of_migration, StoreError::Unavailable(_)), is_unavailable, "{message}");
        }
    }
}
