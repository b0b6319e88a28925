//! What the queue decides, in the order in which it is asked: may something start, must something be parked, is a page
//! worth reading, how long is there nothing to do.

use super::{
    Gate, PAGE, Queue, going_on,
    keys::Entry,
    steps::{ReadOrder, Step},
};
use crate::domain::{breaker::Permit, delivery::is_expired, time::Timestamp};

/// Attempts that may wait for their record, for each slot, before no further one starts: enough for one transaction under
/// way and one that gathers, few enough for a crash to repeat little when the database is slower than the endpoint. Together
/// with the slots it is the most that a crash repeats.
const RECORDING_PER_SLOT: usize = 4;

impl Queue {
    /// What to do at `now`, with at most `fair_slots` attempts at once for the sake of other subscriptions. Call it until it
    /// says [`Step::Wait`] or [`Step::Idle`].
    pub fn next(&mut self, now: Timestamp, fair_slots: usize) -> Step {
        match self.gate {
            Gate::Held { until: Some(until) } if until <= now => self.gate = Gate::Open,
            Gate::Held { until } if until.is_some() || self.is_busy() => return Step::Wait(until),
            Gate::Shut if self.is_busy() => return Step::Wait(None),
            Gate::Held { .. } | Gate::Shut => return Step::Idle,
            Gate::Open => {}
        }
        if let Some(step) = self.next_of_reordering() {
            return step;
        }
        let start_at = self.start_at(now, fair_slots);
        if start_at.is_some_and(|at| at <= now) {
            if let Some(doubt) = self.trust.lacks_reservation(now)
                && self.has_work(now)
            {
                return Step::Reserve(doubt);
            }
            if let Some(step) = self.take(now) {
                return step;
            }
        }
        if self.keys.waiting() > self.limits.window / 2 && self.room() == 0 {
            self.keys.give_up_the_longest_line(going_on(&self.in_flight, &self.recording));
        }
        // A page that is older than the write would take the key's parked deliveries for fewer than they are.
        let to_park = if self.behind.is_reading() { Vec::new() } else { self.keys.take_to_park() };
        if !to_park.is_empty() {
            return Step::Park(to_park);
        }
        if let Some(order) = self.read_order(now, start_at) {
            return Step::Read(order);
        }
        self.rest(now, start_at)
    }

    /// When the next attempt may start as far as slots, rate, breaker and trust go; `None`: when something has ended.
    fn start_at(&self, now: Timestamp, fair_slots: usize) -> Option<Timestamp> {
        let by_pace = self.pace.next_start(self.limits.rate).max(self.trust.not_before(now));
        let by_breaker = match self.breaker.permit(now) {
            Permit::Probe => return Some(by_pace),
            Permit::Free => Timestamp::EPOCH,
            Permit::NotBefore(at) => at?,
        };
        let slots = self.open_slots().min(fair_slots.max(1));
        let may_start = self.in_flight.len() < slots && self.recording.len() < self.limits.slots * RECORDING_PER_SLOT;
        may_start.then_some(by_breaker.max(by_pace))
    }

    /// Whether there is anything to start, or to look for.
    fn has_work(&self, now: Timestamp) -> bool {
        (self.stock.len() > 0 && !self.lacks_keys()) || self.next_look().is_some_and(|at| at <= now)
    }

    /// The next delivery to attempt, or to give up because it is too old.
    fn take(&mut self, now: Timestamp) -> Option<Step> {
        if self.lacks_keys() {
            return None;
        }
        let is_going_on = going_on(&self.in_flight, &self.recording);
        while let Some(owed) = self.stock.pop() {
            let owed = match self.limits.ordering.key_of(&owed.event) {
                None => owed,
                Some(key) => match self.keys.enter(key, owed, is_going_on) {
                    Entry::Go(owed) => owed,
                    Entry::Waits => continue,
                },
            };
            if is_expired(owed.course.owed_since(owed.event.accepted_at), self.limits.max_age, now) {
                self.recording.insert(owed.id, self.limits.ordering.key_of(&owed.event));
                return Some(Step::Expire(owed));
            }
            self.breaker.started(owed.id);
            self.trust.started(owed.id);
            self.pace.started(self.limits.rate, now);
            self.in_flight.insert(owed.id, owed.clone());
            return Some(Step::Start(owed));
        }
        None
    }

    /// A page is worth its query when the stock runs low, so that a long backlog is read in full pages; without the keys
    /// nothing could start at all.
    fn read_order(&mut self, now: Timestamp, start_at: Option<Timestamp>) -> Option<ReadOrder> {
        // Nothing that is read could start.
        if self.reads_when_it_starts() && start_at.is_none_or(|at| at > now) {
            return None;
        }
        let low = self.pace.slots(self.limits.slots).min(self.pace.reach(self.limits.window) / 2);
        // Half of the window at most: the other half is for what is offered while the page is read.
        let room = self.room().min(PAGE).min(self.limits.window.div_ceil(2));
        let worth_it = self.lacks_keys() || (room > 0 && self.stock.len() <= low);
        if !worth_it || self.next_look().is_none_or(|at| at > now) {
            return None;
        }
        let fresh = if self.behind.asks_for_fresh() { room.div_ceil(2) } else { 0 };
        self.behind.begin_read(room);
        let known = self.stock.ids().chain(self.keys.ids()).chain(self.in_flight.keys().copied());
        let known = known.chain(self.recording.keys().copied()).chain(self.claimed.iter().copied()).collect();
        Some(ReadOrder {
            known,
            fresh,
            // At least one, or a window of one would never see a retry.
            due: (room - fresh).max(1),
            keys: !self.keys.are_known(),
            ordering: self.limits.ordering,
            heads: self.keys.heads_to_read(),
        })
    }

    /// Whether nothing is read ahead, because the endpoint may take nothing.
    const fn reads_when_it_starts(&self) -> bool {
        self.breaker.open().is_some() || self.trust.is_lacking()
    }

    /// When a read could bring something.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.behind.next_look(self.lacks_keys() || !self.keys.heads_to_read().is_empty())
    }

    /// Whether nothing can start before the store was asked for the keys.
    fn lacks_keys(&self) -> bool {
        self.is_ordered() && !self.keys.are_known()
    }

    /// Nothing to do now: until when?
    fn rest(&self, now: Timestamp, start_at: Option<Timestamp>) -> Step {
        let has_stock = self.stock.len() > 0 && !self.lacks_keys();
        let start = start_at.filter(|at| has_stock && *at > now);
        let look = match self.next_look() {
            Some(at) if self.reads_when_it_starts() => start_at.map(|start| at.max(start)),
            look => look,
        };
        // While the window is full, only a record that becomes durable makes room.
        let look_later = look.filter(|at| *at > now);
        match start.into_iter().chain(look_later).min() {
            None if !self.is_busy() && self.stock.len() == 0 && look.is_none() => Step::Idle,
            until => Step::Wait(until),
        }
    }
}
