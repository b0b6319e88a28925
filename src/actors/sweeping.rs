//! The regular look for subscriptions that are owed something and are not at work.
//!
//! At start that is all of them. Later it finds rows that came in behind the router's back. Those with an order look again
//! although they are at work: whatever a key may wait for without need, it does not for long.

use std::time::Duration;

use actix::{AsyncContext, Handler, Message};

use super::{mail::tell, router::Router};
use crate::{
    domain::id::SubscriptionId,
    store::{Lane, Store, StoreError, backlog::owing_subscriptions},
};

/// How often the store is asked who is owed something and is not at work: rows that came in behind our back.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// Subscriptions woken at once at start, and the pause between: no thundering herd.
const SWEEP_PAGE: i64 = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
/// The pause after the store could not be asked.
const SWEEP_RETRY: Duration = Duration::from_secs(1);

/// Ask the store who is owed something.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Sweep {
    after: SubscriptionId,
}

impl Sweep {
    /// All subscriptions.
    pub(super) const fn from_the_beginning() -> Self {
        Self { after: SubscriptionId::from_raw(0) }
    }
}

impl Handler<Sweep> for Router {
    type Result = ();

    fn handle(&mut self, Sweep { after }: Sweep, ctx: &mut Self::Context) {
        let (store, me): (Store, _) = (self.with.shared.store.clone(), ctx.address());
        actix::spawn(async move {
            let work = move |connection: &mut _| owing_subscriptions(connection, after, SWEEP_PAGE);
            let owing = store.run(Lane::Read, work).await;
            tell(&me, Owing { after, owing });
        });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Owing {
    after: SubscriptionId,
    owing: Result<Vec<SubscriptionId>, StoreError>,
}

impl Handler<Owing> for Router {
    type Result = ();

    fn handle(&mut self, Owing { after, owing }: Owing, ctx: &mut Self::Context) {
        let owing = match owing {
            Ok(owing) => owing,
            Err(error) => {
                log::warn!(error:% = error; "who is owed something could not be read, trying again");
                ctx.notify_later(Sweep { after }, SWEEP_RETRY);
                return;
            }
        };
        for id in owing.iter().copied() {
            if self.has_work(id) && (!self.roster.runs(id) || self.is_ordered(id)) {
                self.wake(id);
            }
        }
        match owing.last() {
            Some(last) => ctx.notify_later(Sweep { after: *last }, SWEEP_PAUSE),
            None => ctx.notify_later(Sweep::from_the_beginning(), SWEEP_EVERY),
        };
    }
}
