//! Which ordering keys are taken, and what waits behind them.
//!
//! A key is taken by the first of its deliveries from its start until it is settled, also while it waits for a retry in the
//! store. Later ones of the key wait: in memory while there is room, else *parked* in the store, where they are out of the
//! way of other keys. Once a key has parked deliveries, all later ones of it are parked too, so that the lowest id of the
//! parked ones is always the next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::{Head, KeysFound, Owed};
use crate::domain::{
    id::DeliveryId,
    ordering::{KeyHash, Ordering},
};

/// Keys whose parked deliveries are read at once.
const HEADS_PER_READ: usize = 16;

/// See the module. Empty, and free of cost, for subscriptions without order.
#[derive(Debug, Default)]
pub(super) struct Keys {
    taken: HashMap<KeyHash, DeliveryId>,
    waiting: BTreeMap<KeyHash, VecDeque<Owed>>,
    waiting_ids: HashSet<DeliveryId>,
    /// Keys with deliveries that are parked in the store.
    parked: HashSet<KeyHash>,
    /// Those of them whose turn it is.
    ready: BTreeSet<KeyHash>,
    /// To be parked.
    to_park: Vec<(DeliveryId, KeyHash)>,
    /// Being parked.
    parking: HashMap<DeliveryId, KeyHash>,
    /// Whether the store was asked which keys are taken by deliveries that wait for a retry.
    known: bool,
}

/// Whether a delivery may start.
#[derive(Debug)]
pub(super) enum Entry {
    /// It may.
    Go(Owed),
    /// Another of its key comes first.
    Waits,
}

impl Keys {
    pub(super) const fn are_known(&self) -> bool {
        self.known
    }

    /// Deliveries in memory that wait behind a key.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_ids.len()
    }

    /// Whether the delivery waits here, or is on its way to be parked.
    pub(super) fn knows(&self, id: DeliveryId) -> bool {
        self.waiting_ids.contains(&id)
            || self.parking.contains_key(&id)
            || self.to_park.iter().any(|(other, _)| *other == id)
    }

    /// Everything of which [`Keys::knows`] is true.
    pub(super) fn ids(&self) -> impl Iterator<Item = DeliveryId> {
        let to_park = self.to_park.iter().map(|(id, _)| *id);
        self.waiting_ids.iter().copied().chain(self.parking.keys().copied()).chain(to_park)
    }

    /// By whom a key is taken.
    pub(super) fn taken_by(&self, key: KeyHash) -> Option<DeliveryId> {
        self.taken.get(&key).copied()
    }

    /// A delivery of `key` wants to start. If it may, it takes the key.
    pub(super) fn enter(&mut self, key: KeyHash, owed: Owed) -> Entry {
        match self.taken.get(&key) {
            Some(holder) if *holder == owed.id => return Entry::Go(owed),
            None if !self.parked.contains(&key) => {
                self.taken.insert(key, owed.id);
                return Entry::Go(owed);
            }
            Some(_) | None => {}
        }
        if self.parked.contains(&key) {
            self.to_park.push((owed.id, key));
            if !self.taken.contains_key(&key) {
                self.ready.insert(key);
            }
        } else {
            self.wait(key, owed);
        }
        Entry::Waits
    }

    fn wait(&mut self, key: KeyHash, owed: Owed) {
        if self.waiting_ids.insert(owed.id) {
            let queue = self.waiting.entry(key).or_default();
            let place = queue.partition_point(|other| other.id < owed.id);
            queue.insert(place, owed);
        }
    }

    /// The delivery that took `key` is settled. Gives the next one of it, which takes the key.
    pub(super) fn leave(&mut self, key: KeyHash, id: DeliveryId) -> Option<Owed> {
        if self.taken.get(&key) != Some(&id) {
            return None;
        }
        self.taken.remove(&key);
        let next = self.next_waiting(key);
        if let Some(next) = &next {
            self.taken.insert(key, next.id);
        } else if self.parked.contains(&key) {
            self.ready.insert(key);
        }
        next
    }

    fn next_waiting(&mut self, key: KeyHash) -> Option<Owed> {
        let queue = self.waiting.get_mut(&key)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&key);
        }
        if let Some(next) = &next {
            self.waiting_ids.remove(&next.id);
        }
        next
    }

    /// Takes `key` for a delivery that a person has attempted, unless it is taken.
    pub(super) fn hold(&mut self, key: KeyHash, id: DeliveryId) {
        self.taken.entry(key).or_insert(id);
    }

    /// A delivery is no longer to start from here.
    pub(super) fn remove(&mut self, id: DeliveryId) -> Option<Owed> {
        if !self.waiting_ids.remove(&id) {
            return None;
        }
        let mut queues = self.waiting.values_mut();
        let owed =
            queues.find_map(|queue| queue.iter().position(|owed| owed.id == id).and_then(|place| queue.remove(place)));
        self.waiting.retain(|_, queue| !queue.is_empty());
        owed
    }

    /// Makes room: the key with the longest line gives it up to the store.
    pub(super) fn give_up_the_longest_line(&mut self) {
        let Some(key) = self.waiting.iter().max_by_key(|(_, queue)| queue.len()).map(|(key, _)| *key) else { return };
        for owed in self.waiting.remove(&key).unwrap_or_default() {
            self.waiting_ids.remove(&owed.id);
            self.to_park.push((owed.id, key));
        }
        self.parked.insert(key);
    }

    /// What to park now; nothing while a write is under way.
    pub(super) fn take_to_park(&mut self) -> Vec<(DeliveryId, KeyHash)> {
        if !self.parking.is_empty() {
            return Vec::new();
        }
        self.parking = self.to_park.iter().copied().collect();
        std::mem::take(&mut self.to_park)
    }

    pub(super) fn are_parked(&mut self) {
        self.parking.clear();
    }

    pub(super) fn is_parking(&self) -> bool {
        !self.parking.is_empty()
    }

    /// Keys whose parked deliveries should be read. None while a write is under way: it might not be seen yet, and the key
    /// would count as empty.
    pub(super) fn heads_to_read(&self) -> Vec<KeyHash> {
        if self.parking.is_empty() && self.to_park.is_empty() {
            self.ready.iter().copied().take(HEADS_PER_READ).collect()
        } else {
            Vec::new()
        }
    }

    /// The parked deliveries of a key were read. Gives those that may start: the first, which takes the key, or all of them
    /// in a subscription without order.
    pub(super) fn head_read(&mut self, head: Head, ordering: Ordering) -> Vec<Owed> {
        let Head { key, owed, more } = head;
        // What was parked under another order has no line to keep in this one.
        let is_line = |owed: &Owed| ordering.key_of(&owed.event) == Some(key);
        let ordered = ordering != Ordering::None && owed.iter().all(is_line);
        self.ready.remove(&key);
        let more = more || self.to_park.iter().any(|(_, parked)| *parked == key);
        if !more {
            self.parked.remove(&key);
        }
        if !ordered {
            if more {
                self.ready.insert(key);
            }
            return owed;
        }
        if self.taken.contains_key(&key) {
            // Taken meanwhile by one that the store says waits for a retry: they stay where they are.
            if !owed.is_empty() {
                self.parked.insert(key);
            }
            return Vec::new();
        }
        let mut owed = owed.into_iter();
        let Some(first) = owed.next() else {
            if more {
                self.ready.insert(key);
            }
            return Vec::new();
        };
        self.taken.insert(key, first.id);
        for later in owed {
            self.wait(key, later);
        }
        vec![first]
    }

    /// What the store says about keys. `is_stale` tells deliveries about which more is known than the store knew.
    pub(super) fn found(&mut self, found: KeysFound, is_stale: impl Fn(DeliveryId) -> bool) {
        for (key, id) in found.waiting.into_iter().filter(|(_, id)| !is_stale(*id)) {
            self.taken.entry(key).or_insert(id);
        }
        self.parked.extend(found.parked);
        self.ready = self.parked.iter().copied().filter(|key| !self.taken.contains_key(key)).collect();
        self.known = true;
    }

    /// Forgets everything but the keys of deliveries that `is_going_on`; the store is asked again.
    pub(super) fn reset(&mut self, is_going_on: impl Fn(DeliveryId) -> bool) {
        self.taken.retain(|_, id| is_going_on(*id));
        let (taken, parking) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.parking));
        // The store may be asked before it knows of them.
        let parked = parking.values().copied().collect();
        *self = Self { taken, parked, parking, ..Self::default() };
    }
}
