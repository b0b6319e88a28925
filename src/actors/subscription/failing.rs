//! How the endpoint is doing over hours and days: stored, told, and followed by a pause when it lasts too long.

use actix::{AsyncContext, Context, Handler, Message};

use super::SubscriptionActor;
use crate::{
    actors::{announcing::Announce, colleagues::Shared, mail::tell, subscription::steadfast::STORE_PAUSE},
    clock::rfc3339,
    domain::{
        announcement::News,
        attempt::Outcome,
        breaker::Turn,
        delivery::Demand,
        failing::{Failing, Finding, Recovery},
        time::Timestamp,
    },
};

/// What the actor keeps of its endpoint's troubles.
pub(super) struct Troubles {
    pub(super) failing: Failing,
    last_error: Option<String>,
    /// Since when it fails as was told, until it is told that it works again.
    told: Option<Timestamp>,
    is_storing: bool,
}

impl Troubles {
    pub(super) const fn new(failing: Failing) -> Self {
        Self { failing, last_error: None, told: None, is_storing: false }
    }
}

impl SubscriptionActor {
    /// An attempt ended, and this is what it means for the breaker.
    pub(super) fn endpoint_did(&mut self, outcome: &Outcome, turn: Turn, ctx: &mut Context<Self>) {
        let now = self.now();
        if let Some(complaint) = outcome.complaint() {
            self.troubles.last_error = Some(complaint);
        }
        if turn != Turn::None {
            let since = self.queue.breaker().map(|open| open.since);
            self.with.shared.open_breakers.set(self.subscription.id, since);
        }
        let finding = self.troubles.failing.attempted(outcome.says().sign, now);
        let subscription = self.subscription.id.as_raw();
        match turn {
            Turn::None => {}
            Turn::Opened => {
                log::warn!(subscription; "the endpoint fails, it is only probed from now on");
                let since = self.troubles.failing.since().unwrap_or(now);
                self.troubles.told = Some(since);
                let (failures, last_error) = (self.troubles.failing.failures(), self.troubles.last_error.clone());
                self.announce(vec![News::Failing { since, failures, last_error }]);
            }
            Turn::Closed => {
                log::info!(subscription; "the endpoint works again");
                self.tell_of_recovery(None);
            }
        }
        match finding {
            Finding::Recovered(recovery) => self.tell_of_recovery(Some(recovery)),
            Finding::Pause(since) if self.demand() == Demand::Standing => {
                self.hold_by_engine(&format!("the endpoint has failed since {}", rfc3339(since)));
            }
            Finding::Nothing | Finding::Pause(_) => {}
        }
        self.store_failing(ctx);
        if self.troubles.failing.failures() == 1 && self.troubles.failing.since() == Some(now) {
            // The next attempt may be an hour away, and a crash before it would forget the beginning.
            ctx.notify_later(Remember, self.troubles.failing.worth_storing_after());
        }
    }

    /// The endpoint works again: told if its failing was, here or in an earlier life.
    fn tell_of_recovery(&mut self, recovery: Option<Recovery>) {
        let old = recovery.filter(|recovery| recovery.is_old).map(|recovery| recovery.since);
        if let Some(failing_since) = self.troubles.told.take().or(old) {
            self.announce(vec![News::Recovered { failing_since, at: self.now() }]);
        }
    }

    /// Has news told, if there are any.
    pub(super) fn announce(&self, news: Vec<News>) {
        if !news.is_empty() {
            tell(&self.with.router, Announce { subject: self.subscription.id, news });
        }
    }

    /// The row says this about the endpoint.
    pub(super) fn failing_read(&mut self, since: Option<Timestamp>, ctx: &Context<Self>) {
        if let Some(recovery) = self.troubles.failing.found(since) {
            self.tell_of_recovery(Some(recovery));
        }
        if self.troubles.failing.since().is_some() {
            self.queue.endpoint_fails();
        }
        self.store_failing(ctx);
    }

    /// Makes the row say what is known, one write at a time.
    pub(super) fn store_failing(&mut self, ctx: &Context<Self>) {
        let Some(since) = self.troubles.failing.to_store(self.now()) else { return };
        if std::mem::replace(&mut self.troubles.is_storing, true) {
            return;
        }
        let (Shared { store, failing_notes, .. }, me) = (self.with.shared.clone(), ctx.address());
        let id = self.subscription.id;
        actix::spawn(async move {
            let is_written = failing_notes.write(&store, id, since).await;
            if !is_written {
                tokio::time::sleep(STORE_PAUSE).await;
            }
            tell(&me, Noted { since, is_written });
        });
    }
}

/// The trouble may have lasted long enough to be stored.
#[derive(Message)]
#[rtype(result = "()")]
struct Remember;

impl Handler<Remember> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Remember: Remember, ctx: &mut Self::Context) {
        self.store_failing(ctx);
    }
}

/// The row was written, or not.
#[derive(Message)]
#[rtype(result = "()")]
struct Noted {
    since: Option<Timestamp>,
    is_written: bool,
}

impl Handler<Noted> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Noted { since, is_written }: Noted, ctx: &mut Self::Context) {
        self.troubles.is_storing = false;
        if is_written {
            self.troubles.failing.stored(since);
        }
        self.store_failing(ctx);
    }
}
