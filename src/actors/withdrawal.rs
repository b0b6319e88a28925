//! Deliveries that are called off while an actor may have them in memory.
//!
//! Whoever calls them off has said so in the store first, so that nobody reads them any more; then the actor gives up its
//! copies. An attempt in flight cannot be taken back: it ends and is recorded, as an arrival if it was one, and nothing
//! follows from it otherwise.

use std::collections::HashSet;

use actix::{Context, Handler, Message, ResponseFuture};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{router::Router, subscription::SubscriptionActor};
use crate::domain::{
    id::{DeliveryId, SubscriptionId},
    queue::Withdrawn,
};

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
    /// Whether this delivery was called off.
    pub(super) fn include(&self, delivery: DeliveryId) -> bool {
        self.under_way.contains(&delivery)
    }

    /// Nothing of this delivery is under way any more.
    pub(super) fn over(&mut self, delivery: DeliveryId) {
        if !self.under_way.remove(&delivery) {
            return;
        }
        for (deliveries, answer) in std::mem::take(&mut self.waiting) {
            let mut deliveries = deliveries;
            deliveries.remove(&delivery);
            if deliveries.is_empty() {
                // Whoever has stopped waiting need not know.
                answer.send(()).unwrap_or_default();
            } else {
                self.waiting.push((deliveries, answer));
            }
        }
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
        let busy = self.queue.withdraw(&which);
        self.withdrawals.under_way.extend(&busy);
        self.advance(ctx);
        if busy.is_empty() || under_way == UnderWay::Leave {
            return Box::pin(std::future::ready(()));
        }
        let (answer, over) = oneshot::channel();
        self.withdrawals.waiting.push((busy, answer));
        Box::pin(async move { over.await.unwrap_or_default() })
    }
}

/// [`Withdraw`] from each of these subscriptions.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WithdrawFrom {
    /// What from whom.
    pub deliveries: Vec<(SubscriptionId, Withdrawn)>,
    /// What about those that are past calling off.
    pub under_way: UnderWay,
}

impl Handler<WithdrawFrom> for Router {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, WithdrawFrom { deliveries, under_way }: WithdrawFrom, _: &mut Self::Context) -> Self::Result {
        let asked = deliveries
            .into_iter()
            .filter_map(|(from, which)| self.roster.withdraw(from, Withdraw { which, under_way }));
        let answered = join_all(asked);
        // An actor that died has no copies any more.
        Box::pin(async move { drop(answered.await) })
    }
}
