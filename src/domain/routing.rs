//! Which subscriptions an event is owed to.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{event_type::EventType, id::SubscriptionId, subscription::Subscription, time::Timestamp};

/// Every subscription by its id, and the active ones by their event type. A paused subscription is matched: its queue
/// fills, unless whoever paused it chose to lose what comes meanwhile.
#[derive(Debug, Default)]
pub struct RoutingTable {
    by_id: HashMap<SubscriptionId, Arc<Subscription>>,
    by_type: HashMap<EventType, Vec<Arc<Subscription>>>,
}

/// Whether a change was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is in the table now.
    Taken,
    /// The table has the same or a newer version: the news came late.
    Stale,
}

impl RoutingTable {
    /// Takes a new or changed subscription, unless a newer version is in the table already.
    pub fn put(&mut self, subscription: Arc<Subscription>) -> Change {
        match self.by_id.entry(subscription.id) {
            Entry::Occupied(known) if known.get().version >= subscription.version => return Change::Stale,
            Entry::Occupied(mut known) => {
                let old = known.insert(Arc::clone(&subscription));
                self.unlist(&old);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(&subscription));
            }
        }
        if subscription.terms.is_active {
            let of_type = self.by_type.entry(subscription.terms.event_type.clone()).or_default();
            let place = of_type.partition_point(|other| other.id < subscription.id);
            of_type.insert(place, subscription);
        }
        Change::Taken
    }

    /// The subscriptions that an event of this type, accepted at `now`, is owed to, in the order of their ids.
    pub fn matches(&self, event_type: &EventType, now: Timestamp) -> impl Iterator<Item = &Arc<Subscription>> {
        let of_type = self.by_type.get(event_type).map_or(&[][..], Vec::as_slice);
        of_type.iter().filter(move |subscription| subscription.is_owed_events(now))
    }

    /// One subscription, active or not.
    #[must_use]
    pub fn get(&self, id: SubscriptionId) -> Option<&Arc<Subscription>> {
        self.by_id.get(&id)
    }

    /// How many subscriptions there are, active or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn unlist(&mut self, old: &Subscription) {
        let Some(of_type) = self.by_type.get_mut(&old.terms.event_type) else { return };
        of_type.retain(|other| other.id != old.id);
        if of_type.is_empty() {
            self.by_type.remove(&old.terms.event_type);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        headers::AdditionalHeaders,
        hold::{Hold, HoldMode},
        id::OwnerId,
        retry::RetryPolicy,
        subscription::{Config, Flow, Terms},
        time::Timestamp,
    };

    fn subscription(id: i32, version: i64, event_type: &str, is_active: bool) -> Arc<Subscription> {
        let terms = Terms {
            event_type: EventType::parse(event_type).expect("a type"),
            target_url: "https://a.example/".to_owned(),
            secret: None,
            retiring: Vec::new(),
            retry: RetryPolicy::default(),
            is_active,
            callback: None,
            additional_headers: AdditionalHeaders::default(),
            config: Config::default(),
            flow: Flow::default(),
        };
        Arc::new(Subscription {
            id: SubscriptionId::from_raw(id),
            owner: OwnerId::from_raw(1),
            version,
            terms,
            hold: None,
            ramp: None,
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
        })
    }

    fn matched(table: &RoutingTable, event_type: &str) -> Vec<i32> {
        matched_at(table, event_type, Timestamp::EPOCH)
    }

    fn matched_at(table: &RoutingTable, event_type: &str, now: Timestamp) -> Vec<i32> {
        table.matches(&EventType::parse(event_type).expect("a type"), now).map(|s| s.id.as_raw()).collect()
    }

    #[test]
    fn an_event_is_owed_to_the_active_subscriptions_of_exactly_its_type() {
        let mut table = RoutingTable::default();
        table.put(subscription(3, 1, "package.created", true));
        table.put(subscription(1, 1, "package.created", true));
        table.put(subscription(2, 1, "package.created", false));
        table.put(subscription(4, 1, "package.updated", true));
        assert_eq!(matched(&table, "package.created"), [1, 3]);
        assert_eq!(matched(&table, "Package.created"), [0; 0]);
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_change_moves_a_subscription() {
        let mut table = RoutingTable::default();
        table.put(subscription(1, 1, "package.created", true));
        assert_eq!(table.put(subscription(1, 2, "package.updated", true)), Change::Taken);
        assert_eq!(matched(&table, "package.created"), [0; 0]);
        assert_eq!(matched(&table, "package.updated"), [1]);
        table.put(subscription(1, 3, "package.updated", false));
        assert_eq!(matched(&table, "package.updated"), [0; 0]);
    }

    #[test]
    fn a_paused_subscription_is_owed_what_comes_unless_that_was_given_up() {
        let until = Timestamp::from_micros(10);
        let paused = |id, mode| {
            let hold = Hold { since: Timestamp::EPOCH, until: Some(until), mode, reason: None, by: "ops".to_owned() };
            let subscription = subscription(id, 1, "package.created", true);
            Arc::new(Subscription { hold: Some(hold), ..(*subscription).clone() })
        };
        let mut table = RoutingTable::default();
        table.put(paused(1, HoldMode::Keep));
        table.put(paused(2, HoldMode::Drop));
        assert_eq!(matched_at(&table, "package.created", Timestamp::from_micros(9)), [1]);
        assert_eq!(matched_at(&table, "package.created", until), [1, 2]);
    }

    #[test]
    fn late_news_changes_nothing() {
        let mut table = RoutingTable::default();
        table.put(subscription(1, 2, "package.created", false));
        assert_eq!(table.put(subscription(1, 1, "package.created", true)), Change::Stale);
        assert_eq!(matched(&table, "package.created"), [0; 0]);
    }
}
