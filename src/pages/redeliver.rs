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
    form::Form,
    layout::{Section, shell},
    orders::{answer, caller},
    parts::{
        badge::{Tone, badge},
        field::csrf,
        figure::counted,
        table,
    },
    query::cleaned,
    session::{Posted, Visitor},
};
use crate::{
    domain::id::DeliveryId,
    http::{State, deliveries, problem::Problem},
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
    let found = found(&state, &visitor, &query, Some(MOST)).await?;
    let (count, now) = (counted(found.found.len() as u64, found.next.is_none()), state.clock.now());
    let subscription = Form::read(query.as_bytes()).text("subscription").map(str::to_owned);
    let body = html! {
        p.crumbs { a href={ "/deliveries?" (query) } { "Deliveries" } }
        h1 { "Redeliver " (count) }
        @if found.found.is_empty() { p.empty { "The filter means none." } } @else {
            p {
                "Each is attempted once more now, whatever its state. What its retry policy still owes stays owed, and when."
                @if found.next.is_some() { " One order takes the newest " (found.found.len()) "." }
            }
            p {
                "To have many attempted again by their retry policy, "
                a href={ "/replays" @if let Some(id) = &subscription { "?subscription=" (id) } } { "order a replay" } "."
            }
            form method="post" action="/deliveries/redeliver" {
                (csrf(&visitor))
                @for one in &found.found { input type="hidden" name="delivery" value=(one.delivery.id); }
                div.actions { button.primary type="submit" { "Attempt " (found.found.len()) " now" } a.button href={ "/deliveries?" (query) } { "Leave it" } }
            }
            section.panel aria-label="Deliveries" {
                (table::deliveries(&found.found[..found.found.len().min(SHOWN)], table::Of::Several, now))
                @if found.found.len() > SHOWN { p.soft { "And " (found.found.len() - SHOWN) " more." } }
            }
        }
    };
    Ok(page(StatusCode::OK, shell(&visitor, Section::Deliveries, "Redeliver", body)))
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
