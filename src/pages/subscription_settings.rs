//! How a subscription is set, and the forms that stand on its page: pause and resume, a new secret, the end.

use maud::{Markup, html};

use super::{
    form::Filled,
    parts::{
        field::{Field, alert, csrf},
        retries,
        time::{ago, exact, span},
    },
    rows::Row,
    session::Visitor,
    subscription::Aftermath,
};
use crate::{
    domain::{
        hold::{Hold, HoldMode},
        subscription::Subscription,
        time::Timestamp,
    },
    http::subscriptions::{notice, shown},
};

/// The pause that holds, with a way out of it, or the form for one.
pub(super) fn holding(visitor: &Visitor, subscription: &Subscription, after: &Aftermath, now: Timestamp) -> Markup {
    match subscription.hold_at(now) {
        _ if !subscription.terms.is_active => html! {
            section.panel aria-label="State" { p { "It is inactive: events are not matched, and what it was owed was cancelled. Change it to make it active again." } }
        },
        Some(hold) => paused(visitor, subscription, hold, &after.filled("resume"), now),
        None => html! {},
    }
}

fn paused(visitor: &Visitor, subscription: &Subscription, hold: &Hold, filled: &Filled, now: Timestamp) -> Markup {
    let pace = Field::number("per_second", "At most so many attempts a second")
        .hint("Until what is owed now has had its turn; empty for as fast as it can.");
    let skip = Field::new("skip_older_than", "Cancel what was accepted before (UTC)")
        .kind("datetime-local")
        .hint("Empty to deliver everything.");
    html! {
        section.panel aria-labelledby="hold" {
            h2 id="hold" { "Paused" }
            p {
                "By " strong { (hold.by) } ", " (ago(hold.since, now)) ", "
                @if let Some(until) = hold.until { "until " (exact(until)) } @else { "until somebody resumes it" }
                @if let Some(reason) = &hold.reason { ": " (reason) } @else { "." }
            }
            @if let Some(notice) = notice(hold.mode) { p.alert { (notice) } }
            details open[filled.is_refused()] {
                summary { "Resume with a pace, or without what is too old" }
                form.stack method="post" action={ "/subscriptions/" (subscription.id) } {
                    (csrf(visitor)) (alert(filled)) (pace.render(filled, "")) (skip.render(filled, ""))
                    button.primary type="submit" name="do" value="resume" { "Resume" }
                }
            }
        }
    }
}

/// The settings, and what can be ordered.
pub(super) fn settings(visitor: &Visitor, row: &Row, after: &Aftermath, now: Timestamp) -> Markup {
    let subscription = &row.subscription;
    html! {
        div.columns {
            section.panel aria-labelledby="settings" {
                h2 id="settings" { "Settings" }
                (facts(subscription))
                p { a href={ "/subscriptions/" (subscription.id) "/edit" } { "Change them" } }
            }
            section.panel aria-labelledby="retries" {
                h2 id="retries" { "Retries" }
                p { (retries::sentence(&subscription.terms.retry)) }
                (retries::timeline(&subscription.terms.retry))
            }
        }
        section.panel aria-labelledby="orders" {
            h2 id="orders" { "Orders" }
            @if subscription.terms.is_active && subscription.hold_at(now).is_none() { (pause(visitor, subscription, &after.filled("pause"))) }
            (rotation(visitor, subscription, &after.filled("rotate"), now))
            @if subscription.terms.is_active { (end(visitor, subscription)) }
        }
    }
}

fn facts(subscription: &Subscription) -> Markup {
    let terms = &subscription.terms;
    let names: Vec<&str> = terms.additional_headers.iter().map(|(name, _)| name).collect();
    html! {
        dl.facts {
            dt { "Event type" } dd { (terms.event_type) }
            dt { "Endpoint" } dd { code { (shown(&terms.target_url)) } }
            dt { "Signed" } dd { (if terms.signing_secret().is_some() { "yes" } else { "no" }) }
            dt { "Time-out" } dd { (span(terms.config.timeout())) }
            dt { "Basic auth" } dd { @if let Some(auth) = terms.config.basic_auth() { "as " (auth.username) } @else { "none" } }
            dt { "Headers" } dd { @if names.is_empty() { "none of its own" } @else { code { (names.join(", ")) } } }
            dt { "In flight" } dd { (terms.flow.max_in_flight) " at most" }
            dt { "Order" } dd { (terms.flow.ordering.as_str()) }
            dt { "Rate" } dd { @if let Some(rate) = terms.flow.rate { (rate.per_second) " a second, " (rate.burst) " at once" } @else { "no limit" } }
            @if let Some(ramp) = subscription.ramp { dt { "Catching up" } dd { (ramp.per_second) " a second" } }
            dt { "Greatest age" } dd { @if let Some(age) = terms.flow.max_age { (span(age)) } @else { "as long as the retries last" } }
            dt { "Made" } dd { (exact(subscription.created_at)) }
        }
    }
}

fn pause(visitor: &Visitor, subscription: &Subscription, filled: &Filled) -> Markup {
    let modes = [
        (HoldMode::Keep.as_str(), "Hold: what comes meanwhile is owed"),
        (HoldMode::Drop.as_str(), "Drop: what comes meanwhile is lost for it"),
    ];
    html! {
        details open[filled.is_refused()] {
            summary { "Pause" }
            form.stack method="post" action={ "/subscriptions/" (subscription.id) } {
                (csrf(visitor)) (alert(filled))
                (Field::new("reason", "Reason").hint("For whoever finds it paused.").render(filled, ""))
                (Field::new("until", "Until (UTC)").kind("datetime-local").hint("Empty until somebody resumes it.").render(filled, ""))
                (Field::new("mode", "Events meanwhile").choice(filled, HoldMode::Keep.as_str(), &modes))
                button.primary type="submit" name="do" value="pause" { "Pause" }
            }
        }
    }
}

fn rotation(visitor: &Visitor, subscription: &Subscription, filled: &Filled, now: Timestamp) -> Markup {
    let retiring: Vec<_> = subscription.terms.retiring.iter().filter(|retiring| now < retiring.until).collect();
    html! {
        details open[filled.is_refused()] {
            summary { "New secret" }
            form.stack method="post" action={ "/subscriptions/" (subscription.id) } {
                (csrf(visitor)) (alert(filled))
                @for retiring in &retiring { p.soft { "A former secret signs beside the present one, until " (exact(retiring.until)) "." } }
                (Field::new("secret", "Secret").secret().hint("Empty to have one made, which is shown once.").render(filled, ""))
                (Field::number("overlap_seconds", "Seconds for which the present one signs beside it").hint("A day by default; 0 for a secret that leaked.").render(filled, ""))
                button.primary type="submit" name="do" value="rotate" { "Replace the secret" }
            }
        }
    }
}

fn end(visitor: &Visitor, subscription: &Subscription) -> Markup {
    html! {
        details {
            summary { "End" }
            form.stack method="post" action={ "/subscriptions/" (subscription.id) } data-confirm="End this subscription? What it is owed is cancelled." {
                (csrf(visitor))
                p { "It gets nothing any more, and what it is owed is cancelled. It stays listed, with what it was sent." }
                button.danger type="submit" name="do" value="end" { "End the subscription" }
            }
        }
    }
}
