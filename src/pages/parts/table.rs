//! Lists of deliveries and changes, as several pages show them.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    badge,
    time::{ago, maybe_ago},
};
use crate::{
    domain::time::Timestamp,
    store::{audit, deliveries::Listed},
};

/// Whose deliveries a list has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pages) enum Of {
    /// Several subscriptions': each says whose it is.
    Several,
    /// One's.
    One,
}

/// Deliveries, in the order given.
pub(in crate::pages) fn deliveries(listed: &[Listed], of: Of, now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Delivery" } th scope="col" { "State" } th scope="col" { "Latest" }
                    th.number scope="col" { "Attempts" } th scope="col" { "Accepted" } th scope="col" { "Next attempt" }
                    @if of == Of::Several { th scope="col" { "Subscription" } }
                }
            }
            tbody {
                @for one in listed {
                    tr {
                        th scope="row" {
                            a href={ "/deliveries/" (one.delivery.id) } { (one.event_type) }
                            small { (one.ordering_key.as_deref().unwrap_or_default()) }
                        }
                        td data-label="State" { (badge::of_delivery(one.delivery.state)) }
                        td data-label="Latest" { (badge::of_ending(one.latest)) }
                        td.number data-label="Attempts" { (one.delivery.attempts) }
                        td data-label="Accepted" { (ago(one.accepted_at, now)) }
                        td data-label="Next attempt" { (next(one, now)) }
                        @if of == Of::Several { td data-label="Subscription" { a href={ "/subscriptions/" (one.delivery.subscription) } { "#" (one.delivery.subscription) } } }
                    }
                }
            }
        }
    }
}

/// When a delivery is attempted next.
pub(in crate::pages) fn next(one: &Listed, now: Timestamp) -> Markup {
    if one.delivery.state.is_settled() {
        return html! { span.soft { "–" } };
    }
    match one.delivery.due_at {
        Some(due_at) if due_at > now => ago(due_at, now),
        Some(_) => html! { "due" },
        None => maybe_ago(None, now),
    }
}

/// Changes, in the order given.
pub(in crate::pages) fn changes(listed: &[audit::Listed], now: Timestamp) -> Markup {
    html! {
        @if listed.is_empty() { p.empty { "Nothing was changed." } } @else {
            table.cards {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "From" } th scope="col" { "To" } } }
                tbody {
                    @for entry in listed {
                        tr {
                            td data-label="When" { (ago(entry.changed_at, now)) }
                            td data-label="Who" { (entry.author.name) }
                            td data-label="What" { (entry.action) small { (subject(&entry.subject)) } }
                            td.wide data-label="From" { (told(entry.was.as_ref())) }
                            td.wide data-label="To" { (told(entry.became.as_ref())) }
                        }
                    }
                }
            }
        }
    }
}

/// What was changed, with the way to it where it has a page.
fn subject(text: &str) -> Markup {
    let (kind, id) = text.split_once(':').unwrap_or((text, ""));
    let pages = match kind {
        "subscription" => "/subscriptions/",
        "delivery" => "/deliveries/",
        "event" => "/events/",
        _ => return html! { (text) },
    };
    html! { (kind) " " a href={ (pages) (id) } { (id) } }
}

/// So many fields of a change are shown at once.
const FEW: usize = 4;

fn fields(members: &Map<String, Value>) -> Markup {
    html! { @for (name, value) in members { div.wrap { span.soft { (name) ": " } code { (value) } } } }
}

fn told(value: Option<&Value>) -> Markup {
    match value {
        // What is new has many.
        Some(Value::Object(members)) if members.len() > FEW => html! {
            details { summary { (members.len()) " fields" } (fields(members)) }
        },
        Some(Value::Object(members)) if !members.is_empty() => fields(members),
        Some(
            Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::String(_) | Value::Null,
        )
        | None => {
            html! { span.soft { "–" } }
        }
    }
}
