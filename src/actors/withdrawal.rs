//! Calling deliveries off that several actors may have in memory.

use actix::{Handler, Message, ResponseFuture};
use futures_util::future::join_all;

use super::{
    router::Router,
    subscription::{UnderWay, Withdraw},
};
use crate::domain::{id::SubscriptionId, queue::Withdrawn};

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
