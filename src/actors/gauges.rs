//! What can be read off the engine at any moment, without asking an actor.

use super::{
    admission::Admission, budget::Budget, colleagues::Shared, open_breakers::OpenBreakers, recorder::Waiting,
    slots::Slots,
};
use crate::{
    domain::time::Timestamp,
    metrics::{self, Readings, Use},
};

/// At most so many subscriptions are named in one reading.
pub const MOST_NAMED: usize = 100;

/// The places to look at; clones look at the same.
#[derive(Clone, Debug)]
pub struct Gauges {
    admission: Admission,
    slots: Slots,
    waiting: Waiting,
    budget: Budget,
    open_breakers: OpenBreakers,
}

impl Gauges {
    /// What the actors share, and the door.
    #[must_use]
    pub fn new(shared: &Shared, admission: Admission) -> Self {
        let Shared { slots, waiting, budget, open_breakers, .. } = shared.clone();
        Self { admission, slots, waiting, budget, open_breakers }
    }

    /// What can be read off at `now`; what the store knows is left out.
    #[must_use]
    pub fn read(&self, now: Timestamp) -> Readings {
        let (count, longest) = self.open_breakers.longest(MOST_NAMED);
        Readings {
            slots: Use { used: self.slots.in_flight(), bound: self.slots.bound() },
            waiting_events: Use { used: self.admission.waiting(), bound: self.admission.max_events() },
            waiting_records: Use { used: self.waiting.count(), bound: Waiting::MOST },
            payloads: Use { used: self.budget.used(), bound: self.budget.bytes() },
            failing: metrics::Failing {
                count,
                longest: longest.into_iter().map(|(id, since)| (id, now.since(since))).collect(),
            },
            ..Readings::default()
        }
    }
}
