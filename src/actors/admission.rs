//! How much may wait to be accepted at once.
//!
//! Past the bound `POST /events` answers 503 at once: a short refusal is worth more to a publisher than a long wait that
//! ends in one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts what has been received and not yet committed; shared by the doors and the router.
#[derive(Clone, Debug)]
pub struct Admission {
    waiting: Arc<Waiting>,
    max_events: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

/// A place among those who wait; free again when dropped.
#[derive(Debug)]
pub struct Ticket {
    waiting: Arc<Waiting>,
    events: usize,
    bytes: usize,
}

impl Admission {
    /// At most `max_events` events and `max_bytes` bytes of payload at once.
    #[must_use]
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { waiting: Arc::default(), max_events, max_bytes }
    }

    /// A place for `events` events of `bytes` bytes together; `None` when there is none left. Whoever comes first may
    /// exceed the bound alone, or a large batch could never be accepted.
    #[must_use]
    pub fn enter(&self, events: usize, bytes: usize) -> Option<Ticket> {
        let before = self.waiting.events.fetch_add(events, Ordering::Relaxed);
        let bytes_before = self.waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        let ticket = Ticket { waiting: Arc::clone(&self.waiting), events, bytes };
        let fits = before + events <= self.max_events && bytes_before + bytes <= self.max_bytes;
        (fits || before == 0).then_some(ticket)
    }

    /// How many events may wait.
    #[must_use]
    pub const fn max_events(&self) -> usize {
        self.max_events
    }

    /// Events that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.events.load(Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.events.fetch_sub(self.events, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_bound_nobody_enters_until_somebody_leaves() {
        let admission = Admission::new(2, 100);
        let first = admission.enter(1, 10).expect("empty");
        let second = admission.enter(1, 10).expect("one place left");
        assert!(admission.enter(1, 10).is_none());
        drop((first, second));
        assert_eq!(admission.waiting(), 0);
        assert!(admission.enter(1, 101).is_some(), "a large one may come alone");
    }
}
