//! A bound on attempts in flight in the whole process, fair between subscriptions.
//!
//! Below the bound nobody is held back. At the bound each subscription may have its fair share, at least one attempt, so
//! that those with many make room and those with none still start: a thousand endpoints that hang cannot keep a healthy one
//! waiting. The bound is therefore exceeded by at most one attempt for each subscription at work.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The attempts of one process; clones share them.
#[derive(Clone, Debug)]
pub struct Slots {
    counts: Arc<Counts>,
    bound: usize,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: AtomicUsize,
    /// Subscriptions with attempts in flight.
    users: AtomicUsize,
}

/// What one subscription has in flight; given back when dropped.
#[derive(Debug)]
pub struct InUse {
    slots: Slots,
    count: usize,
}

impl Slots {
    /// At most about `bound` attempts at once.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { counts: Arc::default(), bound }
    }

    /// About how many attempts may be in flight.
    #[must_use]
    pub const fn bound(&self) -> usize {
        self.bound
    }

    /// Attempts in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    /// Nothing in use yet.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        InUse { slots: self.clone(), count: 0 }
    }
}

impl InUse {
    /// The subscription has `count` attempts in flight now.
    pub fn set(&mut self, count: usize) {
        let Counts { in_flight, users } = &*self.slots.counts;
        match (self.count, count) {
            (0, 1..) => _ = users.fetch_add(1, Ordering::Relaxed),
            (1.., 0) => _ = users.fetch_sub(1, Ordering::Relaxed),
            (0, 0) | (1.., 1..) => {}
        }
        if count > self.count {
            in_flight.fetch_add(count - self.count, Ordering::Relaxed);
        } else {
            in_flight.fetch_sub(self.count - count, Ordering::Relaxed);
        }
        self.count = count;
    }

    /// How many attempts this subscription may have at once now; at least 1.
    #[must_use]
    pub fn fair_share(&self) -> usize {
        let users = self.slots.counts.users.load(Ordering::Relaxed) + usize::from(self.count == 0);
        let share = (self.slots.bound / users.max(1)).max(1);
        match self.slots.bound.checked_sub(self.slots.in_flight()) {
            Some(free @ 1..) => share.max(self.count + free),
            Some(0) | None => share,
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_bound_nobody_is_held_back_and_at_it_everybody_gets_a_share() {
        let slots = Slots::new(10);
        let (mut hog, mut late) = (slots.in_use(), slots.in_use());
        assert_eq!(hog.fair_share(), 10);
        hog.set(10);
        assert_eq!((hog.fair_share(), late.fair_share()), (10, 5));
        late.set(1);
        assert_eq!((hog.fair_share(), late.fair_share()), (5, 5));
        hog.set(5);
        assert_eq!(late.fair_share(), 5, "one in use, and four are free");
        drop(hog);
        assert_eq!((slots.in_flight(), late.fair_share()), (1, 10));
    }

    #[test]
    fn a_share_is_at_least_one() {
        let slots = Slots::new(2);
        let users: Vec<InUse> = (0..5)
            .map(|_| {
                let mut user = slots.in_use();
                user.set(1);
                user
            })
            .collect();
        assert_eq!(slots.in_use().fair_share(), 1);
        assert_eq!(users[0].fair_share(), 1);
    }
}
