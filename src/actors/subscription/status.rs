//! What a subscription at work can tell of itself.

use actix::{Handler, Message, MessageResult};

use super::SubscriptionActor;
use crate::domain::{breaker::Open, id::DeliveryId, ordering::KeyHash};

/// How a subscription is doing at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts that are not recorded yet.
    pub recording: usize,
    /// Since when the endpoint fails, and when it is tried next; `None` while it works.
    pub breaker: Option<Open>,
    /// Which delivery holds the key that was asked for.
    pub holder: Option<DeliveryId>,
}

/// Ask a subscription how it is doing, and who holds a key.
#[derive(Message)]
#[rtype(result = "Status")]
pub struct GetStatus {
    /// The ordering key of a delivery that waits.
    pub key: Option<KeyHash>,
}

impl Handler<GetStatus> for SubscriptionActor {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, GetStatus { key }: GetStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(Status {
            in_flight: self.queue.in_flight(),
            recording: self.queue.recording(),
            breaker: self.queue.breaker(),
            holder: key.and_then(|key| self.queue.holder_of(key)),
        })
    }
}
