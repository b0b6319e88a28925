//! What requests of a template have in common, as it is kept with their attempts.

use std::sync::Arc;

use awc::http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

use super::template::{
    Late, Template, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, X_POSTRIDER_TEST, X_WHISPERER_EVENT,
    X_WHISPERER_SIGNATURE,
};
use crate::domain::{event_type::EventType, trace::RequestHead};

/// The head of requests to `url` with `headers`, and with those `late` ones that are made for each.
pub(super) fn head_of(url: String, headers: &HeaderMap, late: &Late, closes: bool) -> RequestHead {
    let own = [
        (WEBHOOK_ID, late.id),
        (WEBHOOK_TIMESTAMP, late.timestamp),
        (X_WHISPERER_SIGNATURE, late.whisperer.is_some()),
        (WEBHOOK_SIGNATURE, late.standard.is_some()),
    ];
    let own = own.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| (name.to_string(), None));
    let closing = closes.then(|| pair(&CONNECTION, &HeaderValue::from_static("close")));
    RequestHead::new(url, headers.iter().map(|(name, value)| pair(name, value)).chain(own).chain(closing))
}

fn pair(name: &HeaderName, value: &HeaderValue) -> (String, Option<String>) {
    (name.to_string(), Some(String::from_utf8_lossy(value.as_bytes()).into_owned()))
}

impl Template {
    /// The head of a request under `other`, when that is not the type of the subscription.
    pub(super) fn head_under(&self, other: Option<&EventType>) -> Arc<RequestHead> {
        let head = &self.0.head;
        other.map_or_else(|| Arc::clone(head), |other| head.with(X_WHISPERER_EVENT.as_str(), other.as_str()).into())
    }

    /// The head of a trial.
    pub(super) fn head_of_trial(&self) -> Arc<RequestHead> {
        self.0.head.with(X_POSTRIDER_TEST.as_str(), "true").into()
    }
}
