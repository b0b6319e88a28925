//! How many bytes of payload the windows may hold together.
//!
//! Past the budget offers are left to the store and pages get small. That slows the subscriptions with a backlog down, and
//! refuses nothing: what is accepted waits in the store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

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

/// What one subscription uses of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of `bytes` bytes. A payload counts once for each window that holds it.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { used: Arc::default(), bytes }
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

    /// An empty share.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// The window holds `bytes` bytes now.
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_together_and_are_given_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        one.set(60);
        other.set(50);
        assert!(budget.is_exhausted());
        one.set(20);
        assert_eq!(budget.used(), 70);
        drop(other);
        assert_eq!(budget.used(), 20);
    }

    #[test]
    fn an_exhausted_budget_still_allows_small_pages() {
        let budget = Budget::new(1 << 30);
        assert_eq!(budget.page_bytes(), LARGEST_PAGE);
        budget.share().set(0);
        let mut share = budget.share();
        share.set(1 << 31);
        assert_eq!(budget.page_bytes(), SMALLEST_PAGE);
    }
}
