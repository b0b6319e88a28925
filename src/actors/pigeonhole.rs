//! Where the recorder leaves word of what became durable, one for each subscription at work.
//!
//! When a delivery is settled most subscriptions have nothing to do but to forget it, and that can wait until they are up for
//! something else: to wake a thousand actors for it costs more than their share of the transaction. So the recorder calls only
//! those who wait for it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use actix::Addr;

use super::subscription::SubscriptionActor;
use crate::domain::{
    delivery::Next,
    id::{DeliveryId, SubscriptionId},
};

/// See the module.
pub struct Pigeonhole {
    /// Of which subscription.
    pub(super) subscription: SubscriptionId,
    /// Who empties it.
    pub(super) owner: Addr<SubscriptionActor>,
    contents: Mutex<Contents>,
    /// Something is left. Changed with the contents only, so that an owner who finds nothing need not lock them.
    has_word: AtomicBool,
}

#[derive(Default)]
struct Contents {
    left: Vec<(DeliveryId, Next)>,
    is_awaited: bool,
    /// The owner was called since it looked last.
    is_called: bool,
}

impl Pigeonhole {
    pub(super) fn new(subscription: SubscriptionId, owner: Addr<SubscriptionActor>) -> Arc<Self> {
        Arc::new(Self { subscription, owner, contents: Mutex::default(), has_word: AtomicBool::new(false) })
    }

    /// Leaves word of what follows for a delivery. Gives whether the owner has to be called: it waits for word, or this tells
    /// more than that the delivery is settled, and it was not called since it looked last.
    pub(super) fn leave(&self, delivery: DeliveryId, next: Next) -> bool {
        let mut contents = self.contents();
        contents.left.push((delivery, next));
        self.has_word.store(true, Ordering::Release);
        let calls = !contents.is_called && (contents.is_awaited || next != Next::Settled);
        contents.is_called |= calls;
        calls
    }

    /// Whether something is left.
    pub(super) fn has_word(&self) -> bool {
        self.has_word.load(Ordering::Acquire)
    }

    /// Moves everything to `taken`, which is empty.
    pub(super) fn empty_into(&self, taken: &mut Vec<(DeliveryId, Next)>) {
        let mut contents = self.contents();
        self.has_word.store(false, Ordering::Release);
        contents.is_called = false;
        std::mem::swap(&mut contents.left, taken);
    }

    /// Whether the owner is called for whatever is left from now on. Gives whether something was left already, of which it was not
    /// told.
    pub(super) fn set_awaited(&self, is_awaited: bool) -> bool {
        let mut contents = self.contents();
        contents.is_awaited = is_awaited;
        is_awaited && !contents.is_called && !contents.left.is_empty()
    }

    /// Nobody leaves it half changed.
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
