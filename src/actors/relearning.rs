//! What the router does not know, because nobody was there any more to tell it.
//!
//! A change of a subscription is written, then the router is told. Whoever does both may go away between, as a client that hangs up,
//! or hear that the database is unavailable although the change was committed. Without this a pause would hold in the store only.

use std::{sync::Arc, time::Duration};

use actix::Addr;
use tokio::time::sleep;

use super::router::{Learn, Router};
use crate::{
    domain::{id::SubscriptionId, owner::Scope, subscription::Subscription},
    store::{Lane, Store, StoreError, subscriptions},
};

/// Subscriptions read at once.
const PAGE: i64 = 1_000;
/// Between two times that all are read.
const PAUSE: Duration = Duration::from_secs(1);

/// Has `router` learn what `store` says of each subscription, each time that somebody may have gone away without telling it.
pub async fn relearn(store: Store, router: Addr<Router>) {
    loop {
        store.unsure().await;
        loop {
            match learn_all(&store, &router).await {
                Ok(()) => break,
                Err(StoreError::Unavailable(why)) => {
                    log::debug!(why; "the subscriptions could not be read, trying again");
                }
                Err(error) => {
                    log::error!(error:% = error; "changes of subscriptions may hold from the next start only");
                    break;
                }
            }
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
}

async fn learn_all(store: &Store, router: &Addr<Router>) -> Result<(), StoreError> {
    let mut after = SubscriptionId::from_raw(0);
    loop {
        let page = page_after(store, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for subscription in page {
            // A router that died takes the whole engine along.
            router.send(Learn(Arc::new(subscription))).await.unwrap_or_default();
        }
    }
}

/// The subscriptions of everybody with greater ids, as many as are read at once.
///
/// # Errors
/// What the store met.
pub async fn page_after(store: &Store, after: SubscriptionId) -> Result<Vec<Subscription>, StoreError> {
    let keys = store.keys();
    let work = move |connection: &mut _| subscriptions::page(connection, &keys, Scope::All, after, PAGE);
    store.run(Lane::Read, work).await
}
