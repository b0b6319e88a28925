//! How an engine becomes the one that works on its database.

use std::time::Duration;

use tokio::{select, time};

use crate::{
    config::{self, DatabaseSettings, KeySettings},
    store::{DatabaseUrl, Lease, Store, StoreError},
};

/// Until it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Becomes the one engine of the database, which is there when this begins. One that stood by for long must not end because the
/// database goes away just when its turn has come, or because another engine woke up and was quicker.
pub(super) async fn enter(database: &DatabaseSettings, keys: &KeySettings) -> Result<(Lease, Store), StoreError> {
    let mut lease = Lease::take(&database.database_url).await?;
    loop {
        match enter_upon(lease, database, keys).await {
            Err(error @ StoreError::Unavailable(_)) => {
                log::warn!(error:% = error; "could not enter upon the lease; trying again");
            }
            entered => return entered,
        }
        lease = take_again(&database.database_url).await?;
    }
}

/// Takes the lease of a database that was there a moment ago.
async fn take_again(url: &DatabaseUrl) -> Result<Lease, StoreError> {
    let mut is_told = false;
    loop {
        time::sleep(PAUSE).await;
        match Lease::take(url).await {
            Err(error @ StoreError::Unavailable(_)) => {
                if !std::mem::replace(&mut is_told, true) {
                    log::warn!(error:% = error; "waiting for the database");
                }
            }
            taken => return taken,
        }
    }
}

/// Brings the tables up to date and ends what engines before have written. Without success the lease is given up.
async fn enter_upon(
    lease: Lease,
    database: &DatabaseSettings,
    keys: &KeySettings,
) -> Result<(Lease, Store), StoreError> {
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
