//! Makes attempts: deliverers on several threads, each with clients of its own, because awc's clients stay on their thread.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};

use super::{mail::tell, pigeonhole::Pigeonhole, subscription::Attempted};
use crate::{
    clock::Clock,
    domain::{
        attempt::{Failure, Outcome},
        queue::Owed,
        time::Timestamp,
        trace::Trace,
    },
    egress::{Client, Sent, Template},
};

/// How often idle connections are looked for.
const REAP_EVERY: Duration = Duration::from_secs(10);

/// Attempts deliveries, each in a task of its own.
pub struct Deliverer {
    client: Rc<Client>,
    clock: Clock,
}

impl Deliverer {
    /// A deliverer that sends through `client`.
    #[must_use]
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client: Rc::new(client), clock }
    }
}

impl Actor for Deliverer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(REAP_EVERY, |deliverer, _| deliverer.client.reap());
    }
}

/// How the deliveries of one version of a subscription are sent; the failure when its terms cannot be sent at all.
pub type Sending = Arc<Result<Template, Failure>>;

/// Attempt a delivery, then report.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attempt {
    /// What to deliver.
    pub owed: Owed,
    /// Where and how.
    pub sending: Sending,
    /// Who wants to know.
    pub report: Report,
}

/// Who makes the attempts of a subscription.
#[derive(Clone)]
pub(super) struct Deliverers {
    /// At endpoints that are known to work.
    pub(super) proven: Recipient<Attempt>,
    /// At all others, behind whatever else the processors have to do: a thousand dead endpoints must not take the time of ten that
    /// work.
    pub(super) unproven: Recipient<Attempt>,
}

impl Deliverers {
    /// Whether both live.
    pub(super) fn connected(&self) -> bool {
        self.proven.connected() && self.unproven.connected()
    }
}

/// Tells the subscription how its attempt ended. Dropped before that, by a deliverer or a task that died, it says that the
/// attempt was not made: a slot is never lost.
pub struct Report {
    pub(super) to: Arc<Pigeonhole>,
    ended: Option<Attempted>,
}

impl Report {
    /// A report to the owner of `to` on an attempt that `now` is asked for. (An `Addr` of its own would be two allocations.)
    #[must_use]
    pub fn new(to: Arc<Pigeonhole>, owed: &Owed, now: Timestamp) -> Self {
        let not_attempted = Attempted {
            delivery: owed.id,
            started_at: now,
            duration: Duration::ZERO,
            outcome: Outcome::NotAttempted,
            trace: Trace::default(),
        };
        Self { to, ended: Some(not_attempted) }
    }

    /// The attempt ended like this.
    pub(super) fn end(mut self, started_at: Timestamp, duration: Duration, sent: Sent) {
        let Sent { outcome, trace } = sent;
        if let Some(ended) = &mut self.ended {
            *ended = Attempted { delivery: ended.delivery, started_at, duration, outcome, trace };
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            tell(&self.to.owner, ended);
        }
    }
}

impl Handler<Attempt> for Deliverer {
    type Result = ();

    fn handle(&mut self, attempt: Attempt, _: &mut Self::Context) {
        let Attempt { owed, sending, report } = attempt;
        let (client, clock) = (Rc::clone(&self.client), self.clock.clone());
        actix::spawn(async move {
            let started_at = clock.now();
            let sent = match &*sending {
                Ok(template) => client.send(template.request(owed.id, &owed.event, started_at)).await,
                Err(failure) => Sent { outcome: Outcome::Failed(failure.clone()), trace: Trace::default() },
            };
            report.end(started_at, clock.now().since(started_at), sent);
        });
    }
}
