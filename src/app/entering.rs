//! How an engine becomes the one that works on its database, and waits for it when it goes away meanwhile.

use std::time::Duration;

use tokio::{select, time};

use crate::{
    config::{self, DatabaseSettings, KeySettings},
    store::{Lease, Store, StoreError},
};

/// Until it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Becomes the one engine of the database, which is there when this begins. One that stood by for long must not end because the
/// database goes away just when its turn has come, or because another engine woke up and was quicker.
pub(super) async fn enter(database: &DatabaseSettings, keys: &KeySettings) -> Result<(Lease, Store), StoreError> {
    let mut lease = Lease::take(&database.database_url).await?;
    let mut is_told = false;
    loop {
        match enter_upon(lease, database, keys).await {
            Err(error @ StoreError::Unavailable(_)) => {
                if !std::mem::replace(&mut is_told, true) {
                    log::warn!(error:% = error; "could not enter upon the lease; trying again until it succeeds");
                }
            }
            entered => return entered,
        }
        time::sleep(PAUSE).await;
        lease = patiently(|| Lease::take(&database.database_url)).await?;
    }
}

/// Asks a database that was there a moment ago, until it answers.
pub(super) async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut is_told = false;
    loop {
        match ask().await {
            Err(error @ StoreError::Unavailable(_)) => {
                if !std::mem::replace(&mut is_told, true) {
                    log::warn!(error:% = error; "waiting for the database");
                }
            }
            answered => return answered,
        }
        time::sleep(PAUSE).await;
    }
}

/// Brings the tables up to date and ends what engines before have written. Without success the lease is given up.
async fn enter_upon(
    lease: Lease,
    database: &DatabaseSettings,
    keys: &KeySettings,
) -> Result<(Lease, Store), StoreError> {
    lease.end_others().await?;
    let store = config::store(database, keys, Some(lease.clone()));
    let migrations = select! {
        migrations = store.migrate() => migrations?,
        error = lease.lost_early() => return Err(error),
    };
    for migration in migrations {
        log::info!(migration = migration.as_str(); "migration run");
    }
    lease.enter().await?;
    Ok((lease, store))
}
