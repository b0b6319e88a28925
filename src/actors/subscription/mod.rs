//! One subscription at work: its queue, its attempts, its one timer.
//!
//! Every message from which something may follow ends in [`SubscriptionActor::advance`], which takes in what became durable
//! and does what the queue says until it says to wait. The actor may be lost at any moment: a new one reads the store.

mod changes;
mod failing;
mod messages;
mod orders;
mod ramp;
mod recording;
mod status;
mod steadfast;
mod withdrawals;
mod work;

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, Addr, Context, SpawnHandle};
use tokio::sync::oneshot;

pub use self::{
    changes::{Quiesce, SetSubscription, Stop},
    messages::{Attempted, LookAgain, Offer, Recorded},
    orders::{Answer, AttemptNow, NotMade},
    status::{GetStatus, Status},
    withdrawals::{UnderWay, Withdraw},
};
use self::{failing::Troubles, orders::Orders, withdrawals::Withdrawals};
use super::{
    colleagues::Colleagues,
    deliverer::{Deliverers, Sending},
    pigeonhole::Pigeonhole,
    scribe::Scribe,
    slots::InUse,
};
use crate::{
    domain::{
        announcement::Death,
        delivery::{Demand, Next},
        failing::Failing,
        id::DeliveryId,
        queue::{Gate, Limits, Queue},
        subscription::{Flow, Subscription},
        time::Timestamp,
    },
    egress::Template,
};

/// See the module.
pub struct SubscriptionActor {
    subscription: Arc<Subscription>,
    sending: Sending,
    queue: Queue,
    /// The greatest id that was minted when the subscription ended, or offered after; `None` while it never did.
    ended_with: Option<DeliveryId>,
    /// How often what is owed up to there is being called off at this moment.
    cancelling: usize,
    /// Messages about deliveries so far; the roster counts them too, and lets this actor go only when both agree.
    offers: u64,
    timer: Option<(Timestamp, SpawnHandle)>,
    /// Since when there is nothing to do.
    idle_since: Option<Timestamp>,
    /// Nothing starts any more: the engine stops.
    is_quiescing: bool,
    /// Who wants to know when nothing is in flight any more.
    quiet: Vec<oneshot::Sender<()>>,
    /// Attempts that a person ordered.
    orders: Orders,
    /// Deliveries that are called off and still under way.
    withdrawals: Withdrawals,
    /// How the endpoint is doing in the long run.
    troubles: Troubles,
    /// Deliveries that are given up, until that is durable.
    dying: HashMap<DeliveryId, Death>,
    /// Where the recorder leaves word, and calls or not.
    pigeonhole: Arc<Pigeonhole>,
    /// What the recorder was told of that.
    awaits_word: bool,
    /// Empty; kept for its room.
    word: Vec<(DeliveryId, Next)>,
    in_use: InUse,
    deliverers: Deliverers,
    pub(in crate::actors) scribe: Addr<Scribe>,
    pub(in crate::actors) with: Colleagues,
}

impl SubscriptionActor {
    /// An actor at `me` that will read what `subscription` is owed. `last_minted` is the greatest id there is so far; `works` says that the
    /// endpoint did when somebody attempted it last.
    pub(in crate::actors) fn new(
        me: Addr<Self>,
        subscription: Arc<Subscription>,
        last_minted: DeliveryId,
        works: bool,
        (deliverers, scribe): (Deliverers, Addr<Scribe>),
        with: Colleagues,
    ) -> Self {
        let (shared, is_active) = (&with.shared, subscription.terms.is_active);
        let (limits, gate) = (limits(&subscription, shared.window), gate(&subscription, shared.clock.now()));
        let mut queue = Queue::new(limits, gate, shared.breaker);
        if works {
            queue.endpoint_worked();
        }
        let pigeonhole = Pigeonhole::new(subscription.id, me);
        Self {
            sending: Arc::new(Template::new(&subscription.terms)),
            queue,
            subscription,
            ended_with: (!is_active).then_some(last_minted),
            cancelling: 0,
            offers: 0,
            timer: None,
            idle_since: None,
            is_quiescing: false,
            quiet: Vec::new(),
            orders: Orders::default(),
            withdrawals: Withdrawals::default(),
            troubles: Troubles::new(Failing::new(shared.pause_failing)),
            dying: HashMap::new(),
            pigeonhole,
            awaits_word: false,
            word: Vec::new(),
            in_use: shared.slots.in_use(),
            deliverers,
            scribe,
            with,
        }
    }

    fn now(&self) -> Timestamp {
        self.with.shared.clock.now()
    }

    fn demand(&self) -> Demand {
        if self.subscription.terms.is_active { Demand::Standing } else { Demand::Ended }
    }
}

fn limits(subscription: &Subscription, window: usize) -> Limits {
    let Flow { max_in_flight, ordering, rate: _, max_age } = subscription.terms.flow;
    let slots = usize::from(max_in_flight).max(1);
    Limits { slots, window: window.max(slots), rate: subscription.rate(), ordering, max_age }
}

fn gate(subscription: &Subscription, now: Timestamp) -> Gate {
    match &subscription.hold {
        _ if !subscription.terms.is_active => Gate::Shut,
        Some(hold) if hold.holds(now) => Gate::Held { until: hold.until },
        Some(_) | None => Gate::Open,
    }
}

impl Drop for SubscriptionActor {
    fn drop(&mut self) {
        // Whoever has no actor has no breaker that is open.
        self.with.shared.open_breakers.set(self.subscription.id, None);
    }
}

impl Actor for SubscriptionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.demand() == Demand::Ended {
            self.cancel_up_to(None, ctx);
        }
        self.watch_ramp(ctx);
        self.advance(ctx);
    }
}
