//! What most tests of this ring begin with: an engine on a database, and a receiver.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{api::Api, database::Database, engine::Engine, eventually::eventually, sink::Sink};

/// What should happen at once, on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The event type of the tests.
pub(crate) const TYPE: &str = "package.created";

/// An engine, a receiver, and a client with the admin's token.
pub(crate) struct Scene {
    pub(crate) engine: Engine,
    pub(crate) sink: Sink,
    pub(crate) api: Api,
}

impl Scene {
    /// An engine with further settings, on a port of its own.
    pub(crate) fn new(database: &Database, settings: &[(&str, &str)]) -> Self {
        let engine = Engine::start(&database.url(), settings);
        Self { api: engine.api(), engine, sink: Sink::start() }
    }

    /// A subscription of [`TYPE`] to `path` of the sink; `more` are further fields. Gives its id.
    #[track_caller]
    pub(crate) fn subscribe(&self, path: &str, more: Value) -> i64 {
        self.api.subscribe(TYPE, &self.sink.url(path), more)
    }

    /// Changes how `subscription` delivers; gives what it is now.
    #[track_caller]
    pub(crate) fn change(&self, subscription: i64, flow: &Value) -> Value {
        let path = format!("/api/v1/subscriptions/{subscription}");
        self.api.patch(&path, flow).expect("an answer").expect(200)
    }

    /// Publishes an event with this `id` in its payload.
    #[track_caller]
    pub(crate) fn publish(&self, id: usize) -> Value {
        self.api.publish(TYPE, &json!({ "id": id }))
    }

    /// Publishes events with these `id`s in their payloads, in this order and in as few requests as possible.
    #[track_caller]
    pub(crate) fn publish_many(&self, ids: impl IntoIterator<Item = usize>) {
        let events: Vec<Value> = ids.into_iter().map(|id| json!({"event_type": TYPE, "payload": {"id": id}})).collect();
        for events in events.chunks(1_000) {
            self.api.publish_batch(events);
        }
    }

    /// The `id`s in the payloads that arrived at `path`, in the order of arrival.
    pub(crate) fn arrived(&self, path: &str) -> Vec<usize> {
        self.sink.requests(path).iter().map(|request| id_in(&request.json())).collect()
    }

    /// Waits until `subscription` is owed nothing.
    #[track_caller]
    pub(crate) fn settle(&self, subscription: i64, deadline: Duration) {
        eventually("everything owed to be settled", deadline, || match self.api.owed(subscription) {
            0 => Ok(()),
            owed => Err(format!("{owed} owed, {} requests arrived", self.sink.requests_in_all())),
        });
    }

    /// How many deliveries of `subscription` are in `state`.
    #[track_caller]
    pub(crate) fn count(&self, subscription: i64, state: &str) -> usize {
        self.api.all_deliveries(&format!("subscription={subscription}&state={state}")).len()
    }

    /// Kills the engine and starts it again.
    pub(crate) fn crash(&mut self) {
        self.engine.kill9();
        self.engine.start_again();
    }
}

/// When a test fails: what the engine says of its subscriptions and of what it owes longest.
impl Drop for Scene {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for path in ["/api/v1/subscriptions", "/api/v1/deliveries?state=pending"] {
            let told = self.api.get(path).map_or_else(|error| error.to_string(), |reply| reply.text);
            println!("{path}: {told}");
        }
    }
}

/// The `id` in the payload of a delivery's body.
pub(crate) fn id_in(body: &Value) -> usize {
    let id = body["payload"]["id"].as_u64().unwrap_or_else(|| panic!("no id: {body}"));
    id.try_into().expect("tests count in usize")
}
