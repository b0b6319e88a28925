//! What a subscription may do next: a scheduler without I/O.
//!
//! The queue holds a *window* of what the subscription is owed; the store holds all of it. Its owner tells it what
//! happened (deliveries were offered, an attempt ended, a record became durable, a page was read, somebody paused) and
//! asks [`Queue::next`] what to do now. The answer is always one [`Step`].
//!
//! A delivery that is owed is in exactly one place:
//!
//! ```text
//! store ──offer / page──▶ stock ──Start──▶ in flight ──finished──▶ recording ──recorded──▶ store (settled, or due later)
//! ```
//!
//! * What waits for a retry is in the store only; the queue remembers just the earliest due time. Memory is bounded by
//!   the window, however many deliveries wait and however long.
//! * A slot is held for the attempt only. What is attempted but not yet durable has its own bound: the window.
//! * *Behind* says what the store may hold that the queue does not. While it does, offers are dropped: they are read
//!   later, in order. Offers that come while the page is read wait for it: when nothing is left behind it, they follow.
//!   Without that a subscription that once fell behind would read pages for as long as events keep coming. Whenever the queue cannot be sure, it believes that there is more, and a page is read.

mod behind;
#[cfg(test)]
mod laws;
mod withdraw;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use self::behind::{Admission, Behind};
pub use self::withdraw::Withdrawn;
use super::{
    delivery::{Course, Next},
    event::Event,
    id::DeliveryId,
    time::Timestamp,
};

/// The largest page read at once, in deliveries.
const PAGE: usize = 250;

/// How much of a subscription may be going on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts at once; at least 1.
    pub slots: usize,
    /// Deliveries in memory, from stock to recording; at least `slots`.
    pub window: usize,
}

/// A delivery that may be attempted, with all that an attempt needs to know of it.
#[derive(Clone, Debug)]
pub struct Owed {
    /// Which delivery.
    pub id: DeliveryId,
    /// Attempts recorded so far.
    pub attempts: u16,
    /// What the retry policy knows of them.
    pub course: Course,
    /// What to deliver; shared with the other subscriptions of its type.
    pub event: Arc<Event>,
}

/// Whether attempts may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// They may not, before `until`; `None`: until somebody opens the gate.
    Held {
        /// When the gate opens by itself.
        until: Option<Timestamp>,
    },
    /// They may not, ever: the subscription ended.
    Shut,
}

/// What to do now.
#[derive(Debug)]
pub enum Step {
    /// Attempt this delivery.
    Start(Owed),
    /// Read a page from the store, then call [`Queue::page_read`] or [`Queue::read_failed`].
    Read(ReadOrder),
    /// Nothing, before something happens or, if given, this instant comes.
    Wait(Option<Timestamp>),
    /// Nothing at all: nothing is owed as far as the queue knows, or nothing may start.
    Idle,
}

/// Which page to read.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadOrder {
    /// Deliveries to leave out: they are in memory.
    pub known: HashSet<DeliveryId>,
    /// At most so many that were never attempted, oldest first.
    pub fresh: usize,
    /// At most so many whose retry is due, longest due first.
    pub due: usize,
}

/// A page of what is owed.
#[derive(Debug, Default)]
pub struct Page {
    /// Never attempted, in the order of acceptance.
    pub fresh: Vec<Owed>,
    /// Due for a retry, longest due first.
    pub due: Vec<Owed>,
    /// Whether the store holds more that was never attempted.
    pub more_fresh: bool,
    /// When the earliest retry that is not on this page is due; an instant in the past when more are due already.
    pub next_due: Option<Timestamp>,
}

/// First attempts and retries take turns, so that neither starves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Fresh,
    Due,
}

/// The window of one subscription; see the module.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    gate: Gate,
    fresh: VecDeque<Owed>,
    due: VecDeque<Owed>,
    /// Offered while a page is read; they follow it when nothing is left behind.
    late: Vec<Owed>,
    turn: Turn,
    in_flight: HashMap<DeliveryId, Owed>,
    recording: HashSet<DeliveryId>,
    /// Being read from the store for an attempt that a person ordered.
    claimed: HashSet<DeliveryId>,
    behind: Behind,
    payload_bytes: usize,
}

/// Whether a delivery can be attempted on a person's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It can.
    Granted,
    /// An attempt is in flight or not recorded yet.
    Busy,
}

impl Queue {
    /// An empty window on a store of which nothing is known yet.
    #[must_use]
    pub fn new(limits: Limits, gate: Gate) -> Self {
        Self {
            limits,
            gate,
            fresh: VecDeque::new(),
            due: VecDeque::new(),
            late: Vec::new(),
            turn: Turn::Fresh,
            in_flight: HashMap::new(),
            recording: HashSet::new(),
            claimed: HashSet::new(),
            behind: Behind::unknown(),
            payload_bytes: 0,
        }
    }

    /// Changes the limits. What is in flight beyond fewer slots finishes.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Opens or closes the gate. Behind a closed gate nothing is kept in stock: it stays in the store, however much.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
        if gate != Gate::Open {
            self.drop_stock();
        }
    }

    /// Takes deliveries that were just committed, in the order of acceptance, none attempted yet. What does not fit, or may
    /// have been read already, is left to the store.
    pub fn offer(&mut self, offered: impl IntoIterator<Item = Owed>) {
        for owed in offered {
            let held = self.held_in_memory() + self.behind.room_for_page();
            let fits = self.gate == Gate::Open && held < self.limits.window;
            let bytes = owed.event.payload.len();
            match self.behind.admission(owed.id) {
                Admission::Take if fits => self.fresh.push_back(owed),
                Admission::AfterPage if fits => self.late.push(owed),
                Admission::Take | Admission::AfterPage | Admission::Leave => {
                    self.behind.missed();
                    continue;
                }
            }
            self.payload_bytes += bytes;
        }
    }

    /// The store may hold deliveries that were never offered.
    pub fn look_again(&mut self) {
        self.behind.missed();
    }

    /// An attempt ended, and its slot is free. Gives back what was attempted; `None` when no such attempt was in flight.
    pub fn finished(&mut self, id: DeliveryId) -> Option<Owed> {
        let owed = self.in_flight.remove(&id)?;
        self.payload_bytes -= owed.event.payload.len();
        self.recording.insert(id);
        Some(owed)
    }

    /// The record of an attempt is durable, and this is what follows for the delivery.
    pub fn recorded(&mut self, id: DeliveryId, next: Next) {
        self.recording.remove(&id);
        self.behind.recorded(id, next);
    }

    /// A person wants this delivery attempted now, whatever it is and whatever the gate says. When this is granted the
    /// delivery is read from the store, then [`Queue::claim_started`] or [`Queue::claim_dropped`] is called.
    pub fn claim(&mut self, id: DeliveryId) -> Claim {
        if self.in_flight.contains_key(&id) || self.recording.contains(&id) || !self.claimed.insert(id) {
            return Claim::Busy;
        }
        let mut freed = 0;
        let mut keep = |owed: &Owed| {
            freed += if owed.id == id { owed.event.payload.len() } else { 0 };
            owed.id != id
        };
        self.fresh.retain(&mut keep);
        self.due.retain(&mut keep);
        self.late.retain(&mut keep);
        self.payload_bytes -= freed;
        Claim::Granted
    }

    /// The claimed delivery is being attempted; it holds a slot, also beyond the limit.
    pub fn claim_started(&mut self, owed: Owed) {
        self.claimed.remove(&owed.id);
        self.payload_bytes += owed.event.payload.len();
        self.in_flight.insert(owed.id, owed);
    }

    /// The claimed delivery is not attempted after all; if it is owed, it is read again.
    pub fn claim_dropped(&mut self, id: DeliveryId) {
        self.claimed.remove(&id);
        self.behind.distrust();
    }

    /// The page asked for by [`Step::Read`].
    pub fn page_read(&mut self, page: Page) {
        if self.behind.drop_discarded_page() {
            self.take_late();
            return;
        }
        let forgotten = self.behind.page_read(&page);
        if self.gate != Gate::Open {
            self.behind = Behind::unknown();
            return;
        }
        let late = self.take_late();
        for owed in page.fresh {
            if !forgotten.contains(&owed.id) && !self.knows(owed.id) {
                self.payload_bytes += owed.event.payload.len();
                self.fresh.push_back(owed);
            }
        }
        for owed in page.due {
            if !forgotten.contains(&owed.id) && !self.knows(owed.id) {
                self.payload_bytes += owed.event.payload.len();
                self.due.push_back(owed);
            }
        }
        if self.behind.misses_fresh() {
            return;
        }
        for owed in late {
            if !self.knows(owed.id) {
                self.payload_bytes += owed.event.payload.len();
                self.fresh.push_back(owed);
            }
        }
    }

    /// The page asked for by [`Step::Read`] could not be read; it is asked for again from `retry_at` on.
    pub fn read_failed(&mut self, retry_at: Timestamp) {
        self.take_late();
        self.behind.read_failed(retry_at);
    }

    /// What to do at `now`. Call it until it says [`Step::Wait`] or [`Step::Idle`].
    pub fn next(&mut self, now: Timestamp) -> Step {
        match self.gate {
            Gate::Held { until: Some(until) } if until <= now => self.gate = Gate::Open,
            Gate::Held { until } if until.is_some() || self.is_busy() => return Step::Wait(until),
            Gate::Shut if self.is_busy() => return Step::Wait(None),
            Gate::Held { .. } | Gate::Shut => return Step::Idle,
            Gate::Open => {}
        }
        if let Some(owed) = self.take() {
            self.in_flight.insert(owed.id, owed.clone());
            return Step::Start(owed);
        }
        if let Some(order) = self.read_order(now) {
            return Step::Read(order);
        }
        match self.behind.next_look() {
            None if !self.is_busy() && self.stock() == 0 => Step::Idle,
            // While the window is full, only a record that becomes durable makes room.
            Some(at) if at <= now => Step::Wait(None),
            next_look => Step::Wait(next_look),
        }
    }

    /// Attempts in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Attempts whose records are not durable yet.
    #[must_use]
    pub fn recording(&self) -> usize {
        self.recording.len()
    }

    /// Deliveries that could start as soon as a slot is free.
    #[must_use]
    pub fn stock(&self) -> usize {
        self.fresh.len() + self.due.len()
    }

    /// Bytes of payload in stock and in flight. A payload that other windows share counts here in full.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    fn held_in_memory(&self) -> usize {
        self.stock() + self.late.len() + self.in_flight.len() + self.recording.len() + self.claimed.len()
    }

    /// Whether something is going on that will be reported here.
    fn is_busy(&self) -> bool {
        !self.in_flight.is_empty() || !self.recording.is_empty() || !self.claimed.is_empty() || self.behind.is_reading()
    }

    fn knows(&self, id: DeliveryId) -> bool {
        self.in_flight.contains_key(&id)
            || self.recording.contains(&id)
            || self.claimed.contains(&id)
            || self.fresh.iter().chain(&self.due).any(|owed| owed.id == id)
    }

    /// The next delivery to attempt, when there is one and a slot for it.
    fn take(&mut self) -> Option<Owed> {
        if self.in_flight.len() >= self.limits.slots {
            return None;
        }
        let (first, second, next_turn) = match self.turn {
            Turn::Fresh => (&mut self.fresh, &mut self.due, Turn::Due),
            Turn::Due => (&mut self.due, &mut self.fresh, Turn::Fresh),
        };
        let taken = first.pop_front().or_else(|| second.pop_front())?;
        self.turn = next_turn;
        Some(taken)
    }

    /// A page is worth its query when the stock runs low, so that a long backlog is read in full pages.
    fn read_order(&mut self, now: Timestamp) -> Option<ReadOrder> {
        // Half of the window at most: the other half is for what is offered while the page is read.
        let room = self.limits.window.saturating_sub(self.held_in_memory());
        let room = room.min(PAGE).min(self.limits.window.div_ceil(2));
        let low = self.stock() <= self.limits.slots.min(self.limits.window / 2);
        if room == 0 || !low || !self.behind.wants_read(now) {
            return None;
        }
        self.behind.begin_read(room);
        let known = self.fresh.iter().chain(&self.due).map(|owed| owed.id);
        let known = known.chain(self.in_flight.keys().copied());
        let known = known.chain(self.recording.iter().chain(&self.claimed).copied()).collect();
        Some(ReadOrder { known, fresh: room.div_ceil(2), due: room / 2 })
    }

    fn drop_stock(&mut self) {
        self.take_late();
        for owed in self.fresh.drain(..).chain(self.due.drain(..)) {
            self.payload_bytes -= owed.event.payload.len();
        }
        self.behind.distrust();
    }

    fn take_late(&mut self) -> Vec<Owed> {
        let late = std::mem::take(&mut self.late);
        self.payload_bytes -= late.iter().map(|owed| owed.event.payload.len()).sum::<usize>();
        late
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::{event_type::EventType, id::EventId};

    const LIMITS: Limits = Limits { slots: 2, window: 10 };
    const NOW: Timestamp = Timestamp::from_micros(1_000);

    pub(super) fn owed(id: i64) -> Owed {
        let event = Event {
            id: EventId::from_raw(id),
            event_type: EventType::parse("package.created").expect("a type"),
            payload: Bytes::new(),
            ordering_key: None,
            accepted_at: Timestamp::EPOCH,
        };
        Owed { id: DeliveryId::from_raw(id), attempts: 0, course: Course::default(), event: Arc::new(event) }
    }

    /// A queue that has read the store and found nothing.
    pub(super) fn caught_up() -> Queue {
        let mut queue = Queue::new(LIMITS, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.page_read(Page::default());
        queue
    }

    fn started(queue: &mut Queue, now: Timestamp) -> Vec<i64> {
        std::iter::from_fn(|| match queue.next(now) {
            Step::Start(owed) => Some(owed.id.as_raw()),
            Step::Read(_) | Step::Wait(_) | Step::Idle => None,
        })
        .collect()
    }

    #[test]
    fn attempts_take_slots_and_give_them_back() {
        let mut queue = caught_up();
        queue.offer((1..=3).map(owed));
        assert_eq!(started(&mut queue, NOW), [1, 2]);
        queue.finished(DeliveryId::from_raw(1));
        assert_eq!(started(&mut queue, NOW), [3], "the slot is free before the record is durable");
    }

    #[test]
    fn a_full_window_leaves_the_rest_to_the_store() {
        let mut queue = caught_up();
        queue.offer((1..=12).map(owed));
        assert_eq!(queue.stock(), LIMITS.window);
        queue.offer([owed(13)]);
        assert_eq!(queue.stock(), LIMITS.window, "later ones must not overtake those left to the store");
    }

    #[test]
    fn nothing_starts_while_held_and_everything_is_read_again_after() {
        let mut queue = caught_up();
        queue.offer((1..=3).map(owed));
        assert_eq!(started(&mut queue, NOW).len(), 2);
        queue.set_gate(Gate::Held { until: None });
        queue.offer([owed(4)]);
        queue.finished(DeliveryId::from_raw(1));
        assert!(matches!(queue.next(NOW), Step::Wait(None)));
        queue.set_gate(Gate::Open);
        let Step::Read(order) = queue.next(NOW) else { panic!("a read is due") };
        assert_eq!(order.known, [1, 2].map(DeliveryId::from_raw).into());
    }

    #[test]
    fn a_hold_ends_by_itself() {
        let mut queue = caught_up();
        let until = Timestamp::from_micros(5_000);
        queue.set_gate(Gate::Held { until: Some(until) });
        assert!(matches!(queue.next(NOW), Step::Wait(Some(at)) if at == until));
        assert!(matches!(queue.next(until), Step::Read(_)));
    }

    #[test]
    fn a_retry_is_read_when_it_is_due_and_not_before() {
        let mut queue = caught_up();
        queue.offer([owed(1)]);
        assert_eq!(started(&mut queue, NOW), [1]);
        queue.finished(DeliveryId::from_raw(1));
        let due = Timestamp::from_micros(9_000);
        queue.recorded(DeliveryId::from_raw(1), Next::DueAt(due));
        assert!(matches!(queue.next(NOW), Step::Wait(Some(at)) if at == due));
        assert!(matches!(queue.next(due), Step::Read(_)));
    }

    #[test]
    fn retries_and_first_attempts_take_turns() {
        let mut queue = Queue::new(Limits { slots: 4, window: 10 }, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        let page = Page { fresh: vec![owed(11), owed(12)], due: vec![owed(1), owed(2)], ..Page::default() };
        queue.page_read(page);
        assert_eq!(started(&mut queue, NOW), [11, 1, 12, 2]);
    }

    #[test]
    fn an_old_page_does_not_bring_back_what_was_settled_meanwhile() {
        let mut queue = caught_up();
        queue.offer([owed(1)]);
        assert_eq!(started(&mut queue, NOW), [1]);
        queue.look_again();
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.finished(DeliveryId::from_raw(1));
        queue.recorded(DeliveryId::from_raw(1), Next::Settled);
        queue.page_read(Page { fresh: vec![owed(1)], ..Page::default() });
        assert_eq!(started(&mut queue, NOW), Vec::<i64>::new());
    }

    #[test]
    fn an_offer_that_a_page_overtook_is_not_attempted_twice() {
        let mut queue = Queue::new(LIMITS, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.page_read(Page { fresh: vec![owed(5)], ..Page::default() });
        assert_eq!(started(&mut queue, NOW), [5]);
        queue.finished(DeliveryId::from_raw(5));
        queue.recorded(DeliveryId::from_raw(5), Next::Settled);
        queue.offer([owed(5)]);
        assert_eq!(started(&mut queue, NOW), Vec::<i64>::new());
    }

    #[test]
    fn what_is_offered_while_a_page_is_read_follows_it() {
        let mut queue = Queue::new(Limits { slots: 4, window: 10 }, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.offer([owed(2), owed(3)]);
        assert_eq!(started(&mut queue, NOW), Vec::<i64>::new(), "something older may be on the page");
        queue.page_read(Page { fresh: vec![owed(1), owed(2)], ..Page::default() });
        assert_eq!(started(&mut queue, NOW), [1, 2, 3]);
    }

    #[test]
    fn what_is_offered_while_a_page_is_read_is_dropped_when_more_is_left_behind() {
        let mut queue = Queue::new(Limits { slots: 4, window: 10 }, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.offer([owed(9)]);
        queue.page_read(Page { fresh: vec![owed(1)], more_fresh: true, ..Page::default() });
        assert_eq!(started(&mut queue, NOW), [1]);
        assert!(queue.behind.is_reading(), "the rest is read, and 9 with it");
    }

    #[test]
    fn a_failed_read_is_repeated_later() {
        let mut queue = Queue::new(LIMITS, Gate::Open);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        let later = Timestamp::from_micros(2_000);
        queue.read_failed(later);
        assert!(matches!(queue.next(NOW), Step::Wait(Some(at)) if at == later));
        assert!(matches!(queue.next(later), Step::Read(_)));
    }

    #[test]
    fn a_shut_queue_lets_go_once_its_attempts_are_recorded() {
        let mut queue = caught_up();
        queue.offer([owed(1)]);
        assert_eq!(started(&mut queue, NOW), [1]);
        queue.set_gate(Gate::Shut);
        assert!(matches!(queue.next(NOW), Step::Wait(None)));
        queue.finished(DeliveryId::from_raw(1));
        queue.recorded(DeliveryId::from_raw(1), Next::Settled);
        assert!(matches!(queue.next(NOW), Step::Idle));
    }
}
