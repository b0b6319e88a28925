//! Deliveries that must not be attempted any more, although nobody attempted them.

use std::collections::HashSet;

use super::Queue;
use crate::domain::id::DeliveryId;

/// Which deliveries. The store says so already: whoever reads them from now on finds them settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// These.
    These(HashSet<DeliveryId>),
    /// All that were accepted up to now, up to and including this id.
    UpTo(DeliveryId),
}

impl Withdrawn {
    /// Whether it is about this delivery.
    #[must_use]
    pub fn includes(&self, id: DeliveryId) -> bool {
        match self {
            Self::These(ids) => ids.contains(&id),
            Self::UpTo(last) => id <= *last,
        }
    }
}

impl Queue {
    /// Forgets deliveries that must not be attempted any more: in stock, behind their keys, on the page that may just be
    /// read. Gives those that are past that: being read for a person's order, in flight, or not recorded yet. They end as
    /// attempts do.
    pub fn withdraw(&mut self, which: &Withdrawn) -> HashSet<DeliveryId> {
        let late = self.late.iter().map(|owed| owed.id);
        let in_memory = self.stock.ids().chain(late).any(|id| which.includes(id));
        // With order, the key of one that waits for a retry has to be free for the next.
        if in_memory || self.is_ordered() || self.behind.is_reading() {
            self.start_over();
        }
        let under_way = self.in_flight.keys().chain(self.recording.keys()).chain(&self.claimed);
        under_way.copied().filter(|id| which.includes(*id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Page, Step,
            tests::{NOW, TOOK, caught_up, finish, keyed, limits, owed, started},
        },
        *,
    };
    use crate::domain::{delivery::Next, ordering::Ordering, queue::Limits};

    fn id(raw: i64) -> DeliveryId {
        DeliveryId::from_raw(raw)
    }

    fn these(ids: &[i64]) -> Withdrawn {
        Withdrawn::These(ids.iter().copied().map(id).collect())
    }

    /// Reads what the store holds now.
    fn read(queue: &mut Queue, fresh: &[i64]) {
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        let fresh = fresh.iter().copied().map(owed).collect();
        queue.page_read(Page { fresh, keys: Some(super::super::KeysFound::default()), ..Page::default() });
    }

    #[test]
    fn what_is_withdrawn_never_starts() {
        let mut queue = caught_up();
        queue.offer([1, 2, 3].map(owed));
        assert_eq!(queue.withdraw(&these(&[1, 3])), HashSet::new());
        read(&mut queue, &[2]);
        assert_eq!(started(&mut queue, NOW), [2]);
        queue.offer([5, 6].map(owed));
        assert_eq!(queue.withdraw(&Withdrawn::UpTo(id(5))), HashSet::from([id(2)]));
        read(&mut queue, &[6]);
        assert_eq!(started(&mut queue, NOW), [6]);
    }

    #[test]
    fn what_is_not_in_memory_disturbs_nothing() {
        let mut queue = caught_up();
        queue.offer([1, 2].map(owed));
        assert_eq!(queue.withdraw(&these(&[7])), HashSet::new());
        assert_eq!(started(&mut queue, NOW), [1, 2]);
    }

    #[test]
    fn what_is_in_flight_is_told_until_it_is_recorded() {
        let mut queue = caught_up();
        queue.offer([owed(1)]);
        assert_eq!(started(&mut queue, NOW), [1]);
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::from([id(1)]));
        finish(&mut queue, 1, TOOK);
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::from([id(1)]));
        queue.recorded(id(1), Next::Settled);
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::new());
    }

    #[test]
    fn a_page_that_was_being_read_brings_nothing_and_is_read_again() {
        let mut queue = caught_up();
        queue.look_again();
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::new());
        queue.page_read(Page { fresh: vec![owed(1), owed(2)], ..Page::default() });
        assert_eq!(queue.stock(), 0);
        read(&mut queue, &[2]);
        assert_eq!(started(&mut queue, NOW), [2]);
    }

    #[test]
    fn a_delivery_that_is_withdrawn_while_it_waits_for_a_retry_frees_its_key() {
        let mut queue = caught_up();
        queue.set_limits(Limits { ordering: Ordering::Key, ..limits(2, 10) });
        assert!(matches!(queue.next(NOW, 100), Step::Unpark));
        queue.unparked();
        read(&mut queue, &[]);
        queue.offer([1, 4].map(keyed));
        assert_eq!(started(&mut queue, NOW), [1]);
        finish(&mut queue, 1, TOOK);
        queue.recorded(id(1), Next::DueAt(NOW.after(std::time::Duration::from_hours(1))));
        assert_eq!(started(&mut queue, NOW), [0; 0]);
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::new());
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        let keys = Some(super::super::KeysFound::default());
        queue.page_read(Page { fresh: vec![keyed(4)], keys, ..Page::default() });
        assert_eq!(started(&mut queue, NOW), [4]);
    }
}
