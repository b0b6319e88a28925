//! How a subscription changes, ends, pauses by itself, and stops.

use std::{sync::Arc, time::Duration};

use actix::{ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::{SubscriptionActor, gate, limits};
use crate::{
    actors::{colleagues::Shared, mail::tell, router::Changed},
    domain::{delivery::Demand, hold::Hold, id::DeliveryId, owner::Scope, queue::Gate, subscription::Subscription},
    egress::Template,
    store::{
        Lane,
        parking::unpark,
        record::cancel_owed,
        subscriptions::{self, holds},
    },
};

/// The wait before the store is asked again that could not do what it was asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Deliveries cancelled, or unparked, in one transaction.
const PAGE: i64 = 1_000;

impl SubscriptionActor {
    /// Calls off what is owed after the subscription ended.
    pub(super) fn cancel(&self) {
        let Shared { store, clock, .. } = self.with.shared.clone();
        let (id, last) = (self.subscription.id, self.cancel_up_to);
        actix::spawn(async move {
            loop {
                let now = clock.now();
                let work = move |connection: &mut _| cancel_owed(connection, id, last, PAGE, now);
                match store.run(Lane::Write, work).await {
                    Ok(cancelled) if i64::try_from(cancelled).is_ok_and(|cancelled| cancelled < PAGE) => break,
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "cancelling what is owed waits");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
        });
    }

    /// What was parked under the old order is attempted under the new one.
    fn unpark(&self, ctx: &Context<Self>) {
        let (store, id, me) = (self.with.shared.store.clone(), self.subscription.id, ctx.address());
        actix::spawn(async move {
            loop {
                match store.run(Lane::Write, move |connection| unpark(connection, id, PAGE)).await {
                    Ok(found) if i64::try_from(found).is_ok_and(|found| found < PAGE) => break,
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "reordering what is owed waits");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
            tell(&me, Reordered);
        });
    }

    /// The endpoint said that it is gone for good: hold everything until a person has looked.
    pub(super) fn hold_because_gone(&mut self) {
        self.queue.set_gate(Gate::Held { until: None });
        let (store, router, id) = (self.with.shared.store.clone(), self.with.router.clone(), self.subscription.id);
        let hold = Hold::by_engine(self.now(), "the endpoint answered 410 Gone");
        actix::spawn(async move {
            loop {
                let (keys, hold) = (store.keys(), hold.clone());
                let work = move |connection: &mut _| holds::hold(connection, &keys, Scope::All, id, &hold);
                match store.run(Lane::Write, work).await {
                    Ok(subscriptions::Change::Made(paused)) => return tell(&router, Changed(Arc::new(*paused))),
                    Ok(
                        subscriptions::Change::NotFound
                        | subscriptions::Change::AlreadyRegistered
                        | subscriptions::Change::Outdated(_),
                    ) => return,
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "pausing a gone endpoint waits");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
        });
    }
}

/// The subscription is this from now on. Answered when no further attempt starts by the old terms.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetSubscription {
    /// A newer version.
    pub subscription: Arc<Subscription>,
    /// The greatest id that was minted so far.
    pub last_minted: DeliveryId,
}

impl Handler<SetSubscription> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, message: SetSubscription, ctx: &mut Self::Context) {
        // It may bring work, so this actor is not let go before it has been seen.
        self.offers += 1;
        let (was, ramp, ordering) = (self.demand(), self.subscription.ramp, self.subscription.terms.flow.ordering);
        if message.subscription.version < self.subscription.version {
            return;
        }
        self.subscription = message.subscription;
        self.sending = Arc::new(Template::new(&self.subscription.terms));
        self.queue.set_limits(limits(&self.subscription, self.with.shared.window));
        self.queue.set_gate(gate(&self.subscription, self.now()));
        // Who changes or resumes a subscription whose endpoint fails has most likely mended it.
        self.queue.try_endpoint(self.now());
        if self.demand() == Demand::Ended && was == Demand::Standing {
            self.cancel_up_to = message.last_minted;
            self.cancel();
        }
        if self.subscription.terms.flow.ordering != ordering {
            self.unpark(ctx);
        }
        if self.subscription.ramp != ramp {
            self.watch_ramp(ctx);
        }
        self.advance(ctx);
    }
}

/// What was parked under the old order is among the others now.
#[derive(Message)]
#[rtype(result = "()")]
struct Reordered;

impl Handler<Reordered> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Reordered: Reordered, ctx: &mut Self::Context) {
        self.queue.look_again();
        self.advance(ctx);
    }
}

/// Start nothing more. Answered when nothing is in flight and everything is recorded.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Quiesce;

impl Handler<Quiesce> for SubscriptionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Quiesce: Quiesce, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.quiet.push(sender);
        self.queue.set_gate(Gate::Held { until: None });
        self.advance(ctx);
        Box::pin(async move { receiver.await.unwrap_or_default() })
    }
}

/// Stop: nothing is left to do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Stop: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
