//! A router with its store, and a publisher, in virtual time.

use std::{
    collections::HashSet,
    panic,
    sync::{Arc, Once},
    time::Duration,
};

use actix::{Addr, ArbiterHandle};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::{sync::oneshot, time::sleep};

use super::fake::{Die, Endpoint, ON_PURPOSE};
use crate::{
    actors::{
        admission::Admission,
        budget::Budget,
        colleagues::Shared,
        failing_notes::FailingNotes,
        intake::{Receipt, Submission},
        mail::tell,
        open_breakers::OpenBreakers,
        recorder::Waiting,
        roster::Bench,
        router::{AcceptEvents, Changed, Router},
        slots::Slots,
        tally::Tally,
        trickle::Trickles,
    },
    clock::Clock,
    domain::{
        breaker::BreakerSettings,
        delivery::State,
        event::Event,
        event_type::EventType,
        headers::AdditionalHeaders,
        hold::{Hold, Ramp},
        id::{DeliveryId, Minter, Node, OwnerId, SubscriptionId},
        owner::{Role, Scope, Standing},
        retry::RetryPolicy,
        routing::RoutingTable,
        subscription::{Config, Flow, Subscription, Terms},
        time::Timestamp,
    },
    metrics::Metrics,
    store::{
        Keyring, Lane, Store,
        accept::{Acceptance, Run, accept_events, last_minted},
        deliveries::{
            Listed, backlog,
            list::{Filter, list},
        },
        owners,
        subscriptions::{self, Change, holds},
    },
};

/// When the tests begin, in 2027.
pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
/// An endpoint that fails for so long is paused. Hours take real time, because the router looks around each second.
pub(super) const PAUSE_FAILING: Duration = Duration::from_hours(12);
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
    /// Attempts that wait for their record.
    pub(super) waiting: Waiting,
    window: usize,
    arbiter: ArbiterHandle,
    _folder: TempDir,
}

impl Scene {
    pub(super) async fn new(endpoint: Endpoint, window: usize) -> Self {
        Self::on(actix_rt::System::current().arbiter().clone(), endpoint, window).await
    }

    /// The same with subscriptions and deliverers on a thread of this arbiter.
    pub(super) async fn on(arbiter: ArbiterHandle, endpoint: Endpoint, window: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::new(url.parse().expect("a URL"), Keyring::default());
        store.migrate().await.expect("the tables are made");
        let clock = Clock::of_runtime(START);
        let (metrics, waiting) = (Metrics::default(), Waiting::default());
        let router = start(&store, &clock, &endpoint, (&metrics, &waiting), window, arbiter.clone()).await;
        Self { clock, endpoint, router, store, metrics, waiting, window, arbiter, _folder: folder }
    }

    /// The router dies with all that it knows, and another one begins with the store: a process that was killed and
    /// started again.
    pub(super) async fn restart(&mut self) {
        tell(&self.router, Die);
        while self.router.connected() {
            sleep(Duration::from_millis(1)).await;
        }
        let arbiter = self.arbiter.clone();
        self.waiting = Waiting::default();
        let counts = (&self.metrics, &self.waiting);
        self.router = start(&self.store, &self.clock, &self.endpoint, counts, self.window, arbiter).await;
    }

    /// A subscription to [`event_type`] with this policy.
    pub(super) async fn subscribe(&self, name: &str, retry: RetryPolicy) -> SubscriptionId {
        self.subscribe_to("package.created", OwnerId::from_raw(1), name, retry).await
    }

    /// A subscription of `owner` to another type.
    pub(super) async fn subscribe_to(
        &self,
        event_type: &str,
        owner: OwnerId,
        name: &str,
        retry: RetryPolicy,
    ) -> SubscriptionId {
        let event_type = EventType::parse(event_type).expect("a type");
        let (terms, now) = (Terms { event_type, ..terms(name, retry) }, self.clock.now());
        let keys = self.store.keys();
        let work = move |connection: &mut _| subscriptions::create(connection, &keys, owner, &terms, now);
        self.publish_change(self.store.run(Lane::Write, work).await.expect("the store writes")).await
    }

    /// Resumes a subscription in the store only; gives the new version.
    pub(super) async fn resume_in_store(&self, id: SubscriptionId) -> Arc<Subscription> {
        let keys = self.store.keys();
        let work = move |connection: &mut _| holds::resume(connection, &keys, Scope::All, id, None);
        match self.store.run(Lane::Write, work).await.expect("the store writes") {
            Change::Made(subscription) => Arc::new(*subscription),
            change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
        }
    }

    /// Stores an event that is owed to a subscription without a word to anybody: a commit of which nobody heard.
    pub(super) async fn accept_in_secret(&self, id: SubscriptionId) {
        let now = self.clock.now();
        let work = move |c: &mut _| {
            let mut minter = Minter::new(Node::default(), last_minted(c)?);
            let event = Event {
                id: minter.event(now),
                event_type: event_type(),
                payload: Bytes::from_static(b"0"),
                ordering_key: None,
                accepted_at: now,
            };
            let deliveries = vec![(minter.delivery(now), id)];
            let event = Arc::new(event);
            let publisher = OwnerId::from_raw(1);
            accept_events(c, &[Acceptance { event, publisher, deliveries, key: None }], Run::First, now)
        };
        self.store.run(Lane::Write, work).await.expect("the store writes");
    }

    /// Changes the terms of a subscription in the store only; gives the new version.
    pub(super) async fn write_terms(
        &self,
        id: SubscriptionId,
        edit: impl Fn(&Terms) -> Terms + Send + 'static,
    ) -> Arc<Subscription> {
        let (keys, now) = (self.store.keys(), self.clock.now());
        let work = move |c: &mut _| subscriptions::change_terms(c, &keys, Scope::All, id, &edit, now);
        match self.store.run(Lane::Write, work).await.expect("the store writes") {
            Change::Made(subscription) => Arc::new(*subscription),
            change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
        }
    }

    /// A subscription as stored.
    pub(super) async fn subscription(&self, id: SubscriptionId) -> Subscription {
        let keys = self.store.keys();
        let found = self.store.run(Lane::Read, move |c| subscriptions::get(c, &keys, Scope::All, id)).await;
        found.expect("the store reads").expect("it is there")
    }

    /// Adds an owner.
    pub(super) async fn add_owner(&self, name: &str, role: Role) -> OwnerId {
        let mut digest = [0; 32];
        digest[..name.len()].copy_from_slice(name.as_bytes());
        let (name, now) = (name.to_owned(), self.clock.now());
        let work = move |c: &mut _| owners::add_owner(c, &name, role, Standing::Active, &digest, now);
        match self.store.run(Lane::Write, work).await.expect("the store writes") {
            owners::Added::Owner(owner) => owner.id,
            added @ (owners::Added::NameTaken | owners::Added::TokenTaken) => panic!("{added:?}"),
        }
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
            audience: None,
        };
        tell(&self.router, AcceptEvents { events: (0..count).map(event).collect(), answer, tickets: vec![ticket] });
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

    /// How many events of a type were accepted, of those that somebody is or was owed.
    pub(super) async fn count_events(&self, event_type: &str) -> usize {
        let filter = Filter { event_type: EventType::parse(event_type).ok(), ..Filter::all(Scope::All, 10_000) };
        self.all(filter).await.into_iter().map(|listed| listed.delivery.event).collect::<HashSet<_>>().len()
    }

    /// All deliveries of `subscription`, the newest first.
    pub(super) async fn deliveries(&self, subscription: SubscriptionId) -> Vec<Listed> {
        self.all(Filter { subscription: Some(subscription), ..Filter::all(Scope::All, 10_000) }).await
    }

    async fn all(&self, mut filter: Filter) -> Vec<Listed> {
        let mut all = Vec::new();
        loop {
            let asked = filter.clone();
            let work = move |connection: &mut _| list(connection, &asked);
            let page = self.store.run(Lane::Read, work).await.expect("the store reads");
            all.extend(page.found);
            match page.next {
                Some(next) => filter.before = Some(next),
                None => return all,
            }
        }
    }

    /// Checks that each of `count` deliveries of `subscription` was delivered, and attempted at the endpoint.
    pub(super) async fn assert_delivered(&self, subscription: SubscriptionId, count: usize) {
        let deliveries = self.deliveries(subscription).await;
        assert_eq!(deliveries.len(), count);
        let seen: HashSet<DeliveryId> = self.endpoint.seen().iter().map(|seen| seen.delivery).collect();
        for Listed { delivery, .. } in deliveries {
            assert_eq!(delivery.state, State::Delivered, "{delivery:?}");
            assert!(seen.contains(&delivery.id), "{delivery:?} was never attempted");
        }
    }
}

async fn start(
    store: &Store,
    clock: &Clock,
    endpoint: &Endpoint,
    (metrics, waiting): (&Metrics, &Waiting),
    window: usize,
    arbiter: ArbiterHandle,
) -> Addr<Router> {
    let mut table = RoutingTable::default();
    let (keys, first) = (store.keys(), SubscriptionId::from_raw(0));
    let all = move |connection: &mut _| subscriptions::page(connection, &keys, Scope::All, first, 1_000);
    for subscription in store.run(Lane::Read, all).await.expect("the store reads") {
        table.put(Arc::new(subscription));
    }
    let last = store.run(Lane::Read, last_minted).await.expect("the store reads");
    let bench = {
        let (endpoint, clock) = (endpoint.clone(), clock.clone());
        Bench::with(arbiter.clone(), arbiter, move |arbiter| endpoint.start_deliverer(arbiter, &clock))
    };
    let shared = Shared {
        store: store.clone(),
        clock: clock.clone(),
        budget: Budget::new(1 << 26),
        slots: Slots::new(1_000),
        trickles: Trickles::default(),
        failing_notes: FailingNotes::default(),
        waiting: waiting.clone(),
        open_breakers: OpenBreakers::default(),
        metrics: metrics.clone(),
        breaker: BreakerSettings::default(),
        tally: Tally::default(),
        pause_failing: Some(PAUSE_FAILING),
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
