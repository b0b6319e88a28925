//! One attempt's request: what a [`Template`] lacks.

use std::time::Duration;

use awc::http::header::{HeaderMap, HeaderValue};
use bytes::Bytes;

use super::template::{
    Template, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, X_WHISPERER_EVENT, X_WHISPERER_SIGNATURE,
};
use crate::domain::{
    event::{Event, envelope, wire_uuid},
    id::DeliveryId,
    time::Timestamp,
};

/// Ready to be sent, once.
pub struct Request {
    pub(super) template: Template,
    /// Headers of this attempt alone; they win over the template's.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) now: Timestamp,
}

impl Template {
    /// The request for an attempt that starts at `now`. The body is the same on every attempt of `delivery`; time and
    /// signature are those of the attempt, so that receivers can refuse old ones.
    #[must_use]
    pub fn request(&self, delivery: DeliveryId, event: &Event, now: Timestamp) -> Request {
        let uuid = wire_uuid(delivery);
        let body = envelope(&event.event_type, &uuid, &event.payload);
        let (shared, late) = (&*self.0, &self.0.late);
        let mut headers = HeaderMap::with_capacity(6);
        if late.event_type.as_ref().is_some_and(|ready| *ready != event.event_type) {
            headers.insert(X_WHISPERER_EVENT, ascii(event.event_type.as_str()));
        }
        if late.id {
            headers.insert(WEBHOOK_ID, ascii(&uuid));
        }
        if late.timestamp {
            headers.insert(WEBHOOK_TIMESTAMP, ascii(&now.as_secs().to_string()));
        }
        if let Some(signer) = &late.whisperer {
            headers.insert(X_WHISPERER_SIGNATURE, ascii(&signer.whisperer(&body)));
        }
        if let Some(signer) = &late.standard {
            headers.insert(WEBHOOK_SIGNATURE, ascii(&signer.standard(&uuid, now, &body)));
        }
        if let Some(expect) = &shared.expect {
            headers.insert(awc::http::header::EXPECT, expect.clone());
        }
        Request { template: self.clone(), headers, body, now }
    }
}

impl Request {
    /// How long the attempt may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.template.timeout()
    }
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, base64 and names of event types are visible ASCII")
}
