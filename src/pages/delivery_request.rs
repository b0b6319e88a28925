//! The request of a delivery, as it was or would be sent: headers, body, what is signed, and the same for curl.
//!
//! Values of headers that the subscription adds, and basic auth, are left out: they are not shown anywhere.

use std::fmt::Write;

use maud::{Markup, html};

use super::delivery::excerpt;
use crate::{
    domain::{
        attempt::Attempt,
        event::{Event, wire_uuid},
        subscription::Subscription,
        time::Timestamp,
    },
    egress::Template,
    http::subscriptions::shown,
    store::{deliveries::Listed, events::Whole},
};

/// What stands for a value that is not shown.
const HIDDEN: &str = "…";
/// A longer body is not part of a command line, in bytes.
const MOST_IN_LINE: usize = 64 * 1024;

/// The request, with the time and the signatures of the latest attempt, or of now.
pub(super) fn panels(
    listed: &Listed,
    latest: Option<&Attempt>,
    subscription: &Subscription,
    whole: &Whole,
    now: Timestamp,
) -> Markup {
    if whole.payload.is_empty() {
        return html! {};
    }
    let at = latest.map_or(now, |attempt| attempt.started_at);
    let event = Event {
        id: whole.listed.id,
        event_type: whole.listed.event_type.clone(),
        payload: whole.payload.clone(),
        ordering_key: whole.listed.ordering_key.clone(),
        accepted_at: whole.listed.accepted_at,
    };
    let request = match Template::new(&subscription.terms) {
        Ok(template) => template.request(listed.delivery.id, &event, at),
        Err(failure) => return html! { section.panel { p.alert { (failure.message) } } },
    };
    let (url, body) = (shown(&subscription.terms.target_url), String::from_utf8_lossy(request.body()).into_owned());
    let headers = visible(request.headers(), subscription);
    let base = format!("{}.{}.{body}", wire_uuid(listed.delivery.id), at.as_secs());
    html! {
        section.panel aria-labelledby="request" {
            h2 id="request" { "The request" }
            p.soft {
                @if latest.is_some() { "As the subscription is now, with the time of the latest attempt." } @else { "As it would be sent now." }
                " Values of its own headers are not shown."
            }
            p { code { "POST " (url) } }
            table {
                tbody { @for (name, value) in &headers { tr { th scope="row" { code { (name) } } td.wrap { code { (value) } } } } }
            }
            details { summary { "Body" } (excerpt(request.body())) }
            details {
                summary { "What webhook-signature signs" }
                p { "HMAC-SHA256 with the secret, over webhook-id, webhook-timestamp and the body, divided by dots; x-whisperer-signature signs the body alone." }
                (excerpt(base.as_bytes()))
            }
            details {
                summary { "As curl" }
                pre id="curl" tabindex="0" { (curl(&url, &headers, &body)) }
                button type="button" data-copy="curl" hidden { "Copy" }
            }
        }
    }
}

/// Headers without the values that nobody is shown: basic auth, and those that the subscription adds.
pub(super) fn visible(headers: Vec<(String, String)>, subscription: &Subscription) -> Vec<(String, String)> {
    let own: Vec<&str> = subscription.terms.additional_headers.iter().map(|(name, _)| name).collect();
    let is_hidden = |name: &str| name == "authorization" || own.iter().any(|own| own.eq_ignore_ascii_case(name));
    let told = |(name, value): (String, String)| {
        let value = if is_hidden(&name) { HIDDEN.to_owned() } else { value };
        (name, value)
    };
    headers.into_iter().map(told).collect()
}

/// A command that sends the same request.
fn curl(url: &str, headers: &[(String, String)], body: &str) -> String {
    let mut command = format!("curl -X POST {}", quoted(url));
    for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
        write!(command, " \\\n  -H {}", quoted(&format!("{name}: {value}"))).expect("a text can be written to");
    }
    let data = if body.len() > MOST_IN_LINE { "@body.json".to_owned() } else { quoted(body) };
    write!(command, " \\\n  --data-binary {data}").expect("a text can be written to");
    command
}

/// One word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_body_ends_the_word() {
        let headers = [("host".to_owned(), "a".to_owned()), ("x-key".to_owned(), HIDDEN.to_owned())];
        let command = curl("https://a.example/?x='", &headers, "{\"note\": \"it's $(rm -rf)\"}");
        assert_eq!(
            command,
            "curl -X POST 'https://a.example/?x='\\''' \\\n  -H 'x-key: …' \\\n  --data-binary '{\"note\": \"it'\\''s $(rm -rf)\"}'"
        );
        assert!(curl("https://a.example/", &[], &"x".repeat(MOST_IN_LINE + 1)).ends_with("--data-binary @body.json"));
    }
}
