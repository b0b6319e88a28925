//! How a subscription changes, ends, pauses by itself, and stops.

use std::sync::Arc;

use actix::{ActorContext, AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::{
    SubscriptionActor, gate, limits,
    steadfast::{ROWS, until_done, until_none_is_left},
};
use crate::{
    actors::{colleagues::Shared, mail::tell, router::Changed},
    domain::{delivery::Demand, hold::Hold, id::DeliveryId, queue::Gate, subscription::Subscription},
    egress::Template,
    store::{
        record::{Reach, cancel_owed},
        subscriptions::bulk::hold_many,
    },
};

impl SubscriptionActor {
    /// Calls off what is owed after the subscription ended: up to `last`, and whatever was to be called off before. Nothing
    /// starts before that is done, also when the subscription is active again in the meantime.
    pub(super) fn cancel_up_to(&mut self, last: Option<DeliveryId>, ctx: &Context<Self>) {
        self.ended_with = self.ended_with.max(last);
        let Some(last) = self.ended_with else { return };
        self.cancelling += 1;
        self.queue.set_gate(Gate::Shut);
        let (Shared { store, clock, .. }, id, me) = (self.with.shared.clone(), self.subscription.id, ctx.address());
        actix::spawn(async move {
            let work =
                move |connection: &mut _| cancel_owed(connection, id, Reach::Unfinished, last, ROWS, clock.now());
            until_none_is_left(&store, id, "cancelling what is owed", work).await;
            tell(&me, Cancelled);
        });
    }

    /// Whether attempts may start now.
    fn present_gate(&self) -> Gate {
        if self.is_quiescing {
            Gate::Held { until: None }
        } else if self.cancelling > 0 {
            Gate::Shut
        } else {
            gate(&self.subscription, self.now())
        }
    }

    /// Holds everything until a person has looked, because of what the endpoint did. A person's pause stays what it is.
    pub(super) fn hold_by_engine(&mut self, reason: &str) {
        if self.subscription.hold_at(self.now()).is_some() {
            return;
        }
        log::warn!(subscription = self.subscription.id.as_raw(), reason; "a subscription is paused by the engine");
        self.queue.set_gate(Gate::Held { until: None });
        let (store, router, id) = (self.with.shared.store.clone(), self.with.router.clone(), self.subscription.id);
        let hold = Hold::by_engine(self.now(), reason);
        actix::spawn(async move {
            let keys = store.keys();
            let work = move |connection: &mut _| hold_many(connection, &keys, &[id], &hold);
            let paused = until_done(&store, id, "a pause by the engine", work).await;
            for paused in paused {
                tell(&router, Changed(Arc::new(paused)));
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
        let (was, ramp) = (self.demand(), self.subscription.ramp);
        let before = Arc::clone(&self.subscription);
        // An older one came late; the same one is only to be waited for.
        if message.subscription.version <= self.subscription.version {
            return;
        }
        self.subscription = message.subscription;
        self.sending = Arc::new(Template::new(&self.subscription.terms));
        self.queue.set_limits(limits(&self.subscription, self.with.shared.window));
        self.queue.set_gate(self.present_gate());
        // Who changes or resumes a subscription whose endpoint fails has most likely mended it.
        self.queue.try_endpoint(self.now());
        if self.subscription.terms.target_url != before.terms.target_url {
            self.queue.endpoint_moved();
        }
        if self.subscription.begins_anew_after(&before) {
            self.troubles.failing.begin_anew();
            self.store_failing(ctx);
        }
        if self.demand() == Demand::Ended && was == Demand::Standing {
            self.cancel_up_to(Some(message.last_minted), ctx);
        }
        if self.subscription.ramp != ramp {
            self.watch_ramp(ctx);
        }
        self.advance(ctx);
    }
}

/// What was owed when the subscription ended is called off.
#[derive(Message)]
#[rtype(result = "()")]
struct Cancelled;

impl Handler<Cancelled> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Cancelled: Cancelled, ctx: &mut Self::Context) {
        self.cancelling -= 1;
        if self.cancelling == 0 {
            self.queue.set_gate(self.present_gate());
        }
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
        self.is_quiescing = true;
        self.queue.set_gate(self.present_gate());
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
