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
//!                          │  ▲
//!                          ▼  │ the first of its ordering key is settled
//!                      behind its key ──Park──▶ store
//! ```
//!
//! * What waits for a retry is in the store only; the queue remembers just the earliest due time. Memory is bounded by
//!   the window, however many deliveries wait and however long.
//! * A slot is held for the attempt only. What is attempted but not yet durable has a bound of its own.
//! * [`Behind`] says what the store may hold that the queue does not. While it does, offers are dropped: they are read
//!   later, in order. Offers that come while the page is read wait for it: when nothing is left behind it, they follow.
//!   Without that a subscription that once fell behind would read pages for as long as events keep coming. Whenever the
//!   queue cannot be sure, it believes that there is more, and a page is read.
//! * [`Pace`] opens slots while the endpoint keeps up and closes them when it does not; the
//!   [`Breaker`] leaves an endpoint alone that fails whatever it is sent. Unless it is known to work ([`Trust`]), it is tried
//!   only at instants that are reserved, and with one attempt at a time.

mod behind;
mod claims;
mod deciding;
mod keys;
#[cfg(test)]
mod laws;
mod pace;
mod reordering;
mod steps;
mod stock;
mod telling;
#[cfg(test)]
mod tests;
mod trust;
mod withdraw;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use self::{
    behind::{Admission, Behind},
    keys::Keys,
    pace::Pace,
    reordering::Reordering,
    stock::Stock,
    trust::Trust,
};
pub use self::{
    claims::Claim,
    pace::{Ease, Rate},
    steps::{Bearing, Doubt, Head, KeysFound, Page, ReadOrder, Step},
    telling::Place,
    trust::RESERVATION_HOLDS_FOR,
    withdraw::Withdrawn,
};
use super::{
    breaker::{Breaker, BreakerSettings, Open, Sign, Turn},
    delivery::{Course, Next},
    event::Event,
    id::DeliveryId,
    ordering::{KeyHash, Ordering},
    time::Timestamp,
};

/// The largest page read at once, in deliveries.
const PAGE: usize = 250;

/// How much of a subscription may be going on at once, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts at once; at least 1.
    pub slots: usize,
    /// Deliveries in memory, from stock to recording; at least `slots`.
    pub window: usize,
    /// Starts per second; `None` for as many as there are slots.
    pub rate: Option<Rate>,
    /// What may not overtake what.
    pub ordering: Ordering,
    /// Older deliveries are not attempted any more; `None` for no such limit.
    pub max_age: Option<Duration>,
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

/// What an attempt that ended says about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// For the breaker.
    pub sign: Sign,
    /// For the pace.
    pub ease: Ease,
}

/// The window of one subscription; see the module.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    gate: Gate,
    reordering: Reordering,
    stock: Stock,
    keys: Keys,
    /// Offered while a page is read; they follow it when nothing is left behind.
    late: Vec<Owed>,
    in_flight: BTreeMap<DeliveryId, Owed>,
    recording: BTreeMap<DeliveryId, Option<KeyHash>>,
    /// Those in flight that went to an endpoint of before.
    elsewhere: BTreeSet<DeliveryId>,
    /// Being read from the store for an attempt that a person ordered.
    claimed: HashSet<DeliveryId>,
    behind: Behind,
    pace: Pace,
    breaker: Breaker,
    trust: Trust,
}

impl Queue {
    /// An empty window on a store of which nothing is known yet.
    #[must_use]
    pub fn new(limits: Limits, gate: Gate, breaker: BreakerSettings) -> Self {
        Self {
            limits,
            gate,
            reordering: Reordering::default(),
            stock: Stock::new(),
            keys: Keys::default(),
            late: Vec::new(),
            in_flight: BTreeMap::new(),
            recording: BTreeMap::new(),
            elsewhere: BTreeSet::new(),
            claimed: HashSet::new(),
            behind: Behind::unknown(),
            pace: Pace::new(),
            breaker: Breaker::new(breaker),
            trust: Trust::new(),
        }
    }

    /// Whatever was wrong with the endpoint may be mended: if it fails it is tried at once.
    pub fn try_endpoint(&mut self, now: Timestamp) {
        self.breaker.try_now(now);
        self.trust.hope();
    }

    /// Opens or closes the gate. Behind a closed gate nothing is kept in stock: it stays in the store, however much.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
        if gate != Gate::Open {
            self.start_over();
        }
    }

    /// Takes deliveries that were just committed, in the order of acceptance, none attempted yet. What does not fit, or may
    /// have been read already, is left to the store.
    pub fn offer(&mut self, offered: impl IntoIterator<Item = Owed>) {
        for owed in offered {
            let is_open = self.gate == Gate::Open && self.reordering == Reordering::Done;
            let fits = is_open && self.room() > 0;
            match self.behind.admission(owed.id) {
                Admission::Take if fits => self.stock.push_fresh(owed),
                Admission::AfterPage if fits => self.late.push(owed),
                Admission::Take | Admission::AfterPage | Admission::Leave => self.behind.missed(),
            }
        }
    }

    /// Deliveries that were just committed are left to the store, although there might be room.
    pub fn miss(&mut self) {
        self.behind.missed();
    }

    /// The store may hold deliveries that were never offered, and what was known of it may have changed.
    pub fn look_again(&mut self) {
        if self.is_ordered() {
            self.start_over();
        } else {
            self.behind.distrust();
        }
    }

    /// An attempt ended, and its slot is free. Gives back what was attempted, and what it says of the endpoint; `None` when no
    /// such attempt was in flight. `draw` is any random number.
    pub fn finished(&mut self, id: DeliveryId, ended: Ended, now: Timestamp, draw: u64) -> Option<(Owed, Bearing)> {
        let owed = self.in_flight.remove(&id)?;
        self.recording.insert(id, self.limits.ordering.key_of(&owed.event));
        if self.elsewhere.remove(&id) {
            return Some((owed, Bearing::Past));
        }
        self.pace.ended(ended.ease, self.limits.slots);
        self.trust.ended(id, ended.ease);
        let turn = self.breaker.ended(id, ended.sign, now, draw);
        match turn {
            Turn::Closed => self.pace.start_over(),
            Turn::Opened | Turn::None => {}
        }
        // In a subscription with order, what is in stock may hold its key already.
        if !self.is_ordered() && self.stock.shrink_to(self.pace.reach(self.limits.window)) {
            self.behind.missed();
        }
        Some((owed, Bearing::Present(turn)))
    }

    /// The record of an attempt is durable, and this is what follows for the delivery.
    pub fn recorded(&mut self, id: DeliveryId, next: Next) {
        let key = self.recording.remove(&id).flatten();
        let is_going_on = going_on(&self.in_flight, &self.recording);
        self.behind.recorded(id, next);
        match (next, key) {
            (Next::Settled, Some(key)) => {
                if let Some(freed) = self.keys.leave(key, id, is_going_on) {
                    self.stock.push_front(freed);
                }
            }
            // It may have been in stock, holding its key, when the person ordered it.
            (Next::Unchanged, Some(_)) => self.start_over(),
            // Whoever holds the key now, it is asked for anew, and not at once: the database would refuse again.
            (Next::Refused(until), Some(_)) => {
                self.start_over();
                self.behind.rest(until);
            }
            (Next::Settled | Next::Unchanged | Next::Refused(_), None) | (Next::DueAt(_), _) => {}
        }
    }

    /// The page asked for by [`Step::Read`].
    pub fn page_read(&mut self, page: Page) {
        let late = std::mem::take(&mut self.late);
        let Some(forgotten) = self.behind.page_read(&page) else { return };
        if self.finds_another_order(page.keys.as_ref()) {
            return;
        }
        if let Some(found) = page.keys {
            let is_going_on = going_on(&self.in_flight, &self.recording);
            self.keys.found(found, |id| forgotten.contains(&id) || is_going_on(id), is_going_on);
        }
        for head in page.heads {
            let head = Head { owed: self.news(head.owed, &forgotten), ..head };
            let is_going_on = going_on(&self.in_flight, &self.recording);
            if let Some(first) = self.keys.head_read(head, is_going_on) {
                self.stock.push_front(first);
            }
        }
        for owed in self.news(page.fresh, &forgotten) {
            self.stock.push_fresh(owed);
        }
        for owed in self.news(page.due, &forgotten) {
            self.stock.push_due(owed);
        }
        if !self.behind.misses_fresh() {
            for owed in self.news(late, &HashSet::new()) {
                self.stock.push_fresh(owed);
            }
        }
    }

    /// Those that are not in memory already, and were not settled since the read began.
    fn news(&self, owed: Vec<Owed>, forgotten: &HashSet<DeliveryId>) -> Vec<Owed> {
        owed.into_iter().filter(|owed| !forgotten.contains(&owed.id) && !self.knows(owed.id)).collect()
    }

    /// The page asked for by [`Step::Read`] could not be read; it is asked for again from `retry_at` on.
    pub fn read_failed(&mut self, retry_at: Timestamp) {
        if !self.late.is_empty() {
            self.late.clear();
            self.behind.missed();
        }
        self.behind.read_failed(retry_at);
    }

    /// What [`Step::Park`] gave is parked. Not to be said before that is known: until then the store may show it parked or not.
    pub fn parked(&mut self) {
        // A page that is being read may still show it where it was.
        self.keys.are_parked().for_each(|id| self.behind.forget(id));
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
        self.stock.len()
    }

    /// Since when the endpoint fails, and when it is tried next; `None` while it works.
    #[must_use]
    pub const fn breaker(&self) -> Option<Open> {
        self.breaker.open()
    }

    /// The delivery that comes first of those with this ordering key: the others wait for it.
    #[must_use]
    pub fn holder_of(&self, key: KeyHash) -> Option<DeliveryId> {
        self.keys.taken_by(key)
    }

    /// How many more deliveries memory has room for.
    fn room(&self) -> usize {
        let held = self.stock.len()
            + self.keys.waiting()
            + self.late.len()
            + self.in_flight.len()
            + self.recording.len()
            + self.claimed.len()
            + self.behind.room_for_page();
        let by_window = self.limits.window.saturating_sub(held);
        let stocked = self.stock.len() + self.late.len() + self.behind.room_for_page();
        by_window.min(self.pace.reach(self.limits.window).saturating_sub(stocked))
    }

    fn is_ordered(&self) -> bool {
        self.limits.ordering != Ordering::None
    }

    /// Whether something is going on that will be reported here.
    fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
            || !self.recording.is_empty()
            || !self.claimed.is_empty()
            || self.keys.is_parking()
            || self.is_unparking()
            || self.behind.is_reading()
    }

    fn knows(&self, id: DeliveryId) -> bool {
        self.stock.contains(id)
            || self.in_flight.contains_key(&id)
            || self.recording.contains_key(&id)
            || self.claimed.contains(&id)
            || self.keys.knows(id)
    }

    /// Forgets what is not going on: everything is read again.
    fn start_over(&mut self) {
        self.late.clear();
        self.stock.clear();
        self.keys.reset(going_on(&self.in_flight, &self.recording));
        self.behind.start_over();
    }
}

/// Tells attempts that are in flight or not recorded yet.
fn going_on<'a>(
    in_flight: &'a BTreeMap<DeliveryId, Owed>,
    recording: &'a BTreeMap<DeliveryId, Option<KeyHash>>,
) -> impl Fn(DeliveryId) -> bool + Copy + 'a {
    |id| in_flight.contains_key(&id) || recording.contains_key(&id)
}
