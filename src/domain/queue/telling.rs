//! What the queue can tell: people who ask why something waits, and its owner, who starts attempts.

use super::{Gate, Queue, reordering::Reordering};
use crate::domain::{id::DeliveryId, time::Timestamp};

/// Where a delivery is in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its attempt is in flight.
    InFlight,
    /// Its attempt has ended, and is not recorded yet.
    Recording,
    /// In memory, to be attempted when its turn comes.
    InLine,
}

impl Queue {
    /// Where `id` is; `None` when it is in the store only.
    #[must_use]
    pub fn place_of(&self, id: DeliveryId) -> Option<Place> {
        if self.in_flight.contains_key(&id) {
            Some(Place::InFlight)
        } else if self.recording.contains_key(&id) {
            Some(Place::Recording)
        } else {
            self.knows(id).then_some(Place::InLine)
        }
    }

    /// Whether anything follows from a record that settles its delivery, but that this is forgotten. If not, its owner may put off
    /// telling the queue; of other records it has to tell at once.
    #[must_use]
    pub fn awaits_records(&self) -> bool {
        let may_start = self.gate == Gate::Open && self.reordering == Reordering::Done && !self.is_ordered();
        let has_more = self.stock.len() > 0 || self.next_look().is_some();
        !self.recording.is_empty() && (!may_start || has_more)
    }

    /// How many attempts may be in flight now: at most the limit, fewer while the endpoint is strained, and one more at a time
    /// while it is not known to work.
    #[must_use]
    pub fn open_slots(&self) -> usize {
        let slots = self.pace.slots(self.limits.slots);
        let awaits_answer = self.trust.asked().is_some_and(|id| self.in_flight.contains_key(&id));
        match self.in_flight.len() {
            in_flight if awaits_answer => slots.min(in_flight),
            in_flight if self.trust.is_lacking() => slots.min(in_flight + 1),
            _ => slots,
        }
    }

    /// Whether the endpoint took the latest that it was sent.
    #[must_use]
    pub const fn took_the_latest(&self) -> bool {
        self.trust.is_full()
    }

    /// Whether the endpoint is known to work: it took something, and has not failed since, but for one refusal.
    #[must_use]
    pub const fn is_endpoint_proven(&self) -> bool {
        !self.trust.is_lacking()
    }

    /// When the rate lets the next attempt start; in the past when it may now.
    #[must_use]
    pub fn next_start(&self) -> Timestamp {
        self.pace.next_start(self.limits.rate)
    }
}
