//! The engine's HTTP API as a client sees it.
//!
//! Blocking, and with a connection that may break: crash tests kill the engine in mid-answer.

use std::time::Duration;

use serde_json::{Value, json};

/// An answer of the engine.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body; `null` when it is empty or no JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    /// The body of an answer with this status.
    ///
    /// # Panics
    /// With the whole answer when it has another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }
}

/// No complete answer: the engine is away, or went away.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {0}")]
pub struct NoReply(#[from] ureq::Error);

/// A client with a token; cloning it shares the connections.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Api {
    /// A client of the engine at `base`, `http://HOST:PORT`.
    pub fn new(base: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            .build();
        Self { agent: config.into(), base: base.to_owned(), token: token.to_owned() }
    }

    /// The same engine with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Result<Reply, NoReply> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.authorization());
        read(request.call()?)
    }

    /// The body of `GET path`, byte for byte.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        let request = self.agent.get(self.url(path)).header("Authorization", self.authorization());
        let mut response = request.call().expect("the engine answers");
        response.body_mut().read_to_string().expect("the whole body")
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Result<Reply, NoReply> {
        let request = self.agent.delete(self.url(path)).header("Authorization", self.authorization());
        read(request.call()?)
    }

    /// `POST path` with `body` as JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply, NoReply> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.authorization());
        read(request.content_type("application/json").send(body.to_string())?)
    }

    /// Any request, with these bytes as they are.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, NoReply> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(self.url(path))
            .header("Authorization", self.authorization());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(self.agent.run(request.body(body).expect("tests write valid requests"))?)
    }

    /// `PATCH path` with `body` as JSON.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Reply, NoReply> {
        let request = self.agent.patch(self.url(path)).header("Authorization", self.authorization());
        read(request.content_type("application/json").send(body.to_string())?)
    }

    /// `GET path`, which is there.
    #[track_caller]
    pub fn get_json(&self, path: &str) -> Value {
        self.get(path).expect("the engine answers").expect(200)
    }

    /// `POST path`, which is answered with `status`.
    #[track_caller]
    pub fn post_json(&self, path: &str, body: &Value, status: u16) -> Value {
        self.post(path, body).expect("the engine answers").expect(status)
    }

    /// Registers a subscription by the contract's resource; `more` are further fields. Gives its id.
    #[track_caller]
    pub fn subscribe(&self, event_type: &str, target_url: &str, more: Value) -> i64 {
        let mut hook = json!({
            "event_type": event_type,
            "target_url": target_url,
            "is_active": true,
            "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 1}},
        });
        if let (Value::Object(hook), Value::Object(more)) = (&mut hook, more) {
            hook.extend(more);
        }
        let created = self.post_json("/whisperer/hooks/", &hook, 201);
        created["id"].as_i64().unwrap_or_else(|| panic!("a hook has an id: {created}"))
    }

    /// Publishes one event; gives the answer to it.
    #[track_caller]
    pub fn publish(&self, event_type: &str, payload: &Value) -> Value {
        self.post_json("/api/v1/events", &json!({"event_type": event_type, "payload": payload}), 202)
    }

    /// Publishes many events at once; gives their results.
    #[track_caller]
    pub fn publish_batch(&self, events: &[Value]) -> Vec<Value> {
        let answer = self.post_json("/api/v1/events/batch", &json!(events), 202);
        answer["results"].as_array().unwrap_or_else(|| panic!("no results: {answer}")).clone()
    }

    /// The newest deliveries that `filter` (a query without `?`) leaves: one page of up to 200.
    #[track_caller]
    pub fn deliveries(&self, filter: &str) -> Vec<Value> {
        let page = self.get_json(&format!("/api/v1/deliveries?limit=200&{filter}"));
        page["items"].as_array().unwrap_or_else(|| panic!("no list of deliveries: {page}")).clone()
    }

    /// All deliveries that `filter` leaves, the newest first.
    #[track_caller]
    pub fn all_deliveries(&self, filter: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut path = format!("/api/v1/deliveries?limit=200&{filter}");
        loop {
            let page = self.get_json(&path);
            all.extend(page["items"].as_array().unwrap_or_else(|| panic!("no list of deliveries: {page}")).clone());
            match page["next"].as_i64() {
                Some(next) => path = format!("/api/v1/deliveries?limit=200&{filter}&before={next}"),
                None => return all,
            }
        }
    }

    /// One delivery with its attempts.
    #[track_caller]
    pub fn delivery(&self, id: i64) -> Value {
        self.get_json(&format!("/api/v1/deliveries/{id}"))
    }

    /// A subscription with its state and its backlog.
    #[track_caller]
    pub fn subscription(&self, id: i64) -> Value {
        self.get_json(&format!("/api/v1/subscriptions/{id}"))
    }

    /// How many deliveries a subscription is owed.
    #[track_caller]
    pub fn owed(&self, id: i64) -> u64 {
        let subscription = self.subscription(id);
        subscription["backlog"]["owed"].as_u64().unwrap_or_else(|| panic!("no backlog: {subscription}"))
    }

    /// Pauses a subscription.
    #[track_caller]
    pub fn pause(&self, id: i64, order: &Value) -> Value {
        self.post_json(&format!("/api/v1/subscriptions/{id}/pause"), order, 200)
    }

    /// Resumes a subscription.
    #[track_caller]
    pub fn resume(&self, id: i64) -> Value {
        self.post_json(&format!("/api/v1/subscriptions/{id}/resume"), &json!({}), 200)
    }

    /// A figure of `/metrics` that has no labels.
    pub fn gauge(&self, name: &str) -> usize {
        let metrics = self.text("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is a gauge"))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorization(&self) -> String {
        format!("Token {}", self.token)
    }
}

pub(super) fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Reply, NoReply> {
    let text = response.body_mut().read_to_string()?;
    let value = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, header)| (name.as_str().to_owned(), value(header))).collect();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(Reply { status: response.status().as_u16(), body, text, headers })
}
