//! How many bytes of payload are in memory.
//!
//! A payload counts once, however many windows share it, from its acceptance or its reading to the moment the last of them
//! lets go. Past the budget, windows are no longer filled beyond what the slots need: that slows subscriptions with a
//! backlog down, and nobody else; what is accepted waits in the store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;

/// The smallest page worth reading, in bytes of payload: so that an exhausted budget still lets everybody move on.
const SMALLEST_PAGE: usize = 64 * 1024;
/// The largest page, in bytes of payload.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// The budget of one process; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

/// A payload that is counted for as long as somebody holds it.
struct Counted {
    payload: Bytes,
    used: Arc<AtomicUsize>,
}

impl Budget {
    /// A budget of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { used: Arc::default(), bytes }
    }

    /// The same payload, counted.
    #[must_use]
    pub fn count(&self, payload: Bytes) -> Bytes {
        self.used.fetch_add(payload.len(), Ordering::Relaxed);
        Bytes::from_owner(Counted { payload, used: Arc::clone(&self.used) })
    }

    /// Bytes that may be in use.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is nothing left.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.used() >= self.bytes
    }

    /// How many bytes of payload a page may bring now.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        // A part of what is left, because others read at the same moment.
        (self.bytes.saturating_sub(self.used()) / 16).clamp(SMALLEST_PAGE, LARGEST_PAGE)
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.used.fetch_sub(self.payload.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_counts_once_and_until_the_last_one_lets_go() {
        let budget = Budget::new(100);
        let payload = budget.count(Bytes::from(vec![0; 60]));
        let (shared, part) = (payload.clone(), payload.slice(10..20));
        assert_eq!(budget.used(), 60);
        drop((payload, shared));
        assert_eq!(budget.used(), 60);
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_exhausted_budget_still_allows_small_pages() {
        let budget = Budget::new(1 << 30);
        assert_eq!(budget.page_bytes(), LARGEST_PAGE);
        let budget = Budget::new(10);
        let _payload = budget.count(Bytes::from(vec![0; 60]));
        assert!(budget.is_exhausted());
        assert_eq!(budget.page_bytes(), SMALLEST_PAGE);
    }
}
