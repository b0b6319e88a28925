//! The part of a subscription's queue that a person may want to change: what waits for a retry and holds its key, and what was
//! set aside.

use maud::{Markup, html};

use super::{
    parts::{badge, field::csrf, table, time::ago},
    session::Visitor,
};
use crate::{
    domain::{ordering::Ordering, subscription::Subscription, time::Timestamp},
    store::deliveries::Listed,
};

/// The panel.
pub(super) fn panel(
    visitor: &Visitor,
    subscription: &Subscription,
    retrying: &[Listed],
    aside: &[Listed],
    now: Timestamp,
) -> Markup {
    let back = format!("/subscriptions/{}#queue", subscription.id);
    let (title, remark) = match subscription.terms.flow.ordering {
        Ordering::None => ("Waiting for a retry", "Nothing waits for these; skipping one gives it up."),
        Ordering::Key => {
            ("Blocked keys", "Deliveries of the same key wait until the first is delivered, dead or out of the way.")
        }
        Ordering::Subscription => {
            ("What blocks the queue", "Everything behind it waits until it is delivered, dead or out of the way.")
        }
    };
    html! {
        section.panel aria-labelledby="queue" {
            h2 id="queue" { (title) }
            @if retrying.is_empty() { p.empty { "Nothing waits for a retry." } } @else {
                p.soft { (remark) }
                (list(visitor, retrying, &back, &[("skip", "Skip"), ("set-aside", "Set aside")], now))
            }
            @if !aside.is_empty() {
                h3 { "Set aside" }
                (list(visitor, aside, &back, &[("release", "Release"), ("skip", "Skip")], now))
            }
        }
    }
}

fn list(visitor: &Visitor, listed: &[Listed], back: &str, orders: &[(&str, &str)], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Key" } th scope="col" { "Delivery" } th scope="col" { "Latest" }
                    th.number scope="col" { "Attempts" } th scope="col" { "Accepted" } th scope="col" { "Next attempt" } th scope="col" { "Orders" }
                }
            }
            tbody {
                @for one in listed {
                    tr {
                        th.wrap scope="row" { (one.ordering_key.as_deref().unwrap_or("none")) }
                        td data-label="Delivery" { a href={ "/deliveries/" (one.delivery.id) } { (one.event_type) } }
                        td data-label="Latest" { (badge::of_ending(one.latest)) }
                        td.number data-label="Attempts" { (one.delivery.attempts) }
                        td data-label="Accepted" { (ago(one.accepted_at, now)) }
                        td data-label="Next attempt" { (table::next(one, now)) }
                        td.wide {
                            form.actions method="post" action={ "/deliveries/" (one.delivery.id) } {
                                (csrf(visitor))
                                input type="hidden" name="back" value=(back);
                                @for (order, name) in orders {
                                    button.small type="submit" name="do" value=(order) aria-label={ (name) " delivery " (one.delivery.id) } { (name) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
