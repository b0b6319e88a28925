//! The deliveries in memory that may start as soon as there is a slot.

use std::collections::{BTreeSet, VecDeque};

use super::Owed;
use crate::domain::id::DeliveryId;

/// First attempts and retries take turns, so that neither starves the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Fresh,
    Due,
}

/// Deliveries that were never attempted, in the order of acceptance, and retries that are due, longest due first.
#[derive(Debug)]
pub(super) struct Stock {
    fresh: VecDeque<Owed>,
    due: VecDeque<Owed>,
    turn: Turn,
    ids: BTreeSet<DeliveryId>,
}

impl Stock {
    pub(super) fn new() -> Self {
        Self { fresh: VecDeque::new(), due: VecDeque::new(), turn: Turn::Fresh, ids: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn contains(&self, id: DeliveryId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = DeliveryId> {
        self.ids.iter().copied()
    }

    pub(super) fn push_fresh(&mut self, owed: Owed) {
        if self.ids.insert(owed.id) {
            self.fresh.push_back(owed);
        }
    }

    /// Before all others: what its key kept waiting was accepted earlier.
    pub(super) fn push_front(&mut self, owed: Owed) {
        if self.ids.insert(owed.id) {
            self.fresh.push_front(owed);
        }
    }

    pub(super) fn push_due(&mut self, owed: Owed) {
        if self.ids.insert(owed.id) {
            self.due.push_back(owed);
        }
    }

    /// The next one, first attempts and retries in turn.
    pub(super) fn pop(&mut self) -> Option<Owed> {
        let (first, second, next_turn) = match self.turn {
            Turn::Fresh => (&mut self.fresh, &mut self.due, Turn::Due),
            Turn::Due => (&mut self.due, &mut self.fresh, Turn::Fresh),
        };
        let owed = first.pop_front().or_else(|| second.pop_front())?;
        self.turn = next_turn;
        self.ids.remove(&owed.id);
        Some(owed)
    }

    pub(super) fn remove(&mut self, id: DeliveryId) -> Option<Owed> {
        if !self.ids.remove(&id) {
            return None;
        }
        let mut sides = [&mut self.fresh, &mut self.due].into_iter();
        sides.find_map(|side| side.iter().position(|owed| owed.id == id).and_then(|place| side.remove(place)))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Gives back what was accepted last beyond `reach` deliveries; whether that was anything.
    pub(super) fn shrink_to(&mut self, reach: usize) -> bool {
        let too_many = self.len().saturating_sub(reach).min(self.fresh.len());
        for owed in self.fresh.split_off(self.fresh.len() - too_many) {
            self.ids.remove(&owed.id);
        }
        too_many > 0
    }
}
