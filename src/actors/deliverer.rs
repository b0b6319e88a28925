//! Makes attempts: one deliverer on each arbiter, because awc's clients stay on their thread.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};

use super::{
    mail::tell,
    subscription::{Attempted, SubscriptionActor},
};
use crate::{
    clock::Clock,
    domain::{attempt::Outcome, queue::Owed, subscription::Subscription, time::Timestamp},
    egress::{Client, Request},
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

/// Attempt this delivery, then tell `from`.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attempt {
    /// What to deliver.
    pub owed: Owed,
    /// To whom, and how.
    pub subscription: Arc<Subscription>,
    /// Who gets [`Attempted`].
    pub from: Addr<SubscriptionActor>,
}

impl Handler<Attempt> for Deliverer {
    type Result = ();

    fn handle(&mut self, attempt: Attempt, _: &mut Self::Context) {
        let (client, clock) = (Rc::clone(&self.client), self.clock.clone());
        actix::spawn(async move {
            let started_at = clock.now();
            let outcome = send(&client, &attempt, started_at).await;
            let duration = clock.now().since(started_at);
            tell(&attempt.from, Attempted { delivery: attempt.owed.id, started_at, duration, outcome });
        });
    }
}

async fn send(client: &Client, attempt: &Attempt, now: Timestamp) -> Outcome {
    let Owed { id, event, .. } = &attempt.owed;
    match Request::build(&attempt.subscription.terms, *id, event, now) {
        Ok(request) => client.send(request).await,
        Err(failure) => Outcome::Failed(failure),
    }
}
