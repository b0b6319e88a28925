//! What the actor carries out when the queue says so.

use std::{sync::Arc, time::Duration};

use actix::{ActorContext, AsyncContext, Context, WrapFuture};

use super::{
    SubscriptionActor,
    messages::{FailingSince, PageRead, Parked, Unparked, Wake},
    steadfast::{ROWS, STORE_PAUSE, until_done, until_none_is_left},
};
use crate::{
    actors::{
        budget::Budget,
        colleagues::Shared,
        deliverer::{self, Deliverers, Report},
        mail::{hand, tell},
        recorder::Urgency,
    },
    domain::{
        attempt::{Attempt, Outcome},
        delivery::Verdict,
        id::DeliveryId,
        ordering::KeyHash,
        queue::{Owed, Page, ReadOrder, Step},
        time::Timestamp,
        trace::Trace,
    },
    store::{
        Lane,
        backlog::read_page,
        parking::{park, unpark},
        record::Record,
        subscriptions::failing::failing_since,
    },
};

/// How long an actor with nothing to do stays, in case more comes.
pub(super) const LINGER: Duration = Duration::from_secs(30);
/// How soon to look for word of a record when nothing else comes up: so seldom that the timer wakes an actor once for several
/// deliveries. Nobody waits for it, because whoever asks how the subscription is doing has it look first; but an actor without
/// anything to do stays that much longer.
const WORD_PAUSE: Duration = Duration::from_secs(10);
/// How soon to look whether the recorder has caught up.
const RECORDER_PAUSE: Duration = Duration::from_millis(50);
/// The longest sleep of the timer: a wait may be as long as 100 years, which no timer takes.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);

impl SubscriptionActor {
    /// Does what the queue says, until it says to wait.
    pub(super) fn advance(&mut self, ctx: &mut Context<Self>) {
        loop {
            self.take_word();
            self.go_on(ctx);
            if !self.await_word() {
                break;
            }
        }
        self.in_use.set(self.queue.in_flight());
        if self.queue.in_flight() + self.queue.recording() == 0 {
            // Whoever has stopped waiting need not know.
            self.quiet.drain(..).for_each(|quiet| quiet.send(()).unwrap_or_default());
        }
    }

    /// Does one step after the other, until there is none.
    fn go_on(&mut self, ctx: &mut Context<Self>) {
        loop {
            let now = self.now();
            if let Some(pause) = self.pause() {
                self.idle_since = None;
                return self.wake_at(now.after(pause), ctx);
            }
            match self.queue.next(now, self.in_use.fair_share()) {
                Step::Start(owed) => {
                    self.in_use.set(self.queue.in_flight());
                    self.attempt(owed, ctx);
                }
                Step::Expire(owed) => self.expire(&owed, now),
                Step::Reserve(doubt) => self.queue.reserved(self.with.shared.trickles.reserve(doubt, now)),
                Step::Read(order) => self.read(order, ctx),
                Step::Park(to_park) => self.park(to_park, ctx),
                Step::Unpark => self.unpark(ctx),
                Step::Wait(until) => {
                    self.idle_since = None;
                    let word = (self.queue.recording() > 0).then(|| now.after(WORD_PAUSE));
                    if let Some(at) = until.into_iter().chain(word).min() {
                        self.wake_at(at, ctx);
                    }
                    return;
                }
                Step::Idle => {
                    let since = *self.idle_since.get_or_insert(now);
                    return self.wake_at(since.after(LINGER), ctx);
                }
            }
        }
    }

    /// How long nothing starts in the whole process, whatever the queue says.
    fn pause(&self) -> Option<Duration> {
        let shared = &self.with.shared;
        if shared.store.may_deliver() { shared.waiting.is_full().then_some(RECORDER_PAUSE) } else { Some(STORE_PAUSE) }
    }

    pub(super) fn attempt(&self, owed: Owed, ctx: &mut Context<Self>) {
        if !self.deliverers.connected() {
            // The router finds this actor dead, and starts one that has deliverers.
            ctx.stop();
        }
        let report = Report::new(Arc::clone(&self.pigeonhole), &owed, self.now());
        let Deliverers { proven, unproven } = &self.deliverers;
        let deliverer = if self.queue.is_endpoint_proven() { proven } else { unproven };
        hand(deliverer, deliverer::Attempt { owed, sending: Arc::clone(&self.sending), report });
    }

    fn read(&self, order: ReadOrder, ctx: &Context<Self>) {
        let Shared { store, budget, .. } = self.with.shared.clone();
        let (id, now, me) = (self.subscription.id, self.now(), ctx.address());
        let is_failing_known = self.troubles.failing.is_known();
        actix::spawn(async move {
            let max_bytes = budget.page_bytes();
            let work = move |connection: &mut _| {
                let failing = if is_failing_known { None } else { Some(FailingSince(failing_since(connection, id)?)) };
                Ok((read_page(connection, id, &order, now, max_bytes)?, failing))
            };
            let (page, failing) = match store.run(Lane::Read, work).await {
                Ok((page, failing)) => (Ok(counted(page, &budget)), failing),
                Err(error) => (Err(error), None),
            };
            tell(&me, PageRead { page, failing });
        });
    }

    /// The queue counts on it: until it is known to be done, these are neither parked nor not. Ends with this actor, or what the
    /// next one holds would be parked.
    fn park(&self, to_park: Vec<(DeliveryId, KeyHash)>, ctx: &mut Context<Self>) {
        let (store, id, me) = (self.with.shared.store.clone(), self.subscription.id, ctx.address());
        let to_park: Arc<[_]> = to_park.into();
        let parking = async move {
            let work = move |connection: &mut _| park(connection, &to_park);
            until_done(&store, id, "parking deliveries", work).await;
            tell(&me, Parked);
        };
        ctx.spawn(parking.into_actor(self));
    }

    /// What was parked under another ordering is attempted under the present one. Ends with this actor, as above.
    fn unpark(&self, ctx: &mut Context<Self>) {
        let (store, id, me) = (self.with.shared.store.clone(), self.subscription.id, ctx.address());
        let unparking = async move {
            let work = move |connection: &mut _| unpark(connection, id, ROWS);
            until_none_is_left(&store, id, "reordering what is owed", work).await;
            tell(&me, Unparked);
        };
        ctx.spawn(unparking.into_actor(self));
    }

    /// Has it recorded that a delivery is too old.
    fn expire(&self, owed: &Owed, now: Timestamp) {
        let attempt = Attempt {
            delivery: owed.id,
            number: owed.attempts.saturating_add(1),
            started_at: now,
            duration: Duration::ZERO,
            outcome: Outcome::NotAttempted,
            trace: Trace::default(),
        };
        self.record(Record { attempt, verdict: Verdict::Expired }, Urgency::Soon);
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
}

/// The page with payloads that count.
fn counted(mut page: Page, budget: &Budget) -> Page {
    let heads = page.heads.iter_mut().flat_map(|head| &mut head.owed);
    for owed in page.fresh.iter_mut().chain(&mut page.due).chain(heads) {
        if let Some(event) = Arc::get_mut(&mut owed.event) {
            event.payload = budget.count(std::mem::take(&mut event.payload));
        }
    }
    page
}
