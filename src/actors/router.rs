//! Where events come in and go out by type: the routing table, the open batch, and the roster of running subscriptions.
//!
//! Matching happens before the commit, so that what is owed is part of the accepting transaction. After the commit the
//! deliveries are handed to their subscription actors; whatever gets lost on that way is in the store, and the regular look
//! ([`LOOK_EVERY`], [`Sweep`]) finds it.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{
    admission::Ticket,
    announcing::Announcing,
    colleagues::{Colleagues, Shared},
    intake::{self, Batch, Intake, Receipt, Stored, Submission, Waiting},
    mail::tell,
    roster::{Bench, Roster},
    subscription::{self, AttemptNow, GetStatus, NotMade, Status, SubscriptionActor},
    sweeping::Sweep,
};
use crate::{
    domain::{
        announcement::pause_between,
        id::{DeliveryId, Minter, SubscriptionId},
        ordering::{KeyHash, Ordering},
        routing::{Change, RoutingTable},
        subscription::Subscription,
    },
    store::StoreError,
};

/// How often dead actors are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// See the module.
pub struct Router {
    pub(super) table: RoutingTable,
    minter: Minter,
    last_minted: DeliveryId,
    pub(super) intake: Intake,
    pub(super) announcing: Announcing,
    /// A transaction is under way.
    busy: bool,
    pub(super) roster: Roster,
    pub(super) with: Colleagues,
}

impl Router {
    /// Starts a router on this thread that knows `table` and mints after `last_stored`, the greatest id in the store. The
    /// subscription actors run on `benches`, the recorder on this thread.
    #[must_use]
    pub fn start(
        table: RoutingTable,
        minter: Minter,
        last_stored: i64,
        benches: Vec<Bench>,
        shared: Shared,
    ) -> Addr<Self> {
        Self::create(|ctx| Self {
            table,
            minter,
            last_minted: DeliveryId::from_raw(last_stored),
            intake: Intake::default(),
            announcing: Announcing::new(),
            busy: false,
            roster: Roster::new(benches),
            with: Colleagues::new(shared, ctx.address()),
        })
    }

    /// Looks for actors that died, and has new ones read what they left.
    fn look_after(&mut self, ctx: &Context<Self>) {
        if !self.with.recorder.connected() || self.roster.lost_scribe() {
            log::error!(
                "the recorder or a scribe died, starting a new one; attempts that were not recorded are repeated"
            );
            self.with = Colleagues::new(self.with.shared.clone(), ctx.address());
            for id in self.roster.dismiss() {
                self.wake(id);
            }
        }
        for id in self.roster.take_dead() {
            self.wake(id);
        }
    }

    /// Starts a transaction with what has gathered, unless one is under way.
    fn flush(&mut self, ctx: &Context<Self>) {
        if self.busy {
            return;
        }
        let now = self.with.shared.clock.now();
        let Some(batch) = self.intake.next_batch(&self.table, &mut self.minter, &self.with.shared.budget, now) else {
            return;
        };
        self.busy = true;
        let newest = batch.acceptances.iter().flat_map(|acceptance| &acceptance.deliveries).next_back();
        self.last_minted = newest.map_or(self.last_minted, |(id, _)| *id);
        let (store, clock, me) = (self.with.shared.store.clone(), self.with.shared.clock.clone(), ctx.address());
        actix::spawn(async move {
            let result = intake::store_batch(&store, Arc::clone(&batch.acceptances), now).await;
            tell(&me, Done { batch, result, took: clock.now().since(now) });
        });
    }

    fn hand_over(&mut self, batch: &Batch, stored: &Stored) {
        for (id, owed) in intake::owed_by_subscription(&batch.acceptances, stored) {
            if let Some(subscription) = self.table.get(id) {
                self.roster.offer(subscription, owed, self.last_minted, &self.with);
            }
        }
    }

    /// The batch may have been committed all the same: whoever may be owed something looks into the store.
    fn look_again(&mut self, batch: &Batch) {
        let mut touched: Vec<SubscriptionId> =
            batch.acceptances.iter().flat_map(|acceptance| &acceptance.deliveries).map(|(_, id)| *id).collect();
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            self.wake(id);
        }
    }

    pub(super) fn wake(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.table.get(id) {
            self.roster.look_again(subscription, self.last_minted, &self.with);
        }
    }

    /// Whether deliveries of the subscription may have to wait for each other.
    pub(super) fn is_ordered(&self, id: SubscriptionId) -> bool {
        self.table.get(id).is_some_and(|subscription| subscription.terms.flow.ordering != Ordering::None)
    }

    /// Whether an actor would do anything for what the subscription is owed.
    pub(super) fn has_work(&self, id: SubscriptionId) -> bool {
        self.table.get(id).is_some_and(|subscription| !subscription.is_held_for_good())
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK_EVERY, |router, ctx| router.look_after(ctx));
        ctx.notify(Sweep::first());
    }
}

/// Accept these events; `answer` gets one receipt for each, in their order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AcceptEvents {
    /// What happened, in order.
    pub events: Vec<Submission>,
    /// Who waits.
    pub answer: oneshot::Sender<Vec<Receipt>>,
    /// Their places.
    pub tickets: Vec<Ticket>,
}

impl Handler<AcceptEvents> for Router {
    type Result = ();

    fn handle(&mut self, message: AcceptEvents, ctx: &mut Self::Context) {
        let AcceptEvents { events, answer, tickets } = message;
        self.intake.push(Waiting { events, answer, tickets });
        // Behind what is in the mailbox already: a burst shares one transaction.
        if !self.busy && self.intake.len() == 1 {
            ctx.notify(Flush);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

impl Handler<Flush> for Router {
    type Result = ();

    fn handle(&mut self, Flush: Flush, ctx: &mut Self::Context) {
        self.flush(ctx);
    }
}

/// A transaction ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Done {
    batch: Batch,
    result: Result<Stored, StoreError>,
    took: Duration,
}

impl Handler<Done> for Router {
    type Result = ();

    fn handle(&mut self, Done { mut batch, result, took }: Done, ctx: &mut Self::Context) {
        self.busy = false;
        self.flush(ctx);
        intake::count(&self.with.shared.metrics, &batch, &result, took);
        let waiting = std::mem::take(&mut batch.waiting);
        let receipts: Vec<Receipt> = match &result {
            Ok(stored) => {
                batch.acceptances.iter().zip(stored).map(|(item, stored)| intake::receipt(item, stored)).collect()
            }
            Err(error) => {
                log::warn!(events = batch.acceptances.len(), error:% = error; "events could not be stored");
                vec![Receipt::Unavailable; batch.acceptances.len()]
            }
        };
        let mut receipts = receipts.into_iter();
        for (count, answer, tickets) in waiting {
            // Whoever has gone away in the meantime asks again under the same key.
            drop(answer.send(receipts.by_ref().take(count).collect()));
            drop(tickets);
        }
        match &result {
            Ok(stored) => self.hand_over(&batch, stored),
            Err(_) => self.look_again(&batch),
        }
    }
}

/// A subscription was written: it is this from now on. Answered when events are matched, and attempts made, by the new
/// version only.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Changed(pub Arc<Subscription>);

impl Handler<Changed> for Router {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Changed(subscription): Changed, ctx: &mut Self::Context) -> Self::Result {
        let id = subscription.id;
        let before = self.table.get(id).cloned();
        let changing = match (self.table.put(Arc::clone(&subscription)), before) {
            // Nothing can be owed to a new one yet.
            (Change::Taken, None) => None,
            (Change::Taken, Some(before)) => {
                let pause = pause_between(&before, &subscription, self.with.shared.clock.now());
                self.announce(id, pause.into_iter().collect(), ctx);
                self.roster.change(&before, &subscription, self.last_minted, &self.with)
            }
            // The newer version may still be on its way to the actor.
            (Change::Stale, _) => self.table.get(id).and_then(|now| self.roster.change_again(now, self.last_minted)),
        };
        Box::pin(async move {
            if let Some(changing) = changing {
                // An actor that died meanwhile starts no attempts either.
                changing.await.unwrap_or_default();
            }
        })
    }
}

/// The store says this of a subscription: if the router knows only an older version, that was changed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Learn(pub Arc<Subscription>);

impl Handler<Learn> for Router {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Learn(subscription): Learn, ctx: &mut Self::Context) -> Self::Result {
        let known = self.table.get(subscription.id);
        if known.is_some_and(|known| known.version >= subscription.version) {
            return Box::pin(std::future::ready(()));
        }
        log::info!(subscription = subscription.id.as_raw(); "a change was found that nobody had told of");
        self.handle(Changed(subscription), ctx)
    }
}

/// The store holds something for a subscription that nobody told it of.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OwedAgain(pub SubscriptionId);

impl Handler<OwedAgain> for Router {
    type Result = ();

    fn handle(&mut self, OwedAgain(id): OwedAgain, _: &mut Self::Context) {
        if self.has_work(id) || self.roster.runs(id) {
            self.wake(id);
        }
    }
}

/// Attempt a delivery now, because a person ordered it.
#[derive(Message)]
#[rtype(result = "subscription::Answer")]
pub struct Order {
    /// To whom.
    pub subscription: SubscriptionId,
    /// Which delivery.
    pub delivery: DeliveryId,
}

impl Handler<Order> for Router {
    type Result = ResponseFuture<subscription::Answer>;

    fn handle(&mut self, Order { subscription, delivery }: Order, _: &mut Self::Context) -> Self::Result {
        let Some(to) = self.table.get(subscription) else {
            return Box::pin(std::future::ready(Err(NotMade::NotFound)));
        };
        let order = self.roster.order(to, AttemptNow { delivery }, self.last_minted, &self.with);
        Box::pin(async move {
            match order {
                Some(order) => order.await.unwrap_or(Err(NotMade::Busy)),
                None => Err(NotMade::Unavailable("the engine is stopping".to_owned())),
            }
        })
    }
}

/// Ask how a subscription is doing; `None` when it has nothing to do.
#[derive(Message)]
#[rtype(result = "Option<Status>")]
pub struct StatusOf {
    /// Which subscription.
    pub subscription: SubscriptionId,
    /// An ordering key, to learn who holds it.
    pub key: Option<KeyHash>,
    /// A delivery, to learn where it is.
    pub delivery: Option<DeliveryId>,
}

impl Handler<StatusOf> for Router {
    type Result = ResponseFuture<Option<Status>>;

    fn handle(&mut self, StatusOf { subscription, key, delivery }: StatusOf, _: &mut Self::Context) -> Self::Result {
        let asked = self.roster.status(subscription, GetStatus { key, delivery });
        Box::pin(async move { asked?.await.ok() })
    }
}

/// An actor has had nothing to do for a while.
#[derive(Message)]
#[rtype(result = "()")]
pub struct MayStop {
    /// Its subscription.
    pub id: SubscriptionId,
    /// How many messages about new deliveries it has received.
    pub offers: u64,
    /// Whether its endpoint took the latest that it was sent.
    pub works: bool,
    /// The actor.
    pub who: Addr<SubscriptionActor>,
}

impl Handler<MayStop> for Router {
    type Result = ();

    fn handle(&mut self, MayStop { id, offers, works, who }: MayStop, _: &mut Self::Context) {
        self.roster.let_go(id, offers, works, &who);
    }
}

/// Start nothing more. Answered when nothing is in flight any more and everything is recorded.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

impl Handler<Drain> for Router {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain: Drain, _: &mut Self::Context) -> Self::Result {
        let quiet = join_all(self.roster.close());
        Box::pin(async move { drop(quiet.await) })
    }
}
