//! What a subscription at work can tell of itself.

use actix::{Handler, Message, MessageResult};

use super::SubscriptionActor;
use crate::domain::{breaker::Open, id::DeliveryId, ordering::KeyHash, queue::Place, time::Timestamp};

/// How a subscription is doing at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts that may be in flight now.
    pub slots: usize,
    /// When the rate lets the next attempt start; in the past when it may now.
    pub next_start: Timestamp,
    /// Attempts that are not recorded yet.
    pub recording: usize,
    /// Since when the endpoint fails, and when it is tried next; `None` while it works.
    pub breaker: Option<Open>,
    /// Which delivery holds the key that was asked for.
    pub holder: Option<DeliveryId>,
    /// Where the delivery that was asked for is; `None` when it is in the store only.
    pub place: Option<Place>,
}

/// Ask a subscription how it is doing, and who holds a key.
#[derive(Message)]
#[rtype(result = "Status")]
pub struct GetStatus {
    /// The ordering key of a delivery that waits.
    pub key: Option<KeyHash>,
    /// A delivery, to learn where it is.
    pub delivery: Option<DeliveryId>,
}

impl Handler<GetStatus> for SubscriptionActor {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, GetStatus { key, delivery }: GetStatus, _: &mut Self::Context) -> Self::Result {
        self.take_word();
        MessageResult(Status {
            in_flight: self.queue.in_flight(),
            slots: self.queue.open_slots(),
            next_start: self.queue.next_start(),
            recording: self.queue.recording(),
            breaker: self.queue.breaker(),
            holder: key.and_then(|key| self.queue.holder_of(key)),
            place: delivery.and_then(|delivery| self.queue.place_of(delivery)),
        })
    }
}
