//! One delivery as it came in, and how often each was seen.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::check::{Check, StandardHeaders, check_standard, check_whisperer};
use crate::domain::{secret::Secret, time::Timestamp};

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// When.
    pub(crate) at: Timestamp,
    /// Where to, with the query.
    pub(crate) path: String,
    /// `X-Whisperer-Event`, else what the body says.
    pub(crate) event_type: Option<String>,
    /// What names the delivery, the same on every attempt.
    pub(crate) uuid: Option<String>,
    /// The contract's signature.
    pub(crate) whisperer: Check,
    /// That of Standard Webhooks.
    pub(crate) standard: Check,
    /// The raw body.
    pub(crate) body: Bytes,
}

/// A delivery's body (contract, section 0), as far as it is looked at.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Named<'a>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    uuid: &'a str,
}

impl Received {
    /// Reads a request; whatever it is, something can be said about it.
    pub(crate) fn read<'a>(
        at: Timestamp,
        path: &str,
        header: impl Fn(&str) -> Option<&'a str>,
        body: Bytes,
        secret: Option<&Secret>,
    ) -> Self {
        let standard = StandardHeaders {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let event = serde_json::from_slice::<Envelope<'_>>(&body).ok().map(|envelope| envelope.event);
        let event_type = header("x-whisperer-event").or(event.as_ref().map(|event| event.event_type));
        let uuid = event.as_ref().map(|event| event.uuid).or(standard.id);
        Self {
            at,
            path: path.to_owned(),
            event_type: event_type.map(str::to_owned),
            uuid: uuid.map(str::to_owned),
            whisperer: check_whisperer(secret, header("x-whisperer-signature"), &body),
            standard: check_standard(secret, standard, &body, at),
            body,
        }
    }

    /// The payload inside the envelope; the whole body when it is another JSON text; `None` when it is none.
    pub(crate) fn payload(&self) -> Option<&str> {
        match serde_json::from_slice::<Envelope<'_>>(&self.body) {
            Ok(envelope) => Some(envelope.payload.get()),
            Err(_) => serde_json::from_slice::<&RawValue>(&self.body).ok().map(RawValue::get),
        }
    }
}

/// How many deliveries are remembered: the oldest is forgotten first, and would count from 1 again.
const REMEMBERED: usize = 100_000;

/// Counts the attempts of each delivery.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    counts: HashMap<String, u32>,
    oldest_first: VecDeque<String>,
}

impl Sightings {
    /// Counts one more attempt of the delivery `uuid`; gives the number of it, 1 for the first.
    pub(crate) fn count(&mut self, uuid: &str) -> u32 {
        if let Some(count) = self.counts.get_mut(uuid) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.oldest_first.len() == REMEMBERED
            && let Some(forgotten) = self.oldest_first.pop_front()
        {
            self.counts.remove(&forgotten);
        }
        self.oldest_first.push_back(uuid.to_owned());
        self.counts.insert(uuid.to_owned(), 1);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{event::envelope, event_type::EventType, signature::Signer};

    fn received(headers: &[(&str, &'static str)], body: &[u8]) -> Received {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Received::read(Timestamp::EPOCH, "/a?b=c", header, Bytes::copy_from_slice(body), None)
    }

    #[test]
    fn a_delivery_of_the_engine_is_understood() {
        let event_type = EventType::parse("package.created").expect("a type");
        let body = envelope(&event_type, "da81e85139824c6187dd1e58a7d3f971", br#"{ "id": 1.0 }"#);
        let secret = Secret::new("s");
        let signature = Signer::new(&secret, &[]).whisperer(&body);
        let header = |name: &str| (name == "x-whisperer-signature").then_some(signature.as_str());
        let received = Received::read(Timestamp::EPOCH, "/", header, body.clone(), Some(&secret));
        assert_eq!(received.event_type.as_deref(), Some("package.created"));
        assert_eq!(received.uuid.as_deref(), Some("da81e85139824c6187dd1e58a7d3f971"));
        assert_eq!((received.whisperer, received.standard), (Check::Valid, Check::Unsigned));
        assert_eq!(received.payload(), Some(r#"{ "id": 1.0 }"#));
    }

    #[test]
    fn anything_else_is_told_as_far_as_it_goes() {
        let other = received(&[("webhook-id", "msg_1"), ("x-whisperer-event", "a.b")], b"[1, 2]");
        assert_eq!((other.event_type.as_deref(), other.uuid.as_deref()), (Some("a.b"), Some("msg_1")));
        assert_eq!(other.payload(), Some("[1, 2]"));
        let nothing = received(&[], b"\xff");
        assert_eq!((nothing.event_type.as_deref(), nothing.uuid.as_deref()), (None, None));
        assert_eq!(nothing.payload(), None);
    }

    #[test]
    fn attempts_are_counted_by_delivery_and_memory_is_bounded() {
        let mut sightings = Sightings::default();
        assert_eq!([sightings.count("a"), sightings.count("b"), sightings.count("a")], [1, 1, 2]);
        for n in 0..=REMEMBERED {
            sightings.count(&n.to_string());
        }
        assert_eq!(sightings.counts.len(), REMEMBERED);
        assert_eq!(sightings.count("a"), 1);
    }
}
