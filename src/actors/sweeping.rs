//! The regular look for subscriptions that are owed something and are not at work.
//!
//! At start that is all of them. Later it finds rows that came in behind the router's back. Those with an order look again
//! although they are at work, more seldom: whatever a key may wait for without need, it does not for ever.

use std::time::Duration;

use actix::{AsyncContext, Handler, Message};

use super::{mail::tell, router::Router};
use crate::{
    domain::id::SubscriptionId,
    store::{Lane, Store, StoreError, backlog::owing_subscriptions},
};

/// How often the store is asked who is owed something and is not at work: rows that came in behind our back.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// How many sweeps make one in which also those with an order look again that are at work: reading all their keys costs more.
const ONE_IN: u32 = 10;
/// Subscriptions woken at once at start, and the pause between: no thundering herd.
const SWEEP_PAGE: i64 = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
/// The pause after the store could not be asked.
const SWEEP_RETRY: Duration = Duration::from_secs(1);

/// Ask the store who is owed something.
#[derive(Message)]
#[rtype(result = "()")]
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    after: SubscriptionId,
    number: u32,
}

impl Sweep {
    /// The first one.
    pub(super) const fn first() -> Self {
        Self { after: SubscriptionId::from_raw(0), number: 1 }
    }

    const fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), ..Self::first() }
    }

    const fn wakes_the_ordered(self) -> bool {
        self.number.is_multiple_of(ONE_IN)
    }
}

impl Handler<Sweep> for Router {
    type Result = ();

    fn handle(&mut self, sweep: Sweep, ctx: &mut Self::Context) {
        let (store, me): (Store, _) = (self.with.shared.store.clone(), ctx.address());
        actix::spawn(async move {
            let work = move |connection: &mut _| owing_subscriptions(connection, sweep.after, SWEEP_PAGE);
            let owing = store.run(Lane::Read, work).await;
            tell(&me, Owing { sweep, owing });
        });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Owing {
    sweep: Sweep,
    owing: Result<Vec<SubscriptionId>, StoreError>,
}

impl Handler<Owing> for Router {
    type Result = ();

    fn handle(&mut self, Owing { sweep, owing }: Owing, ctx: &mut Self::Context) {
        let owing = match owing {
            Ok(owing) => owing,
            Err(error) => {
                log::warn!(error:% = error; "who is owed something could not be read, trying again");
                ctx.notify_later(sweep, SWEEP_RETRY);
                return;
            }
        };
        for id in owing.iter().copied() {
            let may_wait_in_vain = sweep.wakes_the_ordered() && self.is_ordered(id);
            if self.has_work(id) && (may_wait_in_vain || !self.roster.runs(id)) {
                self.wake(id);
            }
        }
        match owing.last() {
            Some(last) => ctx.notify_later(Sweep { after: *last, ..sweep }, SWEEP_PAUSE),
            None => ctx.notify_later(sweep.next(), SWEEP_EVERY),
        };
    }
}
