//! Attempts that a person orders, beside what the queue would start.

use super::{Owed, Queue};
use crate::domain::id::DeliveryId;

/// Whether a delivery can be attempted on a person's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It can.
    Granted,
    /// An attempt is in flight or not recorded yet.
    Busy,
}

impl Queue {
    /// A person wants this delivery attempted now, whatever it is and whatever the gate says. When this is granted the
    /// delivery is read from the store, then [`Queue::claim_started`] or [`Queue::claim_dropped`] is called.
    pub fn claim(&mut self, id: DeliveryId) -> Claim {
        if self.in_flight.contains_key(&id) || self.recording.contains_key(&id) || !self.claimed.insert(id) {
            return Claim::Busy;
        }
        let late = self.late.iter().position(|owed| owed.id == id).map(|place| self.late.remove(place));
        if let Some(owed) = late.or_else(|| self.stock.remove(id)).or_else(|| self.keys.remove(id)) {
            self.hold_key(&owed);
        }
        Claim::Granted
    }

    /// The claimed delivery is being attempted; it holds a slot, also beyond the limit.
    pub fn claim_started(&mut self, owed: Owed) {
        self.claimed.remove(&owed.id);
        self.hold_key(&owed);
        self.in_flight.insert(owed.id, owed);
    }

    /// A person's order does not let others of its key pass.
    fn hold_key(&mut self, owed: &Owed) {
        if let Some(key) = self.limits.ordering.key_of(&owed.event) {
            self.keys.hold(key, owed.id);
        }
    }

    /// The claimed delivery is not attempted after all; if it is owed, it is read again.
    pub fn claim_dropped(&mut self, id: DeliveryId) {
        self.claimed.remove(&id);
        self.look_again();
    }
}
