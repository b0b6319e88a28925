//! Which breakers are open at this moment, and since when: for those who watch over all subscriptions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::{id::SubscriptionId, time::Timestamp};

/// The open breakers of one process; clones share them. Written only when a breaker opens or closes.
#[derive(Clone, Debug, Default)]
pub struct OpenBreakers(Arc<Mutex<HashMap<SubscriptionId, Timestamp>>>);

impl OpenBreakers {
    /// The breaker of `id` is open since then; `None`: it is closed, or nobody knows any more.
    pub fn set(&self, id: SubscriptionId, since: Option<Timestamp>) {
        match since {
            Some(since) => drop(self.all().insert(id, since)),
            None => drop(self.all().remove(&id)),
        }
    }

    /// How many are open, and the `most` that have been open longest.
    #[must_use]
    pub fn longest(&self, most: usize) -> (usize, Vec<(SubscriptionId, Timestamp)>) {
        let mut open: Vec<_> = self.all().iter().map(|(id, since)| (*id, *since)).collect();
        open.sort_unstable_by_key(|(id, since)| (*since, *id));
        let count = open.len();
        open.truncate(most);
        (count, open)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SubscriptionId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ones_that_have_been_open_longest_come_first() {
        let (open, id) = (OpenBreakers::default(), SubscriptionId::from_raw);
        for number in 1..=3 {
            open.set(id(number), Some(Timestamp::from_micros(10 - i64::from(number))));
        }
        open.set(id(2), None);
        open.set(id(9), None);
        let (count, longest) = open.longest(1);
        assert_eq!((count, longest), (2, vec![(id(3), Timestamp::from_micros(7))]));
    }
}
