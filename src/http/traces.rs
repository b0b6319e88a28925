//! What attempts met on their way, as the API shows it.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::{
    attempt::Attempt,
    event::wire_uuid,
    trace::{RequestHead, ResponseHeaders, Trace},
};

/// Stands for a signature, which is made of the body and the secret, and is kept nowhere.
const NOT_KEPT: &str = "[not kept]";

/// What an attempt met on its way. Null is what is not known, also of attempts that were made before it was kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Trace)]
pub(super) struct TraceView {
    /// Where the request went, or which address was tried last: address and port.
    remote_address: Option<String>,
    timings: TimingsView,
    /// What was sent, or would have been.
    request: Option<RequestView>,
    /// Names and values in the order in which they came, over HTTP/2 in that of their names; the first 4 KiB. Cookies and
    /// what else may be a secret are `[redacted]`.
    #[schema(value_type = Option<Vec<Vec<String>>>)]
    response_headers: Option<Box<RawValue>>,
    /// Whether there were more headers.
    response_headers_cut: bool,
}

/// How long it took, in milliseconds. The first three are null when a connection was used again, or there was nothing to do.
#[derive(Serialize, ToSchema)]
#[schema(as = Timings)]
#[expect(clippy::struct_field_names, reason = "the API names the unit with each number")]
struct TimingsView {
    /// The look-up of the name.
    dns_ms: Option<f64>,
    /// Connecting, to all addresses that were tried.
    connect_ms: Option<f64>,
    /// The TLS handshake.
    tls_ms: Option<f64>,
    /// From the start to the head of the answer.
    first_byte_ms: Option<f64>,
    /// From the start to the end.
    total_ms: f64,
}

/// The head of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestHead)]
struct RequestView {
    /// Without user and password.
    url: String,
    /// Names, in their order, and values. Those that may be secrets are `[redacted]`. Signatures are `[not kept]`: they can be
    /// made again from the body, the id and the time. `Content-Length` and `Date` are left out.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
}

impl TraceView {
    pub(super) fn new(attempt: &Attempt) -> Self {
        let Trace { remote, dns, connect, tls, first_byte, request, response } = &attempt.trace;
        Self {
            remote_address: remote.map(|remote| remote.to_string()),
            timings: TimingsView {
                dns_ms: dns.map(millis),
                connect_ms: connect.map(millis),
                tls_ms: tls.map(millis),
                first_byte_ms: first_byte.map(millis),
                total_ms: millis(attempt.duration),
            },
            request: request.as_ref().map(|head| RequestView::new(head, attempt)),
            // Nobody but the engine writes the column; what is no JSON there is not shown.
            response_headers: response.as_ref().and_then(|kept| RawValue::from_string(kept.json().to_owned()).ok()),
            response_headers_cut: response.as_ref().is_some_and(ResponseHeaders::is_cut),
        }
    }
}

/// Names and values of the request's headers; `None` when they were not kept.
pub(crate) fn headers_sent(attempt: &Attempt) -> Option<Vec<(String, String)>> {
    attempt.trace.request.as_ref().map(|head| RequestView::new(head, attempt).headers)
}

impl RequestView {
    fn new(head: &RequestHead, attempt: &Attempt) -> Self {
        let own = |name: &str| match name {
            "webhook-id" => wire_uuid(attempt.delivery),
            "webhook-timestamp" => attempt.started_at.as_secs().to_string(),
            _ => NOT_KEPT.to_owned(),
        };
        let shown =
            |(name, value): &(String, Option<String>)| (name.clone(), value.clone().unwrap_or_else(|| own(name)));
        Self { url: head.url().to_owned(), headers: head.headers().iter().map(shown).collect() }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
