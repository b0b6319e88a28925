//! One subscription at work: its queue, its attempts, its one timer.
//!
//! Every message ends in [`SubscriptionActor::advance`], which does what the queue says until it says to wait. The actor
//! may be lost at any moment: a new one reads the store.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle};
use tokio::sync::oneshot;

use super::{
    budget::Share,
    colleagues::{Colleagues, Shared},
    deliverer::{self, Deliverer, Report, Sending},
    mail::tell,
    orders::Orders,
    recorder::RecordAttempt,
    router::{Changed, MayStop},
    withdrawal::Withdrawals,
};
use crate::{
    domain::{
        attempt::{Attempt, Outcome},
        delivery::{Demand, Next, is_gone, judge, judge_by_hand},
        hold::Hold,
        id::DeliveryId,
        owner::Scope,
        queue::{Gate, Limits, Owed, Page, Queue, ReadOrder, Step},
        subscription::Subscription,
        time::Timestamp,
    },
    egress::Template,
    store::{
        Lane, StoreError,
        backlog::read_page,
        record::{Record, cancel_owed},
        subscriptions,
    },
};

/// How long an actor with nothing to do stays, in case more comes.
const LINGER: Duration = Duration::from_secs(30);
/// The wait before the store is asked again that could not do what it was asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How soon to look whether the recorder has caught up.
const RECORDER_PAUSE: Duration = Duration::from_millis(50);
/// Deliveries cancelled in one transaction.
const CANCEL_PAGE: i64 = 1_000;

/// The longest sleep of the timer: a wait may be as long as 100 years, which no timer takes.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);

/// See the module.
pub struct SubscriptionActor {
    pub(super) subscription: Arc<Subscription>,
    sending: Sending,
    pub(super) queue: Queue,
    /// The greatest id that was minted when the subscription ended, or offered after.
    cancel_up_to: DeliveryId,
    /// Messages about deliveries so far; the roster counts them too, and lets this actor go only when both agree.
    pub(super) offers: u64,
    timer: Option<(Timestamp, SpawnHandle)>,
    /// Since when there is nothing to do.
    idle_since: Option<Timestamp>,
    /// Who wants to know when nothing is in flight any more.
    quiet: Vec<oneshot::Sender<()>>,
    /// Attempts that a person ordered.
    pub(super) orders: Orders,
    /// Deliveries that are called off and still under way.
    pub(super) withdrawals: Withdrawals,
    share: Share,
    deliverer: Addr<Deliverer>,
    pub(super) with: Colleagues,
}

impl SubscriptionActor {
    /// An actor that will read what `subscription` is owed. `last_minted` is the greatest id there is so far.
    pub(super) fn new(
        subscription: Arc<Subscription>,
        last_minted: DeliveryId,
        deliverer: Addr<Deliverer>,
        with: Colleagues,
    ) -> Self {
        let shared = &with.shared;
        Self {
            sending: Arc::new(Template::new(&subscription.terms)),
            queue: Queue::new(limits(&subscription, shared.window), gate(&subscription, shared.clock.now())),
            subscription,
            cancel_up_to: last_minted,
            offers: 0,
            timer: None,
            idle_since: None,
            quiet: Vec::new(),
            orders: Orders::default(),
            withdrawals: Withdrawals::default(),
            share: shared.budget.share(),
            deliverer,
            with,
        }
    }

    /// Does what the queue says, until it says to wait.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        loop {
            let now = self.now();
            if self.with.waiting.is_full() {
                self.wake_at(now.after(RECORDER_PAUSE), ctx);
                break;
            }
            match self.queue.next(now) {
                Step::Start(owed) => self.attempt(owed, ctx),
                Step::Read(order) => self.read(order, ctx),
                Step::Wait(until) => {
                    self.idle_since = None;
                    if let Some(until) = until {
                        self.wake_at(until, ctx);
                    }
                    break;
                }
                Step::Idle => {
                    let since = *self.idle_since.get_or_insert(now);
                    self.wake_at(since.after(LINGER), ctx);
                    break;
                }
            }
        }
        self.share.set(self.queue.payload_bytes());
        if self.queue.in_flight() + self.queue.recording() == 0 {
            // Whoever has stopped waiting need not know.
            self.quiet.drain(..).for_each(|quiet| quiet.send(()).unwrap_or_default());
        }
    }

    fn now(&self) -> Timestamp {
        self.with.shared.clock.now()
    }

    pub(super) fn attempt(&self, owed: Owed, ctx: &mut Context<Self>) {
        if !self.deliverer.connected() {
            // The router finds this actor dead, and starts one that has a deliverer.
            ctx.stop();
        }
        let report = Report::new(ctx.address(), &owed, self.now());
        tell(&self.deliverer, deliverer::Attempt { owed, sending: Arc::clone(&self.sending), report });
    }

    fn read(&self, order: ReadOrder, ctx: &Context<Self>) {
        let Shared { store, budget, .. } = self.with.shared.clone();
        let (id, now, me) = (self.subscription.id, self.now(), ctx.address());
        actix::spawn(async move {
            let max_bytes = budget.page_bytes();
            let work = move |connection: &mut _| read_page(connection, id, &order, now, max_bytes);
            tell(&me, PageRead(store.run(Lane::Read, work).await));
        });
    }

    /// Keeps the one timer: it rings at `at` or earlier. To be woken too early costs less than to move the timer each time.
    fn wake_at(&mut self, at: Timestamp, ctx: &mut Context<Self>) {
        match self.timer.take() {
            Some((set_for, handle)) if set_for <= at => self.timer = Some((set_for, handle)),
            earlier => {
                if let Some((_, handle)) = earlier {
                    ctx.cancel_future(handle);
                }
                let handle = ctx.notify_later(Wake, at.since(self.now()).min(LONGEST_SLEEP));
                self.timer = Some((at, handle));
            }
        }
    }

    fn demand(&self) -> Demand {
        if self.subscription.terms.is_active { Demand::Standing } else { Demand::Ended }
    }

    /// The same for one delivery, which may have been called off on its own.
    fn demand_for(&self, delivery: DeliveryId) -> Demand {
        if self.withdrawals.include(delivery) { Demand::Ended } else { self.demand() }
    }

    /// Calls off what is owed after the subscription ended.
    fn cancel(&self) {
        let Shared { store, clock, .. } = self.with.shared.clone();
        let (id, last) = (self.subscription.id, self.cancel_up_to);
        actix::spawn(async move {
            loop {
                let now = clock.now();
                let work = move |connection: &mut _| cancel_owed(connection, id, last, CANCEL_PAGE, now);
                match store.run(Lane::Write, work).await {
                    Ok(cancelled) if i64::try_from(cancelled).is_ok_and(|cancelled| cancelled < CANCEL_PAGE) => break,
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "cancelling what is owed waits");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
        });
    }

    /// The endpoint said that it is gone for good: hold everything until a person has looked.
    fn hold_because_gone(&mut self) {
        self.queue.set_gate(Gate::Held { until: None });
        let (store, router, id) = (self.with.shared.store.clone(), self.with.router.clone(), self.subscription.id);
        let hold = Hold::by_engine(self.now(), "the endpoint answered 410 Gone");
        actix::spawn(async move {
            loop {
                let hold = hold.clone();
                let work = move |connection: &mut _| subscriptions::set_hold(connection, Scope::All, id, Some(&hold));
                match store.run(Lane::Write, work).await {
                    Ok(subscriptions::Change::Made(paused)) => return tell(&router, Changed(Arc::new(*paused))),
                    Ok(subscriptions::Change::NotFound | subscriptions::Change::AlreadyRegistered) => return,
                    Err(error) => {
                        log::warn!(subscription = id.as_raw(), error:% = error; "pausing a gone endpoint waits");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
            }
        });
    }
}

fn limits(subscription: &Subscription, window: usize) -> Limits {
    let slots = usize::from(subscription.terms.max_in_flight).max(1);
    Limits { slots, window: window.max(slots) }
}

fn gate(subscription: &Subscription, now: Timestamp) -> Gate {
    match &subscription.hold {
        _ if !subscription.terms.is_active => Gate::Shut,
        Some(hold) if hold.holds(now) => Gate::Held { until: hold.until },
        Some(_) | None => Gate::Open,
    }
}

impl Actor for SubscriptionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.demand() == Demand::Ended {
            self.cancel();
        }
        self.advance(ctx);
    }
}

/// These were just committed, in the order of acceptance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Offer(pub Vec<Owed>);

impl Handler<Offer> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Offer(offered): Offer, ctx: &mut Self::Context) {
        self.offers += 1;
        let newest = offered.last().map(|owed| owed.id);
        if self.with.shared.budget.is_exhausted() {
            self.queue.look_again();
        } else {
            self.queue.offer(offered);
        }
        // The events were matched before the end of the subscription reached the router.
        if self.demand() == Demand::Ended {
            self.cancel_up_to = newest.map_or(self.cancel_up_to, |newest| newest.max(self.cancel_up_to));
            self.cancel();
        }
        self.advance(ctx);
    }
}

/// The store may hold what was never offered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LookAgain;

impl Handler<LookAgain> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, LookAgain: LookAgain, ctx: &mut Self::Context) {
        self.offers += 1;
        self.queue.look_again();
        self.advance(ctx);
    }
}

/// An attempt ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attempted {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

impl Handler<Attempted> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, attempted: Attempted, ctx: &mut Self::Context) {
        let Attempted { delivery, started_at, duration, outcome } = attempted;
        let Some(owed) = self.queue.finished(delivery) else { return };
        let is_gone = is_gone(&outcome);
        let attempt = Attempt { delivery, number: owed.attempts.saturating_add(1), started_at, duration, outcome };
        let verdict = if self.orders.attempted(&attempt) {
            judge_by_hand(&attempt.outcome)
        } else {
            let retry = &self.subscription.terms.retry;
            judge(&attempt, retry, self.demand_for(delivery), owed.course, rand::random())
        };
        tell(&self.with.recorder, RecordAttempt { record: Record { attempt, verdict }, from: ctx.address() });
        if is_gone && self.demand() == Demand::Standing {
            self.hold_because_gone();
        }
        self.advance(ctx);
    }
}

/// Attempts of these deliveries were recorded, and this is what follows for them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recorded(pub Vec<(DeliveryId, Next)>);

impl Handler<Recorded> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Recorded(recorded): Recorded, ctx: &mut Self::Context) {
        for (delivery, next) in recorded {
            self.queue.recorded(delivery, next);
            self.orders.recorded(delivery);
            self.withdrawals.over(delivery);
        }
        self.advance(ctx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PageRead(Result<Page, StoreError>);

impl Handler<PageRead> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, PageRead(page): PageRead, ctx: &mut Self::Context) {
        match page {
            Ok(page) => self.queue.page_read(page),
            Err(error) => {
                let subscription = self.subscription.id.as_raw();
                log::warn!(subscription, error:% = error; "what is owed could not be read, trying again");
                self.queue.read_failed(self.now().after(STORE_PAUSE));
            }
        }
        self.advance(ctx);
    }
}

/// The timer.
#[derive(Message)]
#[rtype(result = "()")]
struct Wake;

impl Handler<Wake> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Wake: Wake, ctx: &mut Self::Context) {
        self.timer = None;
        match self.idle_since {
            // When the router refuses, something is on the way here that will set the timer again.
            Some(since) if self.now().since(since) >= LINGER => {
                self.idle_since = None;
                tell(&self.with.router, MayStop { id: self.subscription.id, offers: self.offers, who: ctx.address() });
            }
            Some(_) | None => self.advance(ctx),
        }
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
        let was = self.demand();
        if message.subscription.version < self.subscription.version {
            return;
        }
        self.subscription = message.subscription;
        self.sending = Arc::new(Template::new(&self.subscription.terms));
        self.queue.set_limits(limits(&self.subscription, self.with.shared.window));
        self.queue.set_gate(gate(&self.subscription, self.now()));
        if self.demand() == Demand::Ended && was == Demand::Standing {
            self.cancel_up_to = message.last_minted;
            self.cancel();
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
