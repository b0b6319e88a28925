//! From one ordering to another.
//!
//! What is parked waits behind the keys of the ordering under which it was parked. Under another one its lines mean nothing, so
//! it is put back among the others before anything starts. What is going on when the ordering changes ends first, or it would
//! have no key.

use super::{Limits, Queue, Step, steps::KeysFound};

/// How far the change has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reordering {
    /// Nothing is parked under another ordering.
    #[default]
    Done,
    /// Something may be.
    Wanted,
    /// It is being put back. Whether the ordering changed once more meanwhile.
    UnderWay { again: bool },
}

impl Queue {
    /// Changes the limits. What is in flight beyond fewer slots finishes; before another ordering holds, all that is in flight
    /// does, and nothing starts meanwhile.
    pub fn set_limits(&mut self, limits: Limits) {
        let is_reordered = limits.ordering != self.limits.ordering;
        self.limits = limits;
        if is_reordered {
            self.reorder();
        }
    }

    /// What [`Step::Unpark`] asked for is done.
    pub fn unparked(&mut self) {
        self.reordering = match self.reordering {
            Reordering::UnderWay { again: true } => Reordering::Wanted,
            Reordering::UnderWay { again: false } | Reordering::Wanted | Reordering::Done => Reordering::Done,
        };
        self.start_over();
    }

    /// Whether nothing starts because of what may be parked under another ordering, as an engine that was killed, or whoever
    /// changed a subscription at rest, may have left it.
    pub(super) fn finds_another_order(&mut self, found: Option<&KeysFound>) -> bool {
        let is_ours = |found: &KeysFound| found.parked.iter().all(|(key, _)| self.limits.ordering.has_lines_of(*key));
        let is_another = !found.is_none_or(is_ours);
        if is_another {
            self.reorder();
        }
        is_another
    }

    fn reorder(&mut self) {
        self.reordering = match self.reordering {
            Reordering::UnderWay { .. } => Reordering::UnderWay { again: true },
            Reordering::Done | Reordering::Wanted => Reordering::Wanted,
        };
        self.start_over();
    }

    pub(super) const fn is_unparking(&self) -> bool {
        matches!(self.reordering, Reordering::UnderWay { .. })
    }

    /// What comes before anything else; `None` when nothing is to be put back.
    pub(super) fn next_of_reordering(&mut self) -> Option<Step> {
        match self.reordering {
            Reordering::Done => None,
            Reordering::Wanted if !self.is_busy() => {
                self.reordering = Reordering::UnderWay { again: false };
                Some(Step::Unpark)
            }
            Reordering::Wanted | Reordering::UnderWay { .. } => Some(Step::Wait(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Page,
            tests::{NOW, TOOK, caught_up, finish, keyed, limits, owed, started, working},
        },
        *,
    };
    use crate::domain::{
        delivery::Next,
        id::DeliveryId,
        ordering::{KeyHash, Ordering},
    };

    fn in_order(ordering: Ordering) -> Limits {
        Limits { ordering, ..limits(8, 20) }
    }

    /// Reads `fresh` and what is parked.
    fn read(queue: &mut Queue, fresh: &[i64], parked: &[(KeyHash, i64)]) {
        assert!(matches!(queue.next(NOW, 100), Step::Read(_)));
        let parked = parked.iter().map(|(key, id)| (*key, DeliveryId::from_raw(*id))).collect();
        let keys = Some(KeysFound { waiting: Vec::new(), parked });
        queue.page_read(Page { keys, fresh: fresh.iter().copied().map(keyed).collect(), ..Page::default() });
    }

    #[test]
    fn what_an_engine_before_left_parked_is_put_back_before_anything_starts() {
        let line_of_all = Ordering::Subscription.key(None).expect("one line for all");
        let line_of_one = KeyHash::of("package:1");
        for (ordering, parked) in
            [(Ordering::Key, line_of_all), (Ordering::Subscription, line_of_one), (Ordering::None, line_of_one)]
        {
            let mut queue = working(in_order(ordering));
            read(&mut queue, &[4], &[(parked, 1)]);
            assert!(matches!(queue.next(NOW, 100), Step::Unpark), "{ordering:?}: 4 would pass 1");
            queue.offer([keyed(7)]);
            assert_eq!(started(&mut queue, NOW), [0; 0], "{ordering:?}");
            queue.unparked();
            read(&mut queue, &[1, 4, 7], &[]);
            let expected: &[i64] = if ordering == Ordering::None { &[1, 4, 7] } else { &[1] };
            assert_eq!(started(&mut queue, NOW), expected, "{ordering:?}");
        }
    }

    #[test]
    fn its_own_lines_stay_parked() {
        let mut queue = working(in_order(Ordering::Key));
        let key = KeyHash::of("package:1");
        read(&mut queue, &[], &[(key, 1)]);
        let Step::Read(order) = queue.next(NOW, 100) else { panic!("it is its turn") };
        assert_eq!(order.heads, [key]);
    }

    #[test]
    fn what_is_in_flight_ends_before_another_order_holds() {
        let mut queue = caught_up();
        queue.offer([owed(1), owed(2)]);
        assert_eq!(started(&mut queue, NOW), [1, 2]);
        queue.set_limits(in_order(Ordering::Subscription));
        queue.offer([owed(3)]);
        assert!(matches!(queue.next(NOW, 100), Step::Wait(None)), "3 would run beside 1");
        for id in [1, 2] {
            finish(&mut queue, id, TOOK);
            assert!(matches!(queue.next(NOW, 100), Step::Wait(None)), "it is not durable yet");
            queue.recorded(DeliveryId::from_raw(id), Next::Settled);
        }
        assert!(matches!(queue.next(NOW, 100), Step::Unpark));
        queue.set_limits(in_order(Ordering::Key));
        assert!(matches!(queue.next(NOW, 100), Step::Wait(None)), "one write at a time");
        queue.unparked();
        assert!(matches!(queue.next(NOW, 100), Step::Unpark), "it changed once more");
        queue.unparked();
        read(&mut queue, &[3], &[]);
        assert_eq!(started(&mut queue, NOW), [3]);
    }
}
