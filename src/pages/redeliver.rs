//! `/deliveries/redeliver`: one more attempt at each of many, once somebody has seen how many those are.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use futures_util::{StreamExt, stream};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    answer::{Refusal, page},
    deliveries::found,
    layout::{Section, shell},
    orders::{answer, caller},
    parts::{
        badge::{Tone, badge},
        field::csrf,
        figure::{counted, number},
        table,
    },
    query::{cleaned, for_replay, with},
    session::{Posted, Visitor},
};
use crate::{
    domain::id::DeliveryId,
    http::{State, deliveries, problem::Problem},
    store::deliveries::list::Page,
};

/// Deliveries that are attempted by one order: what one may wait for.
const MOST: usize = 200;
/// Of these so many are shown first.
const SHOWN: usize = 20;
/// Attempts at once.
const AT_ONCE: usize = 16;

/// How many a filter means, and whether to go on.
pub(super) async fn ask(request: HttpRequest, state: Data<State>, visitor: Visitor) -> Result<HttpResponse, Refusal> {
    let query = cleaned(request.query_string());
    // One more than is taken tells whether there are more.
    let Page { mut found, next } = found(&state, &visitor, &query, Some(MOST + 1)).await?;
    let count = counted(found.len().min(MOST) as u64, next.is_none());
    let rest = if found.len() > MOST { Rest::Certain } else { Rest::Possible };
    found.truncate(MOST);
    let last_taken = found.last().filter(|_| rest == Rest::Certain).map(|one| one.delivery.id);
    let older = next.map(|next| with(&query, "before", &last_taken.unwrap_or(next).to_string()));
    let (taken, now) = (number(found.len() as u64), state.clock.now());
    let body = html! {
        p.crumbs { a href={ "/deliveries?" (query) } { "Deliveries" } }
        h1 { "Redeliver " (count) }
        @if let Some(older) = &older { (told_of_rest(rest, &taken, older)) }
        @if found.is_empty() {
            @if older.is_none() { p.empty { "The filter means none." } }
        } @else {
            p { "Each is attempted once more now, whatever its state. What its retry policy still owes stays owed, and when." }
        }
        (replay(&query))
        @if !found.is_empty() {
            form method="post" action="/deliveries/redeliver" {
                (csrf(&visitor))
                @if let Some(older) = &older { input type="hidden" name="older" value=(older); }
                @for one in &found { input type="hidden" name="delivery" value=(one.delivery.id); }
                div.actions { button.primary type="submit" { "Attempt " (taken) " now" } a.button href={ "/deliveries?" (query) } { "Leave it" } }
            }
            section.panel aria-label="Deliveries" {
                (table::deliveries(&found[..found.len().min(SHOWN)], table::Of::Several, now))
                @if found.len() > SHOWN { p.soft { "And " (found.len() - SHOWN) " more." } }
            }
        }
    };
    Ok(page(StatusCode::OK, shell(&visitor, Section::Deliveries, "Redeliver", body)))
}

/// What is known of those that an order does not take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// There are some.
    Certain,
    /// The walk through the list ended before it was known.
    Possible,
}

fn told_of_rest(rest: Rest, taken: &str, older: &str) -> Markup {
    let on = html! { a href={ "/deliveries/redeliver?" (older) } { "older ones" } };
    html! {
        p.caution {
            @match rest {
                Rest::Certain => {
                    strong { "The filter means more than one order takes." }
                    " This one takes the newest " (taken) ". Afterwards go on with the " (on) "."
                }
                Rest::Possible => {
                    strong { "There may be more." }
                    " Looked at were the newest, of which the filter means " (taken) ". Not looked at yet are " (on) "."
                }
            }
        }
    }
}

/// The way to a replay of what the filter means.
fn replay(query: &str) -> Markup {
    let (order, others) = for_replay(query);
    html! {
        p {
            "To have all of one subscription attempted again by their retry policy, "
            a href={ "/replays?" (order) } { "order a replay" } "."
            @if !others.is_empty() { " This part of the filter would not count there: " (others.join(", ")) "." }
        }
    }
}

/// Attempts those that were counted, and tells what came of each.
pub(super) async fn order(state: Data<State>, posted: Posted) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    let ids: Vec<DeliveryId> =
        form.all("delivery").filter_map(|id| id.parse().ok()).map(DeliveryId::from_raw).take(MOST).collect();
    let attempt = |id: DeliveryId| {
        let order = deliveries::redeliver(state.clone(), caller(&visitor), Path::from(id));
        async move { (id, answer(order.await).await) }
    };
    let outcomes: Vec<(DeliveryId, Result<Value, Problem>)> =
        stream::iter(ids).map(attempt).buffered(AT_ONCE).collect().await;
    let arrived =
        outcomes.iter().filter(|(_, outcome)| outcome.as_ref().is_ok_and(|attempt| attempt["success"] == true));
    let body = html! {
        p.crumbs { a href="/deliveries" { "Deliveries" } }
        h1 { (arrived.count()) " of " (outcomes.len()) " arrived" }
        section.panel aria-label="What came of each" {
            table.cards {
                thead { tr { th scope="col" { "Delivery" } th scope="col" { "Attempt" } th scope="col" { "What came of it" } } }
                tbody {
                    @for (id, outcome) in &outcomes {
                        tr {
                            th scope="row" { a href={ "/deliveries/" (id) } { (id) } }
                            (told(outcome))
                        }
                    }
                }
            }
        }
        @if let Some(older) = form.text("older") {
            p { a.button href={ "/deliveries/redeliver?" (cleaned(older)) } { "Go on with older ones" } }
        }
    };
    Ok(page(StatusCode::OK, shell(&visitor, Section::Deliveries, "Redelivered", body)))
}

fn told(outcome: &Result<Value, Problem>) -> Markup {
    match outcome {
        Ok(attempt) => html! {
            td data-label="Attempt" { (attempt["number"].as_u64().unwrap_or_default()) }
            td data-label="What came of it" {
                @if attempt["success"] == true { (badge(Tone::Good, "arrived")) } @else { (badge(Tone::Bad, "failed")) } " "
                @if let Some(status) = attempt["status"].as_u64() { (status) } @else { (attempt["error"]["message"].as_str().unwrap_or_default()) }
            }
        },
        Err(problem) => html! {
            td data-label="Attempt" { "–" }
            td data-label="What came of it" { (badge(Tone::Warn, "not attempted")) " " (problem.to_string()) }
        },
    }
}
