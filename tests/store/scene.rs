//! A store with an owner, and short ways to say what happens to it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use postrider::{
    domain::{
        attempt::{Answer, Attempt, Outcome},
        delivery::{State, Verdict},
        event::Event,
        event_type::EventType,
        id::{DeliveryId, Minter, Node, OwnerId, SubscriptionId},
        owner::{Role, Scope, Standing},
        queue::{Page, ReadOrder},
        retry::RetryPolicy,
        subscription::{Config, Flow, Terms},
        time::Timestamp,
        trace::Trace,
    },
    store::{
        AnyConnection, Keyring, Lane, Queried, Store, StoreError,
        accept::{Acceptance, Accepted, IdempotencyKey, Run, accept_events},
        backlog,
        deliveries::{self, Listed},
        owners,
        record::{Record, record_attempts},
        subscriptions,
    },
};

use crate::{sql, support::database::Database};

/// The present of all tests, in 2027.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// [`NOW`] and so many seconds.
pub(crate) fn at(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

/// A store with one owner, `oms`.
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) owner: OwnerId,
    minter: Mutex<Minter>,
}

impl Scene {
    pub(crate) async fn of(database: &Database) -> Self {
        let store = database.store().await;
        let minter = Mutex::new(Minter::new(Node::default(), 0));
        let mut scene = Self { store, owner: OwnerId::from_raw(0), minter };
        scene.owner = scene.add_owner("oms").await;
        scene
    }

    /// The same with new connections: what a restart finds.
    pub(crate) async fn reopened(self, database: &Database) -> Self {
        Self { store: database.store().await, ..self }
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut AnyConnection) -> Queried<T> + Send + 'static,
    ) -> T {
        self.store.run(Lane::Write, work).await.expect("the store writes")
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut AnyConnection) -> Queried<T> + Send + 'static,
    ) -> T {
        self.store.run(Lane::Read, work).await.expect("the store reads")
    }

    /// An owner whose token is the name, padded.
    pub(crate) async fn add_owner(&self, name: &str) -> OwnerId {
        let mut token = [0; 32];
        token[..name.len()].copy_from_slice(name.as_bytes());
        let name = name.to_owned();
        let added =
            self.write(move |c| owners::add_owner(c, &name, Role::Publisher, Standing::Active, &token, NOW)).await;
        match added {
            owners::Added::Owner(owner) => owner.id,
            owners::Added::NameTaken | owners::Added::TokenTaken => panic!("{added:?}"),
        }
    }

    /// A subscription to `package.created` at an endpoint of this name.
    pub(crate) async fn subscription(&self, name: &str) -> SubscriptionId {
        let (owner, terms) = (self.owner, terms(name));
        match self.write(move |c| subscriptions::create(c, &no_keys(), owner, &terms, NOW)).await {
            subscriptions::Change::Made(subscription) => subscription.id,
            change @ (subscriptions::Change::AlreadyRegistered
            | subscriptions::Change::Outdated(_)
            | subscriptions::Change::NotFound) => {
                panic!("{change:?}")
            }
        }
    }

    /// An event with this payload that is owed to these subscriptions.
    pub(crate) fn acceptance(&self, payload: impl Into<Bytes>, to: &[SubscriptionId]) -> Acceptance {
        self.acceptance_at(NOW, payload, to)
    }

    /// The same, accepted at another time.
    pub(crate) fn acceptance_at(&self, at: Timestamp, payload: impl Into<Bytes>, to: &[SubscriptionId]) -> Acceptance {
        let mut minter = self.minter.lock().expect("no test panics while it mints");
        let event = Event {
            id: minter.event(at),
            event_type: event_type(),
            payload: payload.into(),
            ordering_key: None,
            accepted_at: at,
        };
        let deliveries = to.iter().map(|subscription| (minter.delivery(at), *subscription)).collect();
        Acceptance { event: Arc::new(event), publisher: self.owner, deliveries, key: None }
    }

    pub(crate) async fn try_accept(&self, batch: Vec<Acceptance>, run: Run) -> Result<Vec<Accepted>, StoreError> {
        self.store.run(Lane::Write, move |c| accept_events(c, &batch, run, NOW)).await
    }

    pub(crate) async fn accept(&self, batch: Vec<Acceptance>) -> Vec<Accepted> {
        self.try_accept(batch, Run::First).await.expect("the events are stored")
    }

    /// Accepts `count` events that are owed to `subscription`; gives the deliveries in the order of acceptance.
    pub(crate) async fn owe(&self, subscription: SubscriptionId, count: usize) -> Vec<DeliveryId> {
        let batch: Vec<Acceptance> =
            (0..count).map(|number| self.acceptance(number.to_string(), &[subscription])).collect();
        let ids = batch.iter().map(|item| item.deliveries[0].0).collect();
        self.accept(batch).await;
        ids
    }

    /// The same at another time.
    pub(crate) async fn owe_at(&self, at: Timestamp, subscription: SubscriptionId, count: usize) -> Vec<DeliveryId> {
        let batch: Vec<Acceptance> =
            (0..count).map(|number| self.acceptance_at(at, number.to_string(), &[subscription])).collect();
        let ids = batch.iter().map(|item| item.deliveries[0].0).collect();
        self.accept(batch).await;
        ids
    }

    /// Settles deliveries by a first attempt that was recorded at `now`.
    pub(crate) async fn settle(&self, ids: &[DeliveryId], verdict: Verdict, now: Timestamp) {
        self.record(ids.iter().map(|id| record(*id, 1, 500, verdict)).collect(), now).await;
    }

    pub(crate) async fn states(&self, ids: &[DeliveryId]) -> Vec<State> {
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            states.push(self.state(*id).await);
        }
        states
    }

    pub(crate) async fn record(&self, records: Vec<Record>, now: Timestamp) {
        self.write(move |c| record_attempts(c, &records, now)).await;
    }

    pub(crate) async fn page(&self, subscription: SubscriptionId, order: ReadOrder, now: Timestamp) -> Page {
        self.read(move |c| backlog::read_page(c, subscription, &order, now, usize::MAX)).await
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> (Listed, Vec<Attempt>) {
        self.read(move |c| deliveries::get(c, Scope::All, id)).await.expect("it was stored")
    }

    pub(crate) async fn state(&self, id: DeliveryId) -> State {
        self.delivery(id).await.0.delivery.state
    }

    /// How many rows are in a table, or a table with a filter.
    pub(crate) async fn count(&self, from: &'static str) -> i64 {
        self.read(move |c| sql::number(c, "COUNT(*)", from)).await
    }
}

/// Secrets are in plain text.
pub(crate) fn no_keys() -> Keyring {
    Keyring::default()
}

pub(crate) fn event_type() -> EventType {
    EventType::parse("package.created").expect("one of the built-in types")
}

pub(crate) fn terms(name: &str) -> Terms {
    Terms {
        event_type: event_type(),
        target_url: format!("https://{name}.example/"),
        secret: None,
        retiring: Vec::new(),
        retry: RetryPolicy::Fixed { seconds: 5 },
        is_active: true,
        callback: None,
        additional_headers: postrider::domain::headers::AdditionalHeaders::default(),
        config: Config::default(),
        flow: Flow::default(),
    }
}

/// What a publisher calls an event, and what it published under that name.
pub(crate) fn key(name: &str, content: u8, expires_at: Timestamp) -> IdempotencyKey {
    IdempotencyKey { key: name.to_owned(), digest: [content; 32], expires_at }
}

/// Everything that is owed, nothing known.
pub(crate) fn all() -> ReadOrder {
    ReadOrder { fresh: 10_000, due: 10_000, ..ReadOrder::default() }
}

pub(crate) fn answered(status: u16) -> Outcome {
    Outcome::Answered(Answer { status, retry_after: None, content_type: None, body: Bytes::new() })
}

/// An attempt that was answered, and what followed.
pub(crate) fn record(delivery: DeliveryId, number: u16, status: u16, verdict: Verdict) -> Record {
    record_of(delivery, number, answered(status), verdict)
}

pub(crate) fn record_of(delivery: DeliveryId, number: u16, outcome: Outcome, verdict: Verdict) -> Record {
    let (started_at, duration, trace) = (NOW, Duration::from_millis(7), Trace::default());
    let attempt = Attempt { delivery, number, started_at, duration, outcome, trace };
    Record { attempt, verdict }
}
