//! Deliveries that are called off while this actor may have them in memory.
//!
//! Whoever calls them off has said so in the store first, so that nobody reads them any more; then the actor gives up its
//! copies. An attempt in flight cannot be taken back: it ends and is recorded, as an arrival if it was one, and nothing
//! follows from it otherwise.

use std::collections::HashSet;

use actix::{Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::SubscriptionActor;
use crate::domain::{id::DeliveryId, queue::Withdrawn};

/// Whether to wait for the attempts that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderWay {
    /// Until they are recorded.
    Await,
    /// They end by themselves.
    Leave,
}

/// Deliveries that are called off and still under way.
#[derive(Default)]
pub(super) struct Withdrawals {
    under_way: HashSet<DeliveryId>,
    /// Who waits for which of them.
    waiting: Vec<(HashSet<DeliveryId>, oneshot::Sender<()>)>,
}

impl Withdrawals {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether this delivery was called off.
    pub(super) fn include(&self, delivery: DeliveryId) -> bool {
        self.under_way.contains(&delivery)
    }

    /// Nothing of this delivery is under way any more. Gives whether it was called off.
    pub(super) fn over(&mut self, delivery: DeliveryId) -> bool {
        if !self.under_way.remove(&delivery) {
            return false;
        }
        for (mut deliveries, answer) in std::mem::take(&mut self.waiting) {
            deliveries.remove(&delivery);
            if deliveries.is_empty() {
                // Whoever has stopped waiting need not know.
                answer.send(()).unwrap_or_default();
            } else {
                self.waiting.push((deliveries, answer));
            }
        }
        true
    }
}

/// Start no attempt of these deliveries any more. Answered when that holds, and after the attempts under way if asked for.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Withdraw {
    /// Which.
    pub which: Withdrawn,
    /// What about those that are past calling off.
    pub under_way: UnderWay,
}

impl Handler<Withdraw> for SubscriptionActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Withdraw { which, under_way }: Withdraw, ctx: &mut Context<Self>) -> Self::Result {
        self.take_word();
        let busy = self.queue.withdraw(&which);
        self.withdrawals.under_way.extend(&busy);
        let (answer, over) = oneshot::channel();
        // Before anything else: word may be left at any moment, and is taken only once.
        if busy.is_empty() || under_way == UnderWay::Leave {
            drop(answer);
        } else {
            self.withdrawals.waiting.push((busy, answer));
        }
        self.advance(ctx);
        Box::pin(async move { over.await.unwrap_or_default() })
    }
}
