//! Which ordering keys are taken, and what waits behind them.
//!
//! A key is taken by the first of its deliveries from its start until it is settled, also while it waits for a retry in the
//! store. Later ones of the key wait: in memory while there is room, else *parked* in the store, where they are out of the
//! way of other keys. Once a key has parked deliveries, all later ones of it are parked too, so that the lowest id of the
//! parked ones is always the next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::{Head, KeysFound, Owed};
use crate::domain::{id::DeliveryId, ordering::KeyHash};

/// Keys whose parked deliveries are read at once.
const HEADS_PER_READ: usize = 16;

/// See the module. Empty, and free of cost, for subscriptions without order.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Usually one of each key. A person may have ordered another, and a subscription may have had no order before: the key is
    /// free when all of them are settled, and the lowest comes first.
    taken: HashMap<KeyHash, BTreeSet<DeliveryId>>,
    waiting: BTreeMap<KeyHash, VecDeque<Owed>>,
    waiting_ids: HashSet<DeliveryId>,
    /// Keys with deliveries that are parked in the store, and an id that none of these is below.
    parked: HashMap<KeyHash, DeliveryId>,
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
        self.taken.get(&key)?.first().copied()
    }

    /// A delivery of `key` wants to start. If it may, it takes the key. `is_going_on` tells attempts that are not recorded.
    pub(super) fn enter(&mut self, key: KeyHash, owed: Owed, is_going_on: impl Fn(DeliveryId) -> bool) -> Entry {
        let may_pass = |holder: &DeliveryId| *holder == owed.id || (owed.id < *holder && !is_going_on(*holder));
        let is_first = self.taken.get(&key).is_none_or(|holders| holders.iter().all(may_pass));
        let earlier_is_parked = self.parked.get(&key).is_some_and(|lowest| *lowest < owed.id);
        if is_first && !earlier_is_parked {
            self.hold(key, owed.id);
            return Entry::Go(owed);
        }
        // One that was put back among the later ones keeps its place before those of them that wait here.
        let comes_last = self.waiting.get(&key).and_then(VecDeque::back).is_none_or(|last| last.id < owed.id);
        if comes_last && self.parked.contains_key(&key) {
            self.park(key, owed.id);
            self.note_ready(key, is_going_on);
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
    pub(super) fn leave(
        &mut self,
        key: KeyHash,
        id: DeliveryId,
        is_going_on: impl Fn(DeliveryId) -> bool,
    ) -> Option<Owed> {
        if !self.let_go(key, id) {
            return None;
        }
        if self.note_ready(key, is_going_on) {
            return None;
        }
        if let Some(holder) = self.taken_by(key) {
            // It may have come in for its retry and found another before it.
            let is_here = self.waiting.get(&key).and_then(VecDeque::front).is_some_and(|first| first.id == holder);
            return if is_here { self.next_waiting(key) } else { None };
        }
        let next = self.next_waiting(key)?;
        self.hold(key, next.id);
        Some(next)
    }

    /// Notes if it is the turn of what is parked behind `key`, and gives whether it is: nothing of the key goes on, and no
    /// other one comes first.
    fn note_ready(&mut self, key: KeyHash, is_going_on: impl Fn(DeliveryId) -> bool) -> bool {
        let Some(lowest) = self.parked.get(&key) else { return false };
        let holders = self.taken.get(&key);
        let is_free = holders.is_none_or(|holders| holders.iter().all(|id| lowest < id && !is_going_on(*id)));
        let waits_here = self.waiting.get(&key).and_then(VecDeque::front).is_some_and(|first| first.id <= *lowest);
        if is_free && !waits_here {
            self.ready.insert(key);
        }
        is_free && !waits_here
    }

    /// Whether `id` was among those that took `key`.
    fn let_go(&mut self, key: KeyHash, id: DeliveryId) -> bool {
        let Some(holders) = self.taken.get_mut(&key) else { return false };
        let held = holders.remove(&id);
        if holders.is_empty() {
            self.taken.remove(&key);
        }
        held
    }

    /// Gives a delivery up to the store, where it waits for its turn.
    fn park(&mut self, key: KeyHash, id: DeliveryId) {
        self.let_go(key, id);
        self.to_park.push((id, key));
        self.note_parked(key, id);
    }

    fn note_parked(&mut self, key: KeyHash, id: DeliveryId) {
        let lowest = self.parked.entry(key).or_insert(id);
        *lowest = id.min(*lowest);
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

    /// Takes `key` for a delivery, beside others that took it: nothing else of the key starts before they are all settled.
    pub(super) fn hold(&mut self, key: KeyHash, id: DeliveryId) {
        self.taken.entry(key).or_default().insert(id);
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
    pub(super) fn give_up_the_longest_line(&mut self, is_going_on: impl Fn(DeliveryId) -> bool) {
        let Some(key) = self.waiting.iter().max_by_key(|(_, queue)| queue.len()).map(|(key, _)| *key) else { return };
        for owed in self.waiting.remove(&key).unwrap_or_default() {
            self.waiting_ids.remove(&owed.id);
            self.park(key, owed.id);
        }
        self.note_ready(key, is_going_on);
    }

    /// What to park now; nothing while a write is under way.
    pub(super) fn take_to_park(&mut self) -> Vec<(DeliveryId, KeyHash)> {
        if !self.parking.is_empty() {
            return Vec::new();
        }
        self.parking = self.to_park.iter().copied().collect();
        std::mem::take(&mut self.to_park)
    }

    /// What was being parked is; gives what that was.
    pub(super) fn are_parked(&mut self) -> impl Iterator<Item = DeliveryId> {
        std::mem::take(&mut self.parking).into_keys()
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

    /// The parked deliveries of a key were read. Gives the one that may start, and takes the key.
    pub(super) fn head_read(&mut self, head: Head, is_going_on: impl Fn(DeliveryId) -> bool) -> Option<Owed> {
        let Head { key, owed, more } = head;
        self.ready.remove(&key);
        self.know_lowest(key, &owed, more);
        let Some(first) = owed.first().map(|first| first.id) else {
            self.note_ready(key, is_going_on);
            return None;
        };
        let is_free = |holders: &BTreeSet<DeliveryId>| holders.iter().all(|id| first < *id && !is_going_on(*id));
        if !self.taken.get(&key).is_none_or(is_free) {
            // Taken meanwhile by one that the store says waits for a retry: they stay where they are.
            self.note_parked(key, first);
            return None;
        }
        for owed in owed {
            self.wait(key, owed);
        }
        // Usually the first of the head; but one that was put back may wait here already.
        let next = self.next_waiting(key);
        if let Some(next) = &next {
            self.hold(key, next.id);
        }
        next
    }

    /// The head of a key's line is in memory now; behind it are more, or only what is on its way there.
    fn know_lowest(&mut self, key: KeyHash, head: &[Owed], more: bool) {
        let on_the_way = self.to_park.iter().filter(|(_, parked)| *parked == key).map(|(id, _)| *id);
        let behind = head.last().map(|owed| owed.id).or_else(|| self.parked.get(&key).copied());
        match on_the_way.chain(behind.filter(|_| more)).min() {
            Some(lowest) => self.parked.insert(key, lowest),
            None => self.parked.remove(&key),
        };
    }

    /// What the store says about keys. `is_stale` tells deliveries about which more is known than the store knew; that others
    /// are being parked is known here.
    pub(super) fn found(
        &mut self,
        found: KeysFound,
        is_stale: impl Fn(DeliveryId) -> bool,
        is_going_on: impl Fn(DeliveryId) -> bool,
    ) {
        for (key, id) in found.waiting {
            if !is_stale(id) && !self.parking.contains_key(&id) {
                self.hold(key, id);
            }
        }
        for (key, lowest) in found.parked {
            self.note_parked(key, lowest);
        }
        let parked: Vec<KeyHash> = self.parked.keys().copied().collect();
        self.ready.clear();
        for key in parked {
            self.note_ready(key, &is_going_on);
        }
        self.known = true;
    }

    /// Forgets everything but the keys of deliveries that `is_going_on`; the store is asked again.
    pub(super) fn reset(&mut self, is_going_on: impl Fn(DeliveryId) -> bool) {
        self.taken.retain(|_, holders| {
            holders.retain(|id| is_going_on(*id));
            !holders.is_empty()
        });
        let (taken, parking) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.parking));
        // The store may be asked before it knows of them.
        let mut parked = HashMap::new();
        for (id, key) in &parking {
            let lowest = parked.entry(*key).or_insert(*id);
            *lowest = (*id).min(*lowest);
        }
        *self = Self { taken, parked, parking, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Limits, Page, Step,
            tests::{NOW, TOOK, finish, keyed, limits, working},
        },
        *,
    };
    use crate::domain::{delivery::Next, ordering::Ordering};

    #[test]
    fn what_is_being_parked_keeps_nobody_waiting_for_its_retry() {
        let (key, id) = (KeyHash::from_raw(7), DeliveryId::from_raw(1));
        let mut keys = Keys::default();
        keys.park(key, id);
        assert_eq!(keys.take_to_park(), [(id, key)]);
        // A pause and a resumption; the store does not know yet that it is parked.
        keys.reset(|_| false);
        keys.found(KeysFound { waiting: vec![(key, id)], parked: Vec::new() }, |_| false, |_| false);
        assert_eq!(keys.are_parked().collect::<Vec<_>>(), [id]);
        assert_eq!(keys.heads_to_read(), [key]);
    }
    #[test]
    fn a_page_older_than_what_was_parked_meanwhile_keeps_nobody_waiting() {
        let ordered = Limits { ordering: Ordering::Key, ..limits(2, 4) };
        let mut queue = working(ordered);
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        queue.page_read(Page { keys: Some(KeysFound::default()), ..Page::default() });
        queue.offer([1, 4, 7, 10].map(keyed));
        assert!(matches!(queue.next(NOW, 100), Step::Start(first) if first.id.as_raw() == 1));
        // In this order: it is being parked, a page begins, it is parked, the page shows 4 as waiting for a retry.
        assert!(matches!(queue.next(NOW, 100), Step::Park(parked) if parked.len() == 3));
        queue.look_again();
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        queue.parked();
        let key = KeyHash::of("package:1");
        let keys = Some(KeysFound { waiting: vec![(key, DeliveryId::from_raw(4))], parked: Vec::new() });
        queue.page_read(Page { keys, ..Page::default() });
        finish(&mut queue, 1, TOOK);
        queue.recorded(DeliveryId::from_raw(1), Next::Settled);
        let Step::Read(order) = queue.next(NOW, 100) else { panic!("the key stands still") };
        assert_eq!(order.heads, [key]);
    }
}
