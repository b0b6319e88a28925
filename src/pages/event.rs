//! `/events/{id}`: one event: its payload, whom it reached, and whom it did not and why.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    answer::{Refusal, page},
    delivery::payload,
    layout::{Section, shell},
    orders::{answer, body, caller},
    overview::link_to,
    parts::{
        badge::{Tone, badge},
        field::csrf,
        figure::number,
        table,
        time::{ago, exact},
    },
    session::{Posted, Visitor},
    subscriptions::names,
};
use crate::{
    domain::{id::EventId, reach::why_not, subscription::Subscription},
    http::{
        State,
        published::{MAX_SHOWN, Which, find, missed, redeliver},
    },
    store::events::Listed,
};

/// The page.
pub(super) async fn show(state: Data<State>, visitor: Visitor, id: Path<EventId>) -> Result<HttpResponse, Refusal> {
    render(&state, &visitor, id.into_inner(), None).await
}

/// Attempts all its deliveries again, and shows what came of each.
pub(super) async fn order(state: Data<State>, posted: Posted, id: Path<EventId>) -> Result<HttpResponse, Refusal> {
    let (id, Posted { visitor, .. }) = (id.into_inner(), posted);
    let order = redeliver(state.clone(), caller(&visitor), Path::from(id), body(Map::new())).await;
    let outcome = answer(order).await?;
    render(&state, &visitor, id, Some(came_of(&outcome))).await
}

async fn render(
    state: &State,
    visitor: &Visitor,
    id: EventId,
    outcome: Option<Markup>,
) -> Result<HttpResponse, Refusal> {
    let found = find(state, &visitor.owner, id, Which::default()).await?;
    let event = &found.event.listed;
    let missed = missed(state, &visitor.owner, event).await?;
    // Who else is there is an admin's business.
    let shown =
        if visitor.sees_all() || event.publisher == visitor.owner.id { vec![event.publisher] } else { Vec::new() };
    let publisher = names(state, shown).await?.remove(&event.publisher);
    let now = state.clock.now();
    let body = html! {
        p.crumbs { @if visitor.owner.role.may_publish() { a href="/events" { "Events" } } @else { "Events" } " / " (id) }
        div.head {
            h1 { (event.event_type) }
            @if !found.reached.is_empty() {
                form.actions method="post" action={ "/events/" (id) } {
                    (csrf(visitor))
                    button type="submit" data-confirm="Attempt all deliveries of this event again now?" { "Redeliver to all" }
                }
            }
        }
        @if let Some(outcome) = outcome { section.panel aria-label="What came of it" { (outcome) } }
        div.columns {
            section.panel aria-labelledby="facts" {
                h2 id="facts" { "What happened" }
                dl.facts {
                    dt { "Accepted" } dd { (exact(event.accepted_at)) " " span.soft { (ago(event.accepted_at, now)) } }
                    @if let Some(publisher) = publisher { dt { "Publisher" } dd { (publisher) } }
                    dt { "Ordering key" } dd { @if let Some(key) = &event.ordering_key { code { (key) } } @else { "none" } }
                    dt { "Uuid" } dd { code { (event.id.uuid()) } }
                    dt { "Owed" } dd { (number(event.deliveries.into())) " deliveries when it was accepted" }
                }
            }
            section.panel aria-labelledby="payload" { h2 id="payload" { "Payload" } (payload(&found.event)) }
        }
        section.panel aria-labelledby="reached" {
            h2 id="reached" { "Who matched" }
            @if found.reached.is_empty() { p.empty { "Nobody, or nobody of yours." } } @else { (table::deliveries(&found.reached, table::Of::Several, now)) }
            @if found.reached_more { p { a href={ "/deliveries?event=" (id) } { "All deliveries of this event" } } }
        }
        (misses(&missed, event))
    };
    let title = format!("Event {id}");
    Ok(page(StatusCode::OK, shell(visitor, Section::Events, &title, body)))
}

fn misses(missed: &[Subscription], event: &Listed) -> Markup {
    html! {
        section.panel aria-labelledby="missed" {
            h2 id="missed" { "Who did not" }
            @if missed.is_empty() { p.empty { "Every subscription of this type has a delivery of it." } } @else {
                table.cards {
                    thead { tr { th scope="col" { "Subscription" } th scope="col" { "Why" } } }
                    tbody {
                        @for one in missed.iter().take(MAX_SHOWN) {
                            tr { th scope="row" { (link_to(one)) } td data-label="Why" { (why_not(one, event.accepted_at).sentence()) } }
                        }
                    }
                }
                @if missed.len() > MAX_SHOWN { p.soft { "And more." } }
            }
        }
    }
}

fn came_of(outcome: &Value) -> Markup {
    let attempts = outcome["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        h2 { "Attempted again" }
        ul {
            @for attempt in attempts {
                li {
                    a href={ "/subscriptions/" (attempt["subscription_id"]) } { "#" (attempt["subscription_id"]) } ": "
                    @if attempt["success"] == true { (badge(Tone::Good, "arrived")) }
                    @else if let Some(detail) = attempt["problem"]["detail"].as_str() { (badge(Tone::Warn, "not attempted")) " " (detail) }
                    @else { (badge(Tone::Bad, "failed")) " " (attempt["error"]["message"].as_str().unwrap_or_default()) }
                }
            }
        }
        @if !outcome["next"].is_null() { p.soft { "There are more than one order takes." } }
    }
}
