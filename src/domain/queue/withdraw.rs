//! Deliveries that must not be attempted any more, although nobody attempted them.

use std::collections::HashSet;

use super::{Owed, Queue};
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
    /// Takes deliveries out of stock, and out of the page that may just be read. Gives those that are past that: being read
    /// for a person's order, in flight, or not recorded yet. They end as attempts do.
    pub fn withdraw(&mut self, which: &Withdrawn) -> HashSet<DeliveryId> {
        let mut freed = 0;
        let mut keep = |owed: &Owed| {
            let withdrawn = which.includes(owed.id);
            freed += if withdrawn { owed.event.payload.len() } else { 0 };
            !withdrawn
        };
        self.fresh.retain(&mut keep);
        self.due.retain(&mut keep);
        self.late.retain(&mut keep);
        self.payload_bytes -= freed;
        self.behind.discard_page();
        let under_way = self.in_flight.keys().chain(&self.recording).chain(&self.claimed);
        under_way.copied().filter(|id| which.includes(*id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Page, Step, tests},
        *,
    };
    use crate::domain::{delivery::Next, time::Timestamp};

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn id(raw: i64) -> DeliveryId {
        DeliveryId::from_raw(raw)
    }

    fn these(ids: &[i64]) -> Withdrawn {
        Withdrawn::These(ids.iter().copied().map(id).collect())
    }

    fn started(queue: &mut Queue) -> Option<i64> {
        match queue.next(NOW) {
            Step::Start(owed) => Some(owed.id.as_raw()),
            Step::Read(_) | Step::Wait(_) | Step::Idle => None,
        }
    }

    #[test]
    fn what_is_withdrawn_never_starts() {
        let mut queue = tests::caught_up();
        queue.offer([1, 2, 3, 4].map(tests::owed));
        assert_eq!(queue.withdraw(&these(&[1, 3])), HashSet::new());
        assert_eq!([started(&mut queue), started(&mut queue)], [Some(2), Some(4)]);
        queue.offer([5, 6].map(tests::owed));
        assert_eq!(queue.withdraw(&Withdrawn::UpTo(id(5))), HashSet::from([id(2), id(4)]));
    }

    #[test]
    fn what_is_in_flight_is_told_until_it_is_recorded() {
        let mut queue = tests::caught_up();
        queue.offer([tests::owed(1)]);
        assert_eq!(started(&mut queue), Some(1));
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::from([id(1)]));
        queue.finished(id(1));
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::from([id(1)]));
        queue.recorded(id(1), Next::Settled);
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::new());
    }

    #[test]
    fn a_page_that_was_being_read_brings_nothing_and_is_read_again() {
        let mut queue = tests::caught_up();
        queue.look_again();
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        assert_eq!(queue.withdraw(&these(&[1])), HashSet::new());
        queue.page_read(Page { fresh: vec![tests::owed(1), tests::owed(2)], ..Page::default() });
        assert_eq!(queue.stock(), 0);
        assert!(matches!(queue.next(NOW), Step::Read(_)));
        queue.page_read(Page { fresh: vec![tests::owed(2)], ..Page::default() });
        assert_eq!(started(&mut queue), Some(2));
    }
}
