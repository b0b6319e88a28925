//! Attempts that a person ordered, now and whatever the queue says.
//!
//! The delivery is claimed from the queue, so that the queue does not attempt it at the same time, then read, attempted and
//! recorded like any other. Whoever ordered it is answered when the record is durable.

use std::collections::HashMap;

use actix::{AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::SubscriptionActor;
use crate::{
    actors::mail::tell,
    domain::{
        attempt::{Attempt, Outcome},
        id::DeliveryId,
        queue::Claim,
    },
    store::{
        Lane, StoreError,
        backlog::{Wanted, read_one},
    },
};

/// Orders of one subscription at once.
const MAX_ORDERS: usize = 32;

/// Why an ordered attempt was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// An attempt of this delivery is under way, or too many were ordered: ask again in a moment.
    #[error("an attempt is under way already")]
    Busy,
    /// There is no such delivery of this subscription.
    #[error("there is no such delivery")]
    NotFound,
    /// The payload was erased, or the delivery is about to be.
    #[error("the payload was erased")]
    Erased,
    /// The database is away, or nothing could be sent for a reason of ours: try again later.
    #[error("the attempt could not be made: {0}")]
    Unavailable(String),
}

/// What is answered to an order.
pub type Answer = Result<Attempt, NotMade>;

/// Orders that are not answered yet.
#[derive(Default)]
pub(super) struct Orders(HashMap<DeliveryId, Order>);

struct Order {
    answer: oneshot::Sender<Answer>,
    /// What came of it, until it is durable.
    attempt: Option<Attempt>,
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this attempt was ordered. It is answered once it is recorded.
    pub(super) fn attempted(&mut self, attempt: &Attempt) -> bool {
        let Some(order) = self.0.get_mut(&attempt.delivery) else { return false };
        order.attempt = Some(attempt.clone());
        true
    }

    /// Answers an order whose attempt is durable.
    pub(super) fn recorded(&mut self, delivery: DeliveryId) {
        let Some(Order { answer, attempt: Some(attempt) }) =
            self.0.extract_if(|id, order| *id == delivery && order.attempt.is_some()).next().map(|(_, order)| order)
        else {
            return;
        };
        give(
            answer,
            match attempt.outcome {
                Outcome::NotAttempted => Err(NotMade::Unavailable("nothing was sent".to_owned())),
                Outcome::Answered(_) | Outcome::Failed(_) => Ok(attempt),
            },
        );
    }
}

/// Whoever has gone away in the meantime finds the attempt in the delivery.
fn give(answer: oneshot::Sender<Answer>, what: Answer) {
    drop(answer.send(what));
}

/// Attempt this delivery now, whatever its state, by the present terms of its subscription. Answered when that is recorded.
#[derive(Message)]
#[rtype(result = "Answer")]
pub struct AttemptNow {
    /// Which delivery of this subscription.
    pub delivery: DeliveryId,
}

impl Handler<AttemptNow> for SubscriptionActor {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, AttemptNow { delivery }: AttemptNow, ctx: &mut Self::Context) -> Self::Result {
        self.offers += 1;
        self.idle_since = None;
        self.take_word();
        if self.orders.0.len() >= MAX_ORDERS || self.queue.claim(delivery) == Claim::Busy {
            return Box::pin(std::future::ready(Err(NotMade::Busy)));
        }
        let (answer, answered) = oneshot::channel();
        self.orders.0.insert(delivery, Order { answer, attempt: None });
        let (store, subscription, me) = (self.with.shared.store.clone(), self.subscription.id, ctx.address());
        actix::spawn(async move {
            let work = move |connection: &mut _| read_one(connection, subscription, delivery);
            let read = store.run(Lane::Read, work).await;
            tell(&me, ClaimRead { delivery, read });
        });
        Box::pin(async move { answered.await.unwrap_or(Err(NotMade::Busy)) })
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct ClaimRead {
    delivery: DeliveryId,
    read: Result<Wanted, StoreError>,
}

impl Handler<ClaimRead> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, ClaimRead { delivery, read }: ClaimRead, ctx: &mut Context<Self>) {
        match read {
            Ok(Wanted::Found(_)) if !self.with.shared.store.may_deliver() => {
                let why = "the database does not say whether this engine may deliver";
                self.refuse(delivery, NotMade::Unavailable(why.to_owned()));
            }
            Ok(Wanted::Found(owed)) => {
                self.queue.claim_started(owed.clone());
                self.attempt(owed, ctx);
            }
            Ok(Wanted::Erased) => self.refuse(delivery, NotMade::Erased),
            Ok(Wanted::NotFound) => self.refuse(delivery, NotMade::NotFound),
            Err(error) => self.refuse(delivery, NotMade::Unavailable(error.to_string())),
        }
        self.advance(ctx);
    }
}

impl SubscriptionActor {
    fn refuse(&mut self, delivery: DeliveryId, why: NotMade) {
        self.queue.claim_dropped(delivery);
        self.withdrawals.over(delivery);
        if let Some(order) = self.orders.0.remove(&delivery) {
            give(order.answer, Err(why));
        }
    }
}
