//! Plays the steps of a section against an engine, in their order.

use std::time::Duration;

use serde_json::Value;

use super::{
    compare::{Keys, differences_of_answer, fewest},
    notes::Notes,
    section::{Ask, By, Endpoint, Publish, Section, Step, Told, one_byte_each},
    variables::Variables,
};
use crate::{
    client::{Client, Reply},
    support::{database::Database, engine::Engine, eventually::eventually, sink::Sink},
};

/// For what takes eleven attempts a second apart, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_mins(1);

/// An engine, its users, a receiver, and what the steps so far have come to.
pub(super) struct Stage {
    engine: Engine,
    pub(super) sink: Sink,
    pub(super) variables: Variables,
    pub(super) notes: Notes,
}

impl Stage {
    /// An engine on an empty database, and the users of the recording.
    pub(super) fn new(name: &str, section: &Section, database: &Database) -> Self {
        let settings: Vec<_> = section.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let engine = Engine::start(&database.url(), &settings);
        let sink = Sink::start();
        sink.otherwise(Told::default().behaviour());
        let mut variables = Variables::default();
        variables.set("base", engine.base());
        variables.set("sink", sink.url(""));
        variables.set("port", sink.url("").rsplit(':').next().unwrap_or_default());
        variables.set("admin", "token-of-the-tests");
        variables.set("alice", engine.add_user(&["alice"]));
        variables.set("bob", engine.add_user(&["bob"]));
        variables.set("inactive", engine.add_user(&["inactive", "--inactive"]));
        Self { engine, sink, variables, notes: Notes::new(name) }
    }

    pub(super) fn play(&mut self, step: &Step) {
        match step {
            Step::Ask(ask) => self.ask(ask),
            Step::Publish(publish) => self.publish(publish),
            Step::Endpoint(endpoint) => self.script(endpoint),
            Step::Deliver(deliver) => self.deliver(deliver),
        }
    }

    /// # Panics
    /// With all that differed, or when other than `written` cases were played.
    pub(super) fn end(self, written: usize) {
        self.notes.end(written);
    }

    fn ask(&mut self, ask: &Ask) {
        for time in 1..=ask.times.unwrap_or(1) {
            self.variables.set("n", time);
            let reply = if ask.until.is_empty() { self.send(ask) } else { self.send_until(ask) };
            if !ask.save.is_empty() {
                let body = reply.json();
                for (name, place) in &ask.save {
                    let value = body.pointer(place).unwrap_or_else(|| panic!("no {place} in {body}"));
                    self.variables.set(name, value.clone());
                }
            }
            self.judge(ask, &reply);
        }
    }

    fn judge(&mut self, ask: &Ask, reply: &Reply) {
        let (Some(case), Some(expected)) = (&ask.case, &ask.expect) else {
            assert!(ask.case.is_none() && ask.expect.is_none(), "a case has a name and an answer: {}", ask.request);
            assert!((200..300).contains(&reply.status), "{} prepares something: {reply:?}", ask.request);
            return;
        };
        let keys = if ask.further_keys { Keys::Told } else { Keys::All };
        let found = fewest(expected, &ask.or, |expected| {
            let mut expected = expected.clone();
            expected.body = expected.body.map(|body| self.variables.json(&body));
            expected.headers.values_mut().for_each(|value| *value = self.variables.text(value));
            differences_of_answer(&expected, reply, ask.matching, keys)
        });
        let body = ask.body.as_ref().map(|body| body.get()).or(ask.raw.as_deref()).unwrap_or_default();
        let asked = self.variables.text(&format!("{} by {:?} {body:.600}", ask.request, ask.by));
        self.notes.played(case, &asked, &found);
    }

    fn send_until(&self, ask: &Ask) -> Reply {
        eventually(&format!("{} to show {:?}", ask.request, ask.until), DEADLINE, || {
            let reply = self.send(ask);
            let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
            let holds = ask.until.iter().all(|(place, value)| body.pointer(place) == Some(&self.variables.json(value)));
            if holds { Ok(reply) } else { Err(reply.body) }
        })
    }

    fn send(&self, ask: &Ask) -> Reply {
        let (method, path) = ask.request.split_once(' ').expect("METHOD /path");
        let mut headers: Vec<(String, String)> =
            ask.headers.iter().map(|(name, value)| (name.clone(), self.variables.text(value))).collect();
        let body = match (&ask.body, &ask.raw, &ask.bytes) {
            (Some(json), ..) => Some(self.variables.text(json.get()).into_bytes()),
            (None, Some(text), _) => Some(self.variables.text(text).into_bytes()),
            (None, None, bytes) => bytes.as_deref().map(one_byte_each),
        };
        if body.is_some() && !ask.headers.contains_key("Content-Type") {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        // An empty one stands for none at all.
        headers.retain(|(_, value)| !value.is_empty());
        self.client(ask.by).ask(method, &self.variables.text(path), &headers, &body.unwrap_or_default())
    }

    /// The client of a user; the word before the token is the contract's.
    pub(super) fn client(&self, by: By) -> Client {
        let name = match by {
            By::Admin => "{admin}",
            By::Alice => "{alice}",
            By::Bob => "{bob}",
            By::Inactive => "{inactive}",
            By::Nobody => return Client::with_authorization(self.engine.base(), None),
        };
        Client::new(self.engine.base(), &self.variables.text(name))
    }

    fn publish(&mut self, publish: &Publish) {
        for time in 1..=publish.times.unwrap_or(1) {
            self.variables.set("n", time);
            self.accept(&publish.event_type, &self.variables.text(publish.payload.get()));
        }
    }

    /// An event whose payload is this text.
    pub(super) fn accept(&self, event_type: &str, payload: &str) {
        let event = format!(r#"{{"event_type": "{event_type}", "payload": {payload}}}"#);
        let reply = self.client(By::Admin).send("POST", "/api/v1/events", Some("application/json"), &event);
        assert_eq!(reply.status, 202, "{}", reply.body);
    }

    fn script(&self, endpoint: &Endpoint) {
        let answers = endpoint.answers.iter().map(Told::behaviour);
        self.sink.script(&endpoint.endpoint, answers);
    }
}
