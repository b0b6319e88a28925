//! `/subscriptions`: what stands, and how each is doing.

use std::collections::HashMap;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    answer::{Refusal, page},
    layout::{Section, shell},
    overview::link_to,
    parts::{
        badge::{self, Tone},
        chart,
        field::csrf,
        figure::{counted, percent},
        time::{ago, millis, span},
    },
    rows::{Row, rows},
    session::Visitor,
};
use crate::{
    domain::{
        attempt::Attempt,
        id::{OwnerId, SubscriptionId},
        subscription::Subscription,
        time::Timestamp,
    },
    http::State,
    store::{Lane, deliveries::Ending, owners, subscriptions},
};

/// Subscriptions on a page.
const PAGE: i64 = 25;

/// Which page.
#[derive(Deserialize)]
pub(super) struct After {
    after: Option<SubscriptionId>,
}

/// The page.
pub(super) async fn list(state: Data<State>, visitor: Visitor, query: Query<After>) -> Result<HttpResponse, Refusal> {
    let (scope, after, keys) =
        (visitor.scope(), query.after.unwrap_or(SubscriptionId::from_raw(0)), state.store.keys());
    let work = move |connection: &mut _| subscriptions::page(connection, &keys, scope, after, PAGE);
    let page_of = state.store.run(Lane::Read, work).await?;
    let is_full = i64::try_from(page_of.len()).is_ok_and(|found| found == PAGE);
    let next = page_of.last().filter(|_| is_full).map(|last| last.id);
    let owners = if visitor.sees_all() {
        names(&state, page_of.iter().map(|one| one.owner).collect()).await?
    } else {
        HashMap::new()
    };
    let (rows, now) = (rows(&state, page_of).await?, state.clock.now());
    let here = query.after.map_or_else(|| "/subscriptions".to_owned(), |after| format!("/subscriptions?after={after}"));
    let body = html! {
        div.head {
            h1 { "Subscriptions" }
            div.actions { a.button.primary href="/subscriptions/new" { "New subscription" } }
        }
        section.panel id="live" data-live="5" aria-label="Subscriptions" {
            @if rows.is_empty() {
                p.empty { @if query.after.is_some() { "There are no more." } @else { "There are none yet. A subscription says which events go to which endpoint." } }
            } @else { (table(&visitor, &rows, &owners, &here, now)) }
        }
        nav.pager aria-label="Pages of the list" {
            @if query.after.is_some() { a href="/subscriptions" { "From the start" } }
            @if let Some(next) = next { a href={ "/subscriptions?after=" (next) } { "Next page" } }
        }
    };
    Ok(page(StatusCode::OK, shell(&visitor, Section::Subscriptions, "Subscriptions", body)))
}

/// The names of owners. A query for each; a page has few.
pub(super) async fn names(state: &State, mut of: Vec<OwnerId>) -> Result<HashMap<OwnerId, String>, Refusal> {
    of.sort_unstable_by_key(|id| id.as_raw());
    of.dedup();
    let work = move |connection: &mut _| {
        of.iter()
            .map(|id| Ok((*id, owners::get(connection, *id)?.map(|owner| owner.name).unwrap_or_default())))
            .collect()
    };
    Ok(state.store.run(Lane::Read, work).await?)
}

fn table(visitor: &Visitor, rows: &[Row], owners: &HashMap<OwnerId, String>, here: &str, now: Timestamp) -> Markup {
    let shows_owner = visitor.sees_all();
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Subscription" }
                    @if shows_owner { th scope="col" { "Owner" } }
                    th scope="col" { "State" } th scope="col" { "Last hour" } th.number scope="col" { "p95" }
                    th.number scope="col" { "In flight" } th.number scope="col" { "Owed" } th.number scope="col" { "Oldest" }
                    th scope="col" { "Last attempt" } th scope="col" { "Orders" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { (link_to(&row.subscription)) }
                        @if shows_owner { td.wrap data-label="Owner" { (owners.get(&row.subscription.owner).map(String::as_str).unwrap_or_default()) } }
                        td data-label="State" { (states(row, now)) }
                        td data-label="Last hour" {
                            (chart::bars(&row.activity.bars, "spark", "Attempts in the last hour"))
                            small { (percent(row.activity.sum.succeeded, row.activity.sum.attempts()).unwrap_or_else(|| "no attempts".to_owned())) }
                        }
                        td.number data-label="p95" { (row.activity.sum.percentile(0.95).map_or_else(|| "–".to_owned(), millis)) }
                        td.number data-label="In flight" { (in_flight(row)) }
                        td.number data-label="Owed" { (counted(row.backlog.owed, row.backlog.is_exact)) }
                        td.number data-label="Oldest" { (row.backlog.oldest.map_or_else(|| "–".to_owned(), |(_, at)| span(now.since(at)))) }
                        td data-label="Last attempt" { (last_attempt(row.backlog.last_attempt.as_ref(), now)) }
                        td.wide { (orders(visitor, &row.subscription, here, now)) }
                    }
                }
            }
        }
    }
}

/// What can be ordered right here; what came of it is told here, too, but for a test, which has more to tell.
fn orders(visitor: &Visitor, subscription: &Subscription, here: &str, now: Timestamp) -> Markup {
    let id = subscription.id;
    let button = |order: &str, name: &str| {
        html! { button.small type="submit" name="do" value=(order) aria-label={ (name) " subscription " (id) } { (name) } }
    };
    html! {
        form.actions method="post" action={ "/subscriptions/" (id) } {
            (csrf(visitor))
            input type="hidden" name="back" value=(here);
            @match subscription.state(now) {
                "active" => { (button("pause", "Pause")) }
                "paused" => { (button("resume", "Resume")) }
                _ => {}
            }
            (button("test", "Test"))
        }
    }
}

/// What the owner decided, and how the endpoint is doing.
pub(super) fn states(row: &Row, now: Timestamp) -> Markup {
    html! {
        (badge::of_subscription(row.subscription.state(now)))
        @if let Some(open) = row.status.and_then(|status| status.breaker) {
            " " (badge::badge(Tone::Bad, "failing"))
            small.soft { " next probe " (ago(open.probe_at, now)) }
        }
    }
}

/// `3 / 32`.
pub(super) fn in_flight(row: &Row) -> String {
    let now = row.status.map_or(0, |status| status.in_flight);
    format!("{now} / {}", row.subscription.terms.flow.max_in_flight)
}

/// How the last attempt ended, and when.
pub(super) fn last_attempt(attempt: Option<&Attempt>, now: Timestamp) -> Markup {
    let Some(attempt) = attempt else { return html! { span.soft { "–" } } };
    html! { (badge::of_ending(Ending::of(attempt))) small { (ago(attempt.ended_at(), now)) } }
}
