//! What is on its way to the store, and the word that it got there.

use super::SubscriptionActor;
use crate::{
    actors::{
        mail::tell,
        recorder::{RecordAttempt, Urgency},
    },
    domain::{announcement::News, delivery::Next},
    store::record::Record,
};

impl SubscriptionActor {
    /// Has an attempt written down.
    pub(super) fn record(&self, record: Record, urgency: Urgency) {
        tell(&self.scribe, RecordAttempt { record, from: self.pigeonhole.clone(), urgency });
    }

    /// Takes in what the recorder left word of.
    pub(super) fn take_word(&mut self) {
        if !self.pigeonhole.has_word() {
            return;
        }
        let mut word = std::mem::take(&mut self.word);
        self.pigeonhole.empty_into(&mut word);
        let mut news = Vec::new();
        for (delivery, next) in word.drain(..) {
            let death = self.dying.remove(&delivery);
            // Called off meanwhile: what follows is in the store.
            let next = if self.withdrawals.over(delivery) { Next::Unchanged } else { next };
            if next == Next::Settled {
                news.extend(death.map(News::Dead));
            }
            self.queue.recorded(delivery, next);
            self.orders.recorded(delivery);
        }
        self.word = word;
        self.announce(news);
    }

    /// Has the recorder call when it leaves word, or not, as long as nothing follows from it. Gives whether some was left already.
    pub(super) fn await_word(&mut self) -> bool {
        let waits = self.queue.awaits_records()
            || !self.dying.is_empty()
            || !self.quiet.is_empty()
            || !self.orders.is_empty()
            || !self.withdrawals.is_empty();
        if waits == self.awaits_word {
            return false;
        }
        self.awaits_word = waits;
        self.pigeonhole.set_awaited(waits)
    }
}
