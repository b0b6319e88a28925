//! What an attempt met on its way: address and timings, and the heads of request and answer.

use maud::{Markup, html};

use super::parts::time::millis;
use crate::{
    domain::{
        attempt::Attempt,
        trace::{ResponseHeaders, Trace},
    },
    http::traces::headers_sent,
};

/// The way of `attempt`, as far as it was kept.
pub(super) fn way(attempt: &Attempt) -> Markup {
    let Trace { remote, dns, connect, tls, first_byte, response, .. } = &attempt.trace;
    let stages = [("name", dns), ("connect", connect), ("TLS", tls), ("first byte after", first_byte)];
    html! {
        @if let Some(remote) = remote {
            p.soft {
                "To " code { (remote) }
                @for (stage, took) in stages {
                    @if let Some(took) = took { ", " (stage) " " (millis(*took)) }
                }
            }
        }
        @if let Some(sent) = headers_sent(attempt) { (headers("Request headers", &sent)) }
        @if let Some(kept) = response {
            (headers("Answer headers", &pairs(kept)))
            @if kept.is_cut() { p.soft { "There were more headers than are kept." } }
        }
    }
}

fn headers(summary: &str, pairs: &[(String, String)]) -> Markup {
    html! {
        details {
            summary { (summary) }
            table {
                tbody {
                    @for (name, value) in pairs { tr { th scope="row" { code { (name) } } td.wrap { code { (value) } } } }
                }
            }
        }
    }
}

/// Nobody but the engine writes them; what is no JSON there is not shown.
fn pairs(kept: &ResponseHeaders) -> Vec<(String, String)> {
    serde_json::from_str(kept.json()).unwrap_or_default()
}
