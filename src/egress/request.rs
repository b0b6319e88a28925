//! One attempt's request: what a [`Template`] lacks.

use std::{sync::Arc, time::Duration};

use awc::http::header::{EXPECT, HeaderName, HeaderValue};
use bytes::Bytes;

use super::template::{
    Template, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, X_POSTRIDER_TEST, X_WHISPERER_EVENT,
    X_WHISPERER_SIGNATURE,
};
use crate::domain::{
    event::{Event, envelope, trial_envelope, wire_uuid},
    id::DeliveryId,
    time::Timestamp,
    trace::RequestHead,
};

/// How many headers an attempt may have for itself.
pub(super) const MOST_LATE_HEADERS: usize = 6;

/// Ready to be sent, once.
pub struct Request {
    pub(super) template: Template,
    pub(super) body: Bytes,
    pub(super) now: Timestamp,
    /// What is kept of it.
    pub(super) head: Arc<RequestHead>,
    event_type: Option<HeaderValue>,
    id: Option<HeaderValue>,
    timestamp: Option<HeaderValue>,
    whisperer_signature: Option<HeaderValue>,
    standard_signature: Option<HeaderValue>,
    /// `x-postrider-test`, on trials only.
    trial: Option<HeaderValue>,
}

impl Template {
    /// The request for an attempt that starts at `now`. The body is the same on every attempt of `delivery`; time and
    /// signature are those of the attempt, so that receivers can refuse old ones.
    #[must_use]
    pub fn request(&self, delivery: DeliveryId, event: &Event, now: Timestamp) -> Request {
        let uuid = wire_uuid(delivery);
        let body = envelope(&event.event_type, &uuid, &event.payload);
        self.signed(&uuid, body, event, now)
    }

    /// The request for a trial: signed like a delivery, and marked as none in its body and by a header.
    #[must_use]
    pub fn trial(&self, id: DeliveryId, event: &Event, now: Timestamp) -> Request {
        let uuid = wire_uuid(id);
        let body = trial_envelope(&event.event_type, &uuid, &event.payload);
        let trial = Some(HeaderValue::from_static("true"));
        Request { trial, head: self.head_of_trial(), ..self.signed(&uuid, body, event, now) }
    }

    fn signed(&self, uuid: &str, body: Bytes, event: &Event, now: Timestamp) -> Request {
        let late = &self.0.late;
        let has_other_type = late.event_type.as_ref().is_some_and(|ready| *ready != event.event_type);
        let other_type = has_other_type.then_some(&event.event_type);
        Request {
            head: self.head_under(other_type),
            event_type: other_type.map(|other| ascii(other.as_str())),
            id: late.id.then(|| ascii(uuid)),
            timestamp: late.timestamp.then(|| ascii(&now.as_secs().to_string())),
            whisperer_signature: late.whisperer.as_ref().map(|signer| ascii(&signer.whisperer(&body))),
            standard_signature: late.standard.as_ref().map(|signer| ascii(&signer.standard(uuid, now, &body))),
            trial: None,
            template: self.clone(),
            body,
            now,
        }
    }
}

impl Request {
    /// How long the attempt may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.template.timeout()
    }

    /// What is sent behind the headers.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// All headers by name, for people who look; values that are no text of ASCII are told as far as they are. Basic auth and
    /// what the subscription adds are among them, and not for everybody's eyes.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let shared = self.template.0.headers.iter().map(|(name, value)| (name.clone(), value));
        let shared = shared.filter(|(name, _)| self.late_headers().all(|(late, _)| late != *name));
        let told = |(name, value): (HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let expect = self.template.0.expect.as_ref().map(|expect| (EXPECT, expect));
        shared.chain(self.late_headers()).chain(expect).map(told).collect()
    }

    /// Headers of this attempt alone; they win over the template's.
    pub(super) fn late_headers(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let headers: [_; MOST_LATE_HEADERS] = [
            (X_WHISPERER_EVENT, self.event_type.as_ref()),
            (WEBHOOK_ID, self.id.as_ref()),
            (WEBHOOK_TIMESTAMP, self.timestamp.as_ref()),
            (X_WHISPERER_SIGNATURE, self.whisperer_signature.as_ref()),
            (WEBHOOK_SIGNATURE, self.standard_signature.as_ref()),
            (X_POSTRIDER_TEST, self.trial.as_ref()),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, base64 and names of event types are visible ASCII")
}
