//! One engine at a time works on a database: two would both deliver everything, and neither would keep an order.
//!
//! An engine claims its database before it reads what is owed, and waits while another one has it. So an engine may stand by
//! on a spare machine: it goes on as soon as the first one is over, however that came.
//!
//! On a server the claim also ends what went before. A killed engine may have sent writes that a slow server carries out
//! later, while the next engine reads already; and one that merely stood still, as a frozen machine does, goes on to write.
//! So the sessions in which an engine writes are known by locks of their own: whoever has the claim ends those of others and
//! waits until they are over, and none is begun by an engine that lost its claim.

#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "mysql")]
mod server;

use std::sync::Arc;

use super::{AnyConnection, DatabaseUrl, StoreError};

/// One engine's right to work on a database. Clones share it; it ends with the last of them, and with the process.
#[derive(Clone)]
pub struct Claim {
    held: Held,
}

#[derive(Clone)]
enum Held {
    #[cfg(feature = "mysql")]
    Server(Arc<server::Lock>),
    #[cfg(feature = "sqlite")]
    File(#[expect(dead_code, reason = "to have it is all that matters")] Arc<Option<std::fs::File>>),
}

impl Claim {
    /// Claims the database for this process. While another engine has it, waits, and says so in the log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database cannot be reached.
    pub async fn take(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let held = match url {
            #[cfg(feature = "mysql")]
            DatabaseUrl::Mysql(url) => Held::Server(Arc::new(server::Lock::take(url).await?)),
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(_) => Held::File(Arc::new(file::take(url).await?)),
        };
        Ok(Self { held })
    }

    /// Keeps the claim, and ends when another engine has it: a server may lose sight of this one. The claim on a file lasts.
    pub async fn taken_over(&self) {
        match &self.held {
            #[cfg(feature = "mysql")]
            Held::Server(lock) => lock.keep().await,
            #[cfg(feature = "sqlite")]
            Held::File(_) => std::future::pending().await,
        }
    }

    /// Lets a new connection write.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when another engine has the claim.
    pub(super) fn admit(&self, writer: &mut AnyConnection) -> Result<(), StoreError> {
        match (&self.held, writer) {
            #[cfg(feature = "mysql")]
            (Held::Server(lock), AnyConnection::Mysql(writer)) => lock.admit(writer),
            #[cfg(feature = "sqlite")]
            (_, AnyConnection::Sqlite(_)) => Ok(()),
            #[cfg(all(feature = "sqlite", feature = "mysql"))]
            (Held::File(_), AnyConnection::Mysql(_)) => Ok(()),
        }
    }
}

/// Says once what is waited for, in words that name it.
fn tell_of(other: &str) {
    log::warn!(engine = other; "another engine works on this database; standing by until it ends");
}
