//! What the engine tells of itself, to whom, and what it does about an endpoint that fails for days.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use super::{
    fake::{Deed, Endpoint},
    scene::{PAUSE_FAILING, Scene, in_virtual_time},
};
use crate::domain::{
    event_type::OPERATIONAL_EVENT_TYPES, hold::Hold, id::OwnerId, owner::Role, queue::Owed, retry::RetryPolicy,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 2 };

/// The news that arrived, in order: the type's last word and the payload.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

impl Heard {
    /// An endpoint at which news arrive; `rule` decides about everything else.
    fn endpoint(&self, mut rule: impl FnMut(&Owed) -> Deed + Send + 'static) -> Endpoint {
        let heard = self.clone();
        Endpoint::new(move |owed| {
            if !owed.event.event_type.is_operational() {
                return rule(owed);
            }
            let payload = serde_json::from_slice(&owed.event.payload).expect("news are JSON");
            let name = owed.event.event_type.as_str().rsplit('.').next().unwrap_or_default().to_owned();
            heard.0.lock().expect("nobody panics").push((name, payload));
            Deed::Answer(200)
        })
    }

    fn all(&self) -> Vec<(String, Value)> {
        self.0.lock().expect("nobody panics").clone()
    }

    fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|(name, _)| name).collect()
    }
}

async fn listen_to_all(scene: &Scene, owner: OwnerId, name: &str) {
    for event_type in OPERATIONAL_EVENT_TYPES {
        scene.subscribe_to(event_type, owner, name, POLICY).await;
    }
}

#[test]
fn an_outage_is_told_once_when_it_begins_and_once_when_it_ends() {
    in_virtual_time(async {
        let (heard, mut attempts) = (Heard::default(), 0);
        let endpoint = heard.endpoint(move |_| {
            attempts += 1;
            Deed::Answer(if attempts <= 30 { 503 } else { 200 })
        });
        let scene = Scene::new(endpoint, 100).await;
        let owner = scene.add_owner("shop", Role::Subscriber).await;
        let subscription = scene.subscribe_to("package.created", owner, "shop", POLICY).await;
        listen_to_all(&scene, owner, "ops").await;
        scene.publish(20).await;
        scene.settle(subscription, 24 * HOUR).await;
        tokio::time::sleep(SECOND).await;
        assert_eq!(heard.names(), ["failing", "recovered"]);
        let (_, failing) = heard.all().remove(0);
        assert_eq!(failing["subscription_id"], subscription.as_raw());
        assert_eq!((&failing["endpoint_host"], &failing["last_error"]), (&"shop.example".into(), &"HTTP 503".into()));
        assert!(failing["consecutive_failures"].as_u64() >= Some(10), "{failing}");
    });
}

#[test]
fn a_delivery_that_is_given_up_is_told_when_that_is_durable() {
    in_virtual_time(async {
        let heard = Heard::default();
        let scene = Scene::new(heard.endpoint(|_| Deed::Answer(500)), 100).await;
        let owner = scene.add_owner("shop", Role::Subscriber).await;
        let subscription = scene.subscribe_to("package.created", owner, "shop", POLICY).await;
        scene.subscribe_to("postrider.delivery.dead", owner, "ops", POLICY).await;
        scene.publish(1).await;
        scene.settle(subscription, 24 * HOUR).await;
        tokio::time::sleep(SECOND).await;
        let [(_, dead)] = &heard.all()[..] else { panic!("{:?}", heard.all()) };
        let delivery = &scene.deliveries(subscription).await[0].delivery;
        assert_eq!(dead["delivery_id"], delivery.id.as_raw());
        assert_eq!((&dead["attempts"], &dead["event_type"]), (&19.into(), &"package.created".into()));
    });
}

#[test]
fn an_owner_hears_of_its_own_and_an_admin_of_all() {
    in_virtual_time(async {
        let heard = Heard::default();
        let scene = Scene::new(heard.endpoint(|_| Deed::Answer(200)), 100).await;
        let admin = scene.add_owner("admin", Role::Admin).await;
        let (one, other) =
            (scene.add_owner("one", Role::Subscriber).await, scene.add_owner("two", Role::Publisher).await);
        let paused = "postrider.subscription.paused";
        let mut listeners = Vec::new();
        for owner in [admin, one, other] {
            listeners.push(scene.subscribe_to(paused, owner, "ops", POLICY).await);
        }
        let own = scene.subscribe_to("package.created", one, "shop", POLICY).await;
        scene.hold(own, Hold::by_engine(scene.clock.now(), "stocktaking")).await;
        tokio::time::sleep(SECOND).await;
        let mut got = Vec::new();
        for listener in listeners {
            got.push(scene.deliveries(listener).await.len());
        }
        assert_eq!(got, [1, 1, 0]);
        let (_, news) = heard.all().remove(0);
        assert_eq!((&news["reason"], &news["by"]), (&"stocktaking".into(), &"postrider".into()));
    });
}

/// Listeners of all news whose endpoint refuses everything: they would have much to tell of each other.
#[test]
fn news_make_no_news() {
    in_virtual_time(async {
        let mut attempts = 0;
        let endpoint = Endpoint::new(move |owed| {
            if owed.event.event_type.is_operational() {
                return Deed::Answer(500);
            }
            attempts += 1;
            Deed::Answer(if attempts <= 10 || owed.event.payload == "0" { 500 } else { 200 })
        });
        let scene = Scene::new(endpoint, 100).await;
        let owner = scene.add_owner("admin", Role::Admin).await;
        for name in ["one", "two", "three"] {
            listen_to_all(&scene, owner, name).await;
        }
        let subscription = scene.subscribe_to("package.created", owner, "shop", POLICY).await;
        scene.publish(10).await;
        tokio::time::sleep(10 * HOUR).await;
        assert_eq!(scene.deliveries(subscription).await.len(), 10);
        // An outage, its end and a death, each told to three; and the pauses of those whose endpoint fails for too long.
        let told = |name: &'static str| scene.count_events(name);
        assert_eq!(told("postrider.subscription.failing").await, 1);
        assert_eq!(told("postrider.subscription.recovered").await, 1);
        assert_eq!(told("postrider.delivery.dead").await, 1);
    });
}

#[test]
fn an_endpoint_that_fails_for_too_long_is_paused_through_any_number_of_restarts() {
    in_virtual_time(async {
        let heard = Heard::default();
        let mut scene = Scene::new(heard.endpoint(|_| Deed::Answer(500)), 100).await;
        let owner = scene.add_owner("shop", Role::Subscriber).await;
        let subscription = scene.subscribe_to("package.created", owner, "shop", POLICY).await;
        scene.subscribe_to("postrider.subscription.paused", owner, "ops", POLICY).await;
        let begin = scene.clock.now();
        let hold = loop {
            scene.publish(1).await;
            tokio::time::sleep(HOUR / 2).await;
            scene.restart().await;
            if let Some(hold) = scene.subscription(subscription).await.hold {
                break hold;
            }
            assert!(scene.clock.now().since(begin) < PAUSE_FAILING + HOUR, "it is not paused");
        };
        assert!(hold.since.since(begin) >= PAUSE_FAILING, "{hold:?}");
        assert_eq!(hold.by, "postrider");
        assert!(hold.reason.as_deref().is_some_and(|reason| reason.starts_with("the endpoint has failed since")));
        tokio::time::sleep(SECOND).await;
        assert_eq!(heard.names(), ["paused"]);
        // It is looked after, and the count begins anew.
        let before = scene.endpoint.seen().len();
        scene.resume(subscription, None).await;
        tokio::time::sleep(HOUR / 2).await;
        assert!(scene.endpoint.seen().len() > before);
        assert_eq!(scene.subscription(subscription).await.hold, None);
    });
}

#[test]
fn an_endpoint_that_works_now_and_then_is_not_paused() {
    in_virtual_time(async {
        let mut turn = 0;
        let endpoint = Endpoint::new(move |_| {
            turn += 1;
            Deed::Answer(if turn % 5 == 0 { 200 } else { 500 })
        });
        let mut scene = Scene::new(endpoint, 100).await;
        let subscription = scene.subscribe("unsteady", RetryPolicy::Fixed { seconds: 600 }).await;
        for round in 0..14 {
            scene.publish(2).await;
            tokio::time::sleep(HOUR).await;
            if round % 3 == 0 {
                scene.restart().await;
            }
        }
        assert_eq!(scene.subscription(subscription).await.hold, None);
    });
}
