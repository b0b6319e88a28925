//! What the tests send, and through what.

use bytes::Bytes;
use ipnet::IpNet;
use postrider::{
    clock::Clock,
    domain::{
        attempt::{Answer, Failure, FailureClass, Outcome},
        event::Event,
        event_type::EventType,
        headers::AdditionalHeaders,
        id::{DeliveryId, EventId},
        retry::RetryPolicy,
        secret::Secret,
        subscription::{Config, Flow, Terms},
        trace::Trace,
    },
    egress::{Client, Guard, Names, Reply, Request, Template},
};
use serde_json::{Value, json};

pub(crate) const PAYLOAD: &str = r#"{"id": 73, "city": "İstanbul"}"#;
pub(crate) const DELIVERY: DeliveryId = DeliveryId::from_raw(4_711);

/// Terms for `url` and nothing special.
pub(crate) fn terms(url: &str) -> Terms {
    Terms {
        event_type: EventType::parse("package.created").expect("a type"),
        target_url: url.to_owned(),
        secret: None,
        retiring: Vec::new(),
        retry: RetryPolicy::Fixed { seconds: 1 },
        is_active: true,
        callback: None,
        additional_headers: AdditionalHeaders::default(),
        config: Config::default(),
        flow: Flow::default(),
    }
}

pub(crate) fn with_secret(mut terms: Terms, secret: &str) -> Terms {
    terms.secret = Some(Secret::new(secret));
    terms
}

pub(crate) fn with_headers(mut terms: Terms, headers: &Value) -> Terms {
    terms.additional_headers = serde_json::from_value(headers.clone()).expect("valid headers");
    terms
}

pub(crate) fn with_config(mut terms: Terms, config: &Value) -> Terms {
    terms.config = Config::new(serde_json::from_value(config.clone()).expect("an object")).expect("a valid config");
    terms
}

/// With the shortest deadline there is.
pub(crate) fn hasty(url: &str) -> Terms {
    with_config(terms(url), &json!({"timeout": 1}))
}

pub(crate) fn event(event_type: &str) -> Event {
    Event {
        id: EventId::from_raw(1),
        event_type: EventType::parse(event_type).expect("a type"),
        payload: Bytes::from_static(PAYLOAD.as_bytes()),
        ordering_key: None,
        accepted_at: Clock::system().now(),
    }
}

pub(crate) fn request(terms: &Terms) -> Request {
    let template = Template::new(terms).expect("usable terms");
    template.request(DELIVERY, &event("package.created"), Clock::system().now())
}

/// A guard that opens `networks`, with a script for names.
pub(crate) fn guard<const N: usize>(networks: &[&str], names: [(&str, Vec<Reply>); N]) -> Guard {
    let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().expect("a network")).collect();
    Guard::new(networks, Names::fixed(names))
}

/// A client that may go to the loopback.
pub(crate) fn client() -> Client {
    Client::new(guard(&["127.0.0.0/8"], []))
}

pub(crate) async fn send(client: &Client, terms: &Terms) -> Outcome {
    client.send(request(terms)).await.outcome
}

/// What the attempt met, whatever came of it.
pub(crate) async fn trace(client: &Client, terms: &Terms) -> Trace {
    client.send(request(terms)).await.trace
}

pub(crate) async fn answer(client: &Client, terms: &Terms) -> Answer {
    match send(client, terms).await {
        Outcome::Answered(answer) => answer,
        other @ (Outcome::Failed(_) | Outcome::NotAttempted) => panic!("no answer: {other:?}"),
    }
}

pub(crate) async fn failure(client: &Client, terms: &Terms) -> Failure {
    match send(client, terms).await {
        Outcome::Failed(failure) => failure,
        other @ (Outcome::Answered(_) | Outcome::NotAttempted) => panic!("no failure: {other:?}"),
    }
}

/// Fails with `class` and a message that holds `words`.
pub(crate) async fn assert_fails(client: &Client, terms: &Terms, class: FailureClass, words: &str) {
    let failure = failure(client, terms).await;
    assert_eq!(failure.class, class, "{failure:?}");
    assert!(failure.message.contains(words), "{failure:?} says nothing of {words:?}");
}
