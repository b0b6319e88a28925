//! What happens to a subscription at work.

use std::time::Duration;

use actix::{AsyncContext, Handler, Message};

use super::{SubscriptionActor, work::LINGER};
use crate::{
    actors::{mail::tell, recorder::Urgency, router::MayStop},
    domain::{
        announcement::Death,
        attempt::{Attempt, Outcome},
        delivery::{Demand, Verdict, is_gone, judge, judge_by_hand},
        id::DeliveryId,
        ordering::Ordering,
        queue::{Bearing, Owed, Page},
        time::Timestamp,
        trace::Trace,
    },
    store::{StoreError, record::Record},
};

/// The wait before a page is asked for again that could not be read.
const REREAD_PAUSE: Duration = Duration::from_secs(1);

/// These were just committed, in the order of acceptance.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Offer(pub Vec<Owed>);

impl Handler<Offer> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Offer(offered): Offer, ctx: &mut Self::Context) {
        self.offers += 1;
        self.take_word();
        let (first, newest) = (offered.first().map(|owed| owed.id), offered.last().map(|owed| owed.id));
        // An exhausted budget leaves what the slots do not need at once to the store.
        if self.with.shared.budget.is_exhausted()
            && self.queue.stock() >= usize::from(self.subscription.terms.flow.max_in_flight)
        {
            self.queue.miss();
        } else {
            self.queue.offer(offered);
        }
        // The events were matched before the end of the subscription reached the router, whatever it is again by now.
        if self.demand() == Demand::Ended {
            self.cancel_up_to(newest, ctx);
        } else if first.is_some_and(|first| Some(first) <= self.ended_with) {
            self.cancel_up_to(None, ctx);
        }
        self.advance(ctx);
    }
}

/// The store may hold what was never offered.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LookAgain {
    /// The greatest id that was minted so far.
    pub last_minted: DeliveryId,
}

impl Handler<LookAgain> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, LookAgain { last_minted }: LookAgain, ctx: &mut Self::Context) {
        self.offers += 1;
        match self.demand() {
            Demand::Standing => self.queue.look_again(),
            Demand::Ended => self.cancel_up_to(Some(last_minted), ctx),
        }
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
    /// What it met on its way.
    pub trace: Trace,
}

impl Handler<Attempted> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, attempted: Attempted, ctx: &mut Self::Context) {
        let Attempted { delivery, started_at, duration, outcome, trace } = attempted;
        let Some((owed, bearing)) = self.queue.finished(delivery, outcome.says(), self.now(), rand::random()) else {
            return;
        };
        let is_gone = match bearing {
            Bearing::Present(turn) => {
                self.endpoint_did(&outcome, turn, ctx);
                is_gone(&outcome)
            }
            Bearing::Past => false,
        };
        let number = owed.attempts.saturating_add(1);
        let attempt = Attempt { delivery, number, started_at, duration, outcome, trace };
        let is_ordered = self.orders.attempted(&attempt);
        // What was called off counts, and stays what the store says it is, unless it arrived.
        let verdict = if is_ordered || self.withdrawals.include(delivery) {
            judge_by_hand(&attempt.outcome)
        } else {
            let retry = &self.subscription.terms.retry;
            judge(&attempt, retry, self.demand(), owed.course, rand::random())
        };
        if verdict == Verdict::Dead {
            self.dying.insert(delivery, death_of(&owed, &attempt));
        }
        let keeps_order = self.subscription.terms.flow.ordering != Ordering::None;
        let urgency = if is_ordered || keeps_order { Urgency::Now } else { Urgency::Soon };
        self.record(Record { attempt, verdict }, urgency);
        if is_gone && self.demand() == Demand::Standing {
            self.hold_by_engine("the endpoint answered 410 Gone");
        }
        self.advance(ctx);
    }
}

/// Word was left of attempts that were recorded, and of what follows.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recorded;

impl Handler<Recorded> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Recorded: Recorded, ctx: &mut Self::Context) {
        self.advance(ctx);
    }
}

fn death_of(owed: &Owed, attempt: &Attempt) -> Death {
    Death {
        delivery: owed.id,
        event: owed.event.id,
        event_type: owed.event.event_type.clone(),
        attempts: attempt.number,
        last_error: attempt.outcome.complaint(),
        skipped_by: None,
        at: attempt.ended_at(),
    }
}

/// The deliveries of a [`Step::Park`](crate::domain::queue::Step::Park) are parked.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Parked;

impl Handler<Parked> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Parked: Parked, ctx: &mut Self::Context) {
        self.queue.parked();
        self.advance(ctx);
    }
}

/// What was to be put back by a [`Step::Unpark`](crate::domain::queue::Step::Unpark) is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Unparked;

impl Handler<Unparked> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Unparked: Unparked, ctx: &mut Self::Context) {
        self.queue.unparked();
        self.advance(ctx);
    }
}

/// What the row of the subscription says: since when the endpoint fails.
pub(super) struct FailingSince(pub(super) Option<Timestamp>);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PageRead {
    pub(super) page: Result<Page, StoreError>,
    /// `None` when it was not asked.
    pub(super) failing: Option<FailingSince>,
}

impl Handler<PageRead> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, PageRead { page, failing }: PageRead, ctx: &mut Self::Context) {
        if let Some(FailingSince(since)) = failing {
            self.failing_read(since, ctx);
        }
        match page {
            Ok(page) => self.queue.page_read(page),
            Err(error) => {
                let subscription = self.subscription.id.as_raw();
                log::warn!(subscription, error:% = error; "what is owed could not be read, trying again");
                self.queue.read_failed(self.now().after(REREAD_PAUSE));
            }
        }
        self.advance(ctx);
    }
}

/// The timer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Wake;

impl Handler<Wake> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Wake: Wake, ctx: &mut Self::Context) {
        self.timer = None;
        match self.idle_since {
            // When the router refuses, something is on the way here that will set the timer again.
            Some(since) if self.now().since(since) >= LINGER && self.cancelling == 0 => {
                self.idle_since = None;
                let (id, offers, works) = (self.subscription.id, self.offers, self.queue.took_the_latest());
                tell(&self.with.router, MayStop { id, offers, works, who: ctx.address() });
            }
            Some(_) | None => self.advance(ctx),
        }
    }
}
