//! Whoever does what the queue says, and sees to it that the laws hold.

use super::{super::super::*, *};

/// Parked deliveries come beside the page: at most two of each key here, and there are three keys.
const HEADS: usize = 6;

impl World {
    /// Does what the queue says, and checks what must hold.
    pub(super) fn act(&mut self) -> bool {
        loop {
            match self.queue.next(self.now, usize::MAX) {
                Step::Start(started) => self.start(started.id.as_raw()),
                Step::Expire(owed) => panic!("{} has no age", owed.id),
                Step::Read(order) => {
                    assert!(self.order.is_none() && self.page.is_none(), "one read at a time");
                    self.order = Some(order);
                }
                Step::Reserve(doubt) => {
                    assert_eq!((Some(doubt), self.reservation()), (self.doubt, None), "one attempt at a time");
                    let at = self.now.after(TRICKLE);
                    self.reserved = Some(at);
                    self.queue.reserved(at);
                }
                Step::Park(to_park) => {
                    assert!(self.to_park.is_none(), "one write at a time");
                    assert_ne!(self.ordering, Ordering::None);
                    self.to_park = Some(to_park.into_iter().map(|(id, key)| (id.as_raw(), key)).collect());
                }
                Step::Unpark => {
                    assert!(!self.to_unpark && self.to_park.is_none(), "one write at a time");
                    assert!(self.in_flight.is_empty() && self.records.is_empty(), "what goes on has a key");
                    self.to_unpark = true;
                }
                Step::Wait(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "a wait that is over would spin");
                    break false;
                }
                Step::Idle => break true,
            }
        }
    }

    /// What is reserved, and not given up because it was not used.
    fn reservation(&self) -> Option<Timestamp> {
        self.reserved.filter(|at| self.now.since(*at) <= RESERVATION_HOLDS_FOR)
    }

    fn start(&mut self, id: i64) {
        let held = self.owed.get(&id).copied().expect("only what is owed is attempted");
        assert!(held.until().is_none_or(|due| due <= self.now), "{id} starts early");
        assert!(
            !self.records.iter().any(|(recording, _)| *recording == id),
            "{id} starts before its record is durable"
        );
        assert!(!self.in_flight.contains(&id), "{id} runs twice");
        assert!(!matches!(self.queue.gate, Gate::Held { .. }), "{id} starts while held");
        if let Some(doubt) = self.doubt {
            assert!(self.reservation().is_some_and(|at| at <= self.now), "{id} starts before its time");
            self.reserved = None;
            let awaited = self.asked.filter(|asked| self.in_flight.contains(asked));
            assert!(awaited.is_none() || self.queue.breaker().is_some(), "{id} starts before {awaited:?} has ended");
            if self.failed.is_none_or(|failed| doubt == Doubt::Failing && failed != id) {
                self.asked = Some(id);
            }
        }
        if let Some(key) = self.key(id).filter(|_| !self.tried_before.contains(&id)) {
            let earlier = self.owed.keys().find(|other| **other < id && self.key(**other) == Some(key));
            assert_eq!(earlier, None, "{id} overtakes");
            let beside = self.in_flight.iter().find(|other| self.key(**other) == Some(key));
            assert!(beside.is_none_or(|other| self.ordered.contains(other)), "{id} runs beside {beside:?}");
        }
        self.in_flight.push(id);
        self.starts.push(id);
        let beyond = self.ordered.len();
        assert!(self.in_flight.len() <= LIMITS.slots + beyond, "slots hold");
        let held = self.queue.stock.len() + self.queue.keys.waiting() + self.queue.in_flight.len();
        assert!(held + self.queue.recording.len() <= LIMITS.window + beyond + HEADS, "the window holds");
    }
}
