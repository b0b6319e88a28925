//! Which heads of requests are stored already, so that each is not stored again with every attempt.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    domain::{id::SubscriptionId, time::Timestamp},
    store::{record::Record, traces::NewHead},
};

/// Everything is forgotten after this time: an erasure deletes heads, and attempts that come after it have theirs again.
const TRUST: Duration = Duration::from_mins(10);

/// See the module. One for each subscription, of which all are in memory anyway.
#[derive(Default)]
pub(super) struct KnownHeads {
    /// The digest of the head that was stored last.
    known: HashMap<SubscriptionId, i64>,
    since: Option<Timestamp>,
}

impl KnownHeads {
    /// The heads of these attempts that are not known to be stored, each once.
    pub(super) fn missing<'a>(
        &mut self,
        attempts: impl IntoIterator<Item = (SubscriptionId, &'a Record)>,
        now: Timestamp,
    ) -> Vec<NewHead> {
        if self.since.is_none_or(|since| now.since(since) >= TRUST) {
            self.known.clear();
            self.since = Some(now);
        }
        let (mut missing, mut listed) = (Vec::new(), HashSet::new());
        for (subscription, record) in attempts {
            let Some(head) = &record.attempt.trace.request else { continue };
            let is_known = self.known.get(&subscription) == Some(&head.digest());
            if !is_known && listed.insert((subscription, head.digest())) {
                missing.push(NewHead { subscription, head: Arc::clone(head) });
            }
        }
        missing
    }

    /// These are stored.
    pub(super) fn stored(&mut self, heads: &[NewHead]) {
        self.known.extend(heads.iter().map(|new| (new.subscription, new.head.digest())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        attempt::{Attempt, Outcome},
        delivery::Verdict,
        id::DeliveryId,
        trace::{RequestHead, Trace},
    };

    const ONE: SubscriptionId = SubscriptionId::from_raw(1);
    const TWO: SubscriptionId = SubscriptionId::from_raw(2);
    const START: Timestamp = Timestamp::from_micros(1_000_000);

    fn record(url: &str) -> Record {
        let request = Some(Arc::new(RequestHead::new(url.to_owned(), [])));
        let attempt = Attempt {
            delivery: DeliveryId::from_raw(1),
            number: 1,
            started_at: START,
            duration: Duration::ZERO,
            outcome: Outcome::NotAttempted,
            trace: Trace { request, ..Trace::default() },
        };
        Record { attempt, verdict: Verdict::Delivered }
    }

    #[test]
    fn a_head_is_missing_until_it_is_stored() {
        let (a, b) = (record("https://a.example/"), record("https://b.example/"));
        let mut heads = KnownHeads::default();
        let attempts = [(ONE, &a), (ONE, &a), (ONE, &b), (TWO, &a)];
        let missing = heads.missing(attempts, START);
        assert_eq!(missing.len(), 3);
        assert_eq!(heads.missing(attempts, START), missing, "the transaction may have failed");
        heads.stored(&missing[1..]);
        assert_eq!(
            heads.missing(attempts, START),
            missing[..1],
            "of one subscription that which was stored last is known"
        );
    }

    #[test]
    fn however_many_subscriptions_there_are_each_head_is_stored_once() {
        let a = record("https://a.example/");
        let all = || (1..=30_000).map(|id| (SubscriptionId::from_raw(id), &a));
        let mut heads = KnownHeads::default();
        let missing = heads.missing(all(), START);
        assert_eq!(missing.len(), 30_000);
        heads.stored(&missing);
        assert_eq!(heads.missing(all(), START), []);
    }

    #[test]
    fn what_is_known_is_forgotten_after_a_while() {
        let a = record("https://a.example/");
        let mut heads = KnownHeads::default();
        let missing = heads.missing([(ONE, &a)], START);
        heads.stored(&missing);
        assert_eq!(heads.missing([(ONE, &a)], START.after(TRUST / 2)), []);
        assert_eq!(heads.missing([(ONE, &a)], START.after(TRUST)), missing);
    }
}
