//! The end of a slow start after a pause.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use actix::{AsyncContext, Context};

use super::SubscriptionActor;
use crate::{
    actors::{colleagues::Shared, mail::tell, router::Changed},
    domain::{hold::Ramp, id::SubscriptionId, subscription::Subscription},
    store::{
        Lane, StoreError,
        subscriptions::ramp::{Progress, end_ramp, progress},
    },
};

/// How often to look whether it has caught up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl SubscriptionActor {
    /// Looks from time to time whether the subscription has caught up, and lifts its pace then. If this actor dies before, the
    /// next one looks.
    pub(super) fn watch_ramp(&self, ctx: &Context<Self>) {
        let Some(ramp) = self.subscription.ramp else { return };
        let (shared, router, me) = (self.with.shared.clone(), self.with.router.clone(), ctx.address());
        let id = self.subscription.id;
        actix::spawn(async move {
            while me.connected() {
                tokio::time::sleep(LOOK_EVERY).await;
                match look(&shared, id, ramp).await {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(None)) => return,
                    Ok(ControlFlow::Break(Some(subscription))) => return tell(&router, Changed(subscription)),
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "the end of a ramp waits");
                    }
                }
            }
        });
    }
}

/// Ends the ramp if it is over; gives the subscription if that was done here.
async fn look(
    shared: &Shared,
    id: SubscriptionId,
    ramp: Ramp,
) -> Result<ControlFlow<Option<Arc<Subscription>>>, StoreError> {
    let (store, now) = (&shared.store, shared.clock.now());
    match store.run(Lane::Read, move |connection| progress(connection, id, ramp, now)).await? {
        Progress::CatchingUp => Ok(ControlFlow::Continue(())),
        Progress::Replaced => Ok(ControlFlow::Break(None)),
        Progress::CaughtUp => {
            let keys = store.keys();
            let ended = store.run(Lane::Write, move |connection| end_ramp(connection, &keys, id, ramp)).await?;
            Ok(ControlFlow::Break(ended.map(Arc::new)))
        }
    }
}
