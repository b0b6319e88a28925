//! A router with its store, and a publisher, in virtual time.

use std::{
    panic,
    sync::{Arc, Once},
    time::Duration,
};

use actix::Addr;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::{sync::oneshot, time::sleep};

use super::fake::{Die, Endpoint, ON_PURPOSE};
use crate::{
    actors::{
        admission::Admission,
        budget::Budget,
        colleagues::Shared,
        failing::Failing,
        intake::{Receipt, Submission},
        mail::tell,
        recorder::Waiting,
        roster::Bench,
        router::{AcceptEvents, Changed, Router},
        slots::Slots,
    },
    clock::Clock,
    domain::{
        breaker::BreakerSettings,
        delivery::State,
        event_type::EventType,
        headers::AdditionalHeaders,
        hold::{Hold, Ramp},
        id::{DeliveryId, Minter, Node, OwnerId, SubscriptionId},
        owner::Scope,
        retry::RetryPolicy,
        routing::RoutingTable,
        subscription::{Config, Flow, Terms},
        time::Timestamp,
    },
    metrics::Metrics,
    store::{
        Keyring, Lane, Store,
        accept::last_minted,
        deliveries::{self, Filter, Listed, backlog},
        subscriptions::{self, Change, holds},
    },
};

/// When the tests begin, in 2027.
pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
/// Between two looks at the store, at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// At most so many looks: each is a query in real time.
const LOOKS: u32 = 500;

/// Runs `test` in a system of its own whose clock moves only when there is nothing else to do.
pub(super) fn in_virtual_time(test: impl Future<Output = ()>) {
    keep_quiet_about_deaths();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime starts")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(test);
}

/// What dies on purpose needs no backtrace, which takes half a second each.
fn keep_quiet_about_deaths() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or_default();
            if !text.starts_with(ON_PURPOSE) {
                tell(info);
            }
        }));
    });
}

/// A router at work.
pub(super) struct Scene {
    pub(super) clock: Clock,
    pub(super) endpoint: Endpoint,
    pub(super) router: Addr<Router>,
    pub(super) store: Store,
    pub(super) metrics: Metrics,
    window: usize,
    _folder: TempDir,
}

impl Scene {
    pub(super) async fn new(endpoint: Endpoint, window: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::new(url.parse().expect("a URL"), Keyring::default());
        store.migrate().await.expect("the tables are made");
        let clock = Clock::of_runtime(START);
        let metrics = Metrics::default();
        let router = start(&store, &clock, &endpoint, &metrics, window).await;
        Self { clock, endpoint, router, store, metrics, window, _folder: folder }
    }

    /// The router dies with all that it knows, and another one begins with the store: a process that was killed and
    /// started again.
    pub(super) async fn restart(&mut self) {
        tell(&self.router, Die);
        while self.router.connected() {
            sleep(Duration::from_millis(1)).await;
        }
        self.router = start(&self.store, &self.clock, &self.endpoint, &self.metrics, self.window).await;
    }

    /// A subscription to [`event_type`] with this policy.
    pub(super) async fn subscribe(&self, name: &str, retry: RetryPolicy) -> SubscriptionId {
        let (terms, now) = (terms(name, retry), self.clock.now());
        let (owner, keys) = (OwnerId::from_raw(1), self.store.keys());
        let work = move |connection: &mut _| subscriptions::create(connection, &keys, owner, &terms, now);
        self.publish_change(self.store.run(Lane::Write, work).await.expect("the store writes")).await
    }

    /// Pauses a subscription.
    pub(super) async fn hold(&self, id: SubscriptionId, hold: Hold) {
        let keys = self.store.keys();
        let work = move |connection: &mut _| holds::hold(connection, &keys, Scope::All, id, &hold);
        self.publish_change(self.store.run(Lane::Write, work).await.expect("the store writes")).await;
    }

    /// Resumes a subscription.
    pub(super) async fn resume(&self, id: SubscriptionId, ramp: Option<Ramp>) {
        let keys = self.store.keys();
        let work = move |connection: &mut _| holds::resume(connection, &keys, Scope::All, id, ramp);
        self.publish_change(self.store.run(Lane::Write, work).await.expect("the store writes")).await;
    }

    async fn publish_change(&self, change: Change) -> SubscriptionId {
        let Change::Made(subscription) = change else { panic!("{change:?}") };
        let id = subscription.id;
        self.router.send(Changed(Arc::new(*subscription))).await.expect("the router runs");
        id
    }

    /// Publishes `count` events in one request; gives what is said about them.
    pub(super) async fn publish(&self, count: usize) -> Vec<Receipt> {
        let ticket = Admission::new(count, usize::MAX).enter(count, 0).expect("nobody waits");
        let (answer, receipts) = oneshot::channel();
        let event = |number: usize| Submission {
            event_type: event_type(),
            payload: Bytes::from(number.to_string()),
            ordering_key: None,
            publisher: OwnerId::from_raw(1),
            key: None,
        };
        tell(&self.router, AcceptEvents { events: (0..count).map(event).collect(), answer, ticket });
        receipts.await.unwrap_or_default()
    }

    /// Waits until `subscription` is owed nothing, at most so long.
    pub(super) async fn settle(&self, subscription: SubscriptionId, most: Duration) {
        let begin = self.clock.now();
        loop {
            let work = move |connection: &mut _| backlog(connection, subscription);
            let owed = self.store.run(Lane::Read, work).await.expect("the store reads").owed;
            if owed == 0 {
                return;
            }
            let waited = self.clock.now().since(begin);
            assert!(waited <= most, "after {waited:?} {owed} deliveries are still owed");
            sleep(LOOK_EVERY.max(most / LOOKS)).await;
        }
    }

    /// All deliveries of `subscription`, the newest first.
    pub(super) async fn deliveries(&self, subscription: SubscriptionId) -> Vec<Listed> {
        let filter = Filter {
            scope: Scope::All,
            subscription: Some(subscription),
            state: None,
            event_type: None,
            before: None,
            limit: 10_000,
        };
        let work = move |connection: &mut _| deliveries::list(connection, &filter);
        self.store.run(Lane::Read, work).await.expect("the store reads")
    }

    /// Checks that each of `count` deliveries of `subscription` was delivered, and attempted at the endpoint.
    pub(super) async fn assert_delivered(&self, subscription: SubscriptionId, count: usize) {
        let deliveries = self.deliveries(subscription).await;
        assert_eq!(deliveries.len(), count);
        let seen: std::collections::HashSet<DeliveryId> =
            self.endpoint.seen().iter().map(|seen| seen.delivery).collect();
        for Listed { delivery, .. } in deliveries {
            assert_eq!(delivery.state, State::Delivered, "{delivery:?}");
            assert!(seen.contains(&delivery.id), "{delivery:?} was never attempted");
        }
    }
}

async fn start(store: &Store, clock: &Clock, endpoint: &Endpoint, metrics: &Metrics, window: usize) -> Addr<Router> {
    let mut table = RoutingTable::default();
    let (keys, first) = (store.keys(), SubscriptionId::from_raw(0));
    let all = move |connection: &mut _| subscriptions::page(connection, &keys, Scope::All, first, 1_000);
    for subscription in store.run(Lane::Read, all).await.expect("the store reads") {
        table.put(Arc::new(subscription));
    }
    let last = store.run(Lane::Read, last_minted).await.expect("the store reads");
    let arbiter = actix_rt::System::current().arbiter().clone();
    let bench = {
        let (endpoint, clock) = (endpoint.clone(), clock.clone());
        Bench::with(arbiter, move |arbiter| endpoint.start_deliverer(arbiter, &clock))
    };
    let shared = Shared {
        store: store.clone(),
        clock: clock.clone(),
        budget: Budget::new(1 << 26),
        slots: Slots::new(1_000),
        waiting: Waiting::default(),
        failing: Failing::default(),
        metrics: metrics.clone(),
        breaker: BreakerSettings::default(),
        window,
    };
    Router::start(table, Minter::new(Node::default(), last), last, vec![bench], shared)
}

fn event_type() -> EventType {
    EventType::parse("package.created").expect("a type")
}

fn terms(name: &str, retry: RetryPolicy) -> Terms {
    Terms {
        event_type: event_type(),
        target_url: format!("https://{name}.example/"),
        secret: None,
        retiring: Vec::new(),
        retry,
        is_active: true,
        callback: None,
        additional_headers: AdditionalHeaders::default(),
        config: Config::default(),
        flow: Flow::default(),
    }
}
