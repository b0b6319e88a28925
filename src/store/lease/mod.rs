//! One engine at a time works on a database: two would both deliver everything, and neither would keep an order.
//!
//! An engine takes the lease of its database before anything else, and waits while another one has it. So an engine may stand
//! by on a spare machine: it goes on when the first one is over, however that came.
//!
//! On a server the lease also ends what went before. A killed engine may have sent writes that a slow server carries out
//! later, while the next engine reads already; and one that merely stood still, as a frozen machine does, goes on to write.
//! So the sessions in which an engine writes are known by locks of their own, and the latest engine by a *token* in the
//! database. Whoever enters upon the lease leaves its token there, ends the sessions in which others write, and waits until
//! they are over; a session that finds another token does not write. The same goes for a session of this engine whose
//! connection was lost: before anything else is read or written it is over, so that a commit whose answer was lost has
//! happened or will not.

#![cfg_attr(
    not(all(feature = "sqlite", feature = "mysql")),
    allow(clippy::unnecessary_wraps, clippy::unused_async, reason = "the other database needs it")
)]

#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "mysql")]
mod server;
#[cfg(feature = "mysql")]
mod unanswered;
#[cfg(feature = "mysql")]
mod writers;

use std::sync::Arc;

use tokio::time::Instant;

#[cfg(feature = "mysql")]
pub(super) use self::writers::Writer;
use super::{AnyConnection, DatabaseUrl, StoreError, errand::Errand};

/// One engine's right to work on a database. Clones share it; it ends with the last of them, and with the process.
#[derive(Clone)]
pub struct Lease {
    held: Held,
}

#[derive(Clone)]
enum Held {
    #[cfg(feature = "mysql")]
    Server(Arc<server::Lock>),
    #[cfg(feature = "sqlite")]
    File(#[expect(dead_code, reason = "to have it is all that matters")] Arc<Option<std::fs::File>>),
}

impl Lease {
    /// Takes the lease for this process. While another engine has it, waits, and says so in the log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached to begin with, [`StoreError::Corrupt`] when it gives no
    /// locks.
    pub async fn take(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let held = match url {
            #[cfg(feature = "mysql")]
            DatabaseUrl::Mysql(url) => Held::Server(Arc::new(server::Lock::take(url).await?)),
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(_) => Held::File(Arc::new(file::take(url).await?)),
        };
        Ok(Self { held })
    }

    /// Ends what engines before are writing at this moment, as far as it ends within 5 s: a transaction that nobody goes on with
    /// would keep tables from being altered. They may begin anew until [`Lease::enter`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the lease was lost meanwhile.
    pub async fn end_others(&self) -> Result<(), StoreError> {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.end_others().await.map(drop),
            #[cfg(feature = "sqlite")]
            Held::File(_) => Ok(()),
        }
    }

    /// Enters upon the lease, once the tables are there: what engines before wrote is over then. Nothing is to be read before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the lease was lost meanwhile.
    pub async fn enter(&self) -> Result<(), StoreError> {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.enter().await,
            #[cfg(feature = "sqlite")]
            Held::File(_) => Ok(()),
        }
    }

    /// Keeps the lease before it is entered upon; ends when it is lost.
    pub async fn lost_early(&self) -> StoreError {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.beat().await,
            #[cfg(feature = "sqlite")]
            Held::File(_) => std::future::pending().await,
        }
    }

    /// Whether this engine may count on its lease: a server was heard of within the last 15 s. Otherwise another engine may be at
    /// work soon.
    pub(super) fn is_sure(&self) -> bool {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.is_sure(),
            #[cfg(feature = "sqlite")]
            Held::File(_) => true,
        }
    }

    /// Keeps the lease, and ends when another engine has it: a server may lose sight of this one. That of a file lasts.
    pub async fn taken_over(&self) {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.keep().await,
            #[cfg(feature = "sqlite")]
            Held::File(_) => std::future::pending().await,
        }
    }

    /// Has the errand given up when the server will not answer it any more.
    pub(super) fn watch(&self, errand: &Arc<Errand>) {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.watch(errand),
            #[cfg(feature = "sqlite")]
            Held::File(_) => _ = errand,
        }
    }

    /// Whether a connection that was last used then is most likely still good.
    pub(super) fn trusts(&self, used_at: Instant) -> bool {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.trusts(used_at),
            #[cfg(feature = "sqlite")]
            Held::File(_) => {
                _ = used_at;
                true
            }
        }
    }

    /// The session of a new connection to a server. If it `writes` it becomes a [`Writer`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is to write, and another engine has the lease.
    pub(super) fn admit(&self, connection: &mut AnyConnection, writes: bool) -> Result<Option<Session>, StoreError> {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => server::session_of(connection).map(|session| lock.admit(session, writes)).transpose(),
            #[cfg(feature = "sqlite")]
            Held::File(_) => {
                _ = (connection, writes);
                Ok(None)
            }
        }
    }

    /// The connection of a writer was lost, and with it whether its last transaction was committed.
    pub(super) fn note_lost(&self, writer: Writer) {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.note_lost(writer),
            #[cfg(feature = "sqlite")]
            Held::File(_) => _ = writer,
        }
    }

    /// A writer's connection is not used any more, with nothing sent over it that was not answered.
    pub(super) fn note_left(&self, writer: Writer) {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.note_left(writer),
            #[cfg(feature = "sqlite")]
            Held::File(_) => _ = writer,
        }
    }

    /// Before anything is read or written in `connection`: whether the transactions of lost writers are committed by now, or
    /// undone. Waits for them for 5 s each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be asked.
    pub(super) fn settle(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => server::session_of(connection).map_or(Ok(true), |session| lock.settle(session)),
            #[cfg(feature = "sqlite")]
            Held::File(_) => {
                _ = connection;
                Ok(true)
            }
        }
    }
}

/// A session of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// The number that the server gives to it.
    pub(super) id: i64,
    /// How the lease knows it if it writes.
    pub(super) writer: Option<Writer>,
    /// When the server began, in seconds since 1970 by its own clock, give or take one, if it is known: started
    /// again, it numbers sessions anew.
    pub(super) server_since: Option<i64>,
}

/// A file has no sessions that could linger.
#[cfg(not(feature = "mysql"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {}

/// Says once what is waited for, in words that name it.
fn tell_of(other: &str) {
    log::warn!(engine = other; "another engine works on this database; standing by until it ends");
}
