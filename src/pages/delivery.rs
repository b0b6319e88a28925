//! `/deliveries/{id}`: one delivery: why it is what it is, what was attempted and what is planned, and what can be ordered.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};

use super::{
    answer::{Refusal, page},
    delivery_request,
    form::Filled,
    layout::{Section, shell},
    parts::{
        badge,
        field::{Field, alert, csrf},
        time::{ago, exact, millis, span},
    },
    session::Visitor,
    way::way,
};
use crate::{
    domain::{
        attempt::{Attempt, Outcome},
        delivery::State as DeliveryState,
        id::DeliveryId,
        intervention::Intervention,
        owner::Scope,
        subscription::Subscription,
        time::Timestamp,
    },
    http::{
        State,
        deliveries::find,
        live::{Told, told},
        subscriptions::shown,
    },
    store::{
        Lane,
        deliveries::{Ending, Listed},
        events::{self, Whole},
        interventions::intervention_in,
        subscriptions,
    },
};

/// Attempts that are shown as planned.
const PLANNED: usize = 6;
/// How much of a payload or an answer is shown, in bytes.
pub(super) const SHOWN: usize = 16 * 1024;

/// The page.
pub(super) async fn show(state: Data<State>, visitor: Visitor, id: Path<DeliveryId>) -> Result<HttpResponse, Refusal> {
    render(&state, &visitor, id.into_inner(), StatusCode::OK, &Filled::default()).await
}

/// The page as it is now, with what is wrong with an order.
pub(super) async fn render(
    state: &State,
    visitor: &Visitor,
    id: DeliveryId,
    status: StatusCode,
    filled: &Filled,
) -> Result<HttpResponse, Refusal> {
    let (listed, attempts) = find(state, &visitor.owner, id).await?;
    let told = told(state, &listed, &attempts).await?;
    let (keys, of, event) = (state.store.keys(), listed.delivery.subscription, listed.delivery.event);
    let work = move |connection: &mut _| {
        let subscription = subscriptions::get(connection, &keys, Scope::All, of)?;
        Ok((subscription, events::get(connection, event)?, intervention_in(connection, id)?))
    };
    let (subscription, event, intervention) = state.store.run(Lane::Read, work).await?;
    let now = state.clock.now();
    let body = html! {
        p.crumbs { a href="/deliveries" { "Deliveries" } " / " (id) }
        div.head {
            div {
                h1 {
                    (listed.event_type)
                    @if let Some(subscription) = &subscription { " " span.soft { "to " (shown(&subscription.terms.target_url)) } }
                }
                p { (badge::of_delivery(listed.delivery.state)) " " (badge::of_ending(listed.latest)) }
            }
        }
        (why(&told, intervention.as_ref(), now))
        (orders(visitor, &listed, filled))
        div.columns {
            section.panel aria-labelledby="attempts" {
                h2 id="attempts" { "Attempts" }
                (timeline(&listed, &attempts, subscription.as_ref(), now))
            }
            section.panel aria-labelledby="facts" {
                h2 id="facts" { "What is delivered" }
                (facts(&listed, event.as_ref(), now))
            }
        }
        @if let (Some(subscription), Some(event)) = (&subscription, &event) {
            (delivery_request::panels(&listed, attempts.last(), subscription, event, now))
        }
    };
    let title = format!("Delivery {id}");
    Ok(page(status, shell(visitor, Section::Deliveries, &title, body)))
}

fn why(told: &Told, intervention: Option<&Intervention>, now: Timestamp) -> Markup {
    html! {
        section.panel aria-label="Why it is what it is" {
            @if let Some(explanation) = &told.explanation {
                p { strong { (explanation.why) } @if let Some(next) = &explanation.next { " Next: " (next.what) } }
            }
            @if let Some(waits_for) = &told.waits_for {
                p { "It waits for " a href={ "/deliveries/" (waits_for.delivery) } { "delivery " (waits_for.delivery) } ", which comes first." }
            }
            @if let Some(Intervention { decision, by, reason, at }) = intervention {
                p.soft { (by) " decided " (ago(*at, now)) ": " (decision.as_str()) @if let Some(reason) = reason { ", because: " (reason) } }
            }
        }
    }
}

/// What can be ordered in this state.
fn orders(visitor: &Visitor, listed: &Listed, filled: &Filled) -> Markup {
    let state = listed.delivery.state;
    let is_pending = state == DeliveryState::Pending;
    let is_aside = state == DeliveryState::SetAside;
    html! {
        section.panel aria-label="Orders" {
            (alert(filled))
            form method="post" action={ "/deliveries/" (listed.delivery.id) } {
                (csrf(visitor))
                @if is_pending || is_aside { div.stack { (Field::new("reason", "Reason").hint("For skipping or setting aside.").render(filled, "")) } }
                div.actions {
                    button.primary type="submit" name="do" value="redeliver" { "Attempt it now" }
                    @if is_aside { button type="submit" name="do" value="release" { "Release" } }
                    @if is_pending { button type="submit" name="do" value="set-aside" { "Set aside" } }
                    @if is_pending || is_aside {
                        button type="submit" name="do" value="skip" { "Skip" }
                        button.danger type="submit" name="do" value="cancel" data-confirm="Call this delivery off? It is attempted no more." { "Cancel" }
                    }
                }
            }
        }
    }
}

fn facts(listed: &Listed, event: Option<&Whole>, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            dt { "Event" } dd { a href={ "/events/" (listed.delivery.event) } { (listed.delivery.event) } }
            dt { "Accepted" } dd { (exact(listed.accepted_at)) " " span.soft { (ago(listed.accepted_at, now)) } }
            dt { "Ordering key" } dd { @if let Some(key) = &listed.ordering_key { code { (key) } } @else { "none" } }
            dt { "Subscription" } dd { a href={ "/subscriptions/" (listed.delivery.subscription) } { "#" (listed.delivery.subscription) } }
            dt { "webhook-id" } dd { code { (crate::domain::event::wire_uuid(listed.delivery.id)) } }
            @if let Some(at) = listed.delivery.course.replayed_at { dt { "Replayed" } dd { (exact(at)) } }
        }
        @if let Some(event) = event { h3 { "Payload" } (payload(event)) }
    }
}

/// The publisher's bytes.
pub(super) fn payload(event: &Whole) -> Markup {
    if event.payload.is_empty() {
        return html! { p.empty { "It was erased" @if let Some(at) = event.payload_erased_at { ", " (exact(at)) } "." } };
    }
    excerpt(&event.payload)
}

/// As much of a text as is shown.
pub(super) fn excerpt(bytes: &[u8]) -> Markup {
    let text = String::from_utf8_lossy(bytes);
    let end = text.floor_char_boundary(SHOWN);
    html! {
        pre tabindex="0" { (text[..end]) }
        @if end < text.len() { p.soft { "The first " (end) " of " (text.len()) " bytes." } }
    }
}

fn timeline(listed: &Listed, attempts: &[Attempt], subscription: Option<&Subscription>, now: Timestamp) -> Markup {
    let planned = subscription.into_iter().flat_map(|one| listed.delivery.planned(&one.terms.retry, now).take(PLANNED));
    let planned: Vec<_> = planned.collect();
    html! {
        @if attempts.is_empty() && planned.is_empty() { p.empty { "There was none." } }
        ol.line {
            @for attempt in attempts { (made(attempt, now)) }
            @for (number, at) in &planned {
                li.planned {
                    h3 { "Attempt " (number) " " span.soft { "planned" } }
                    p.soft { @if *at <= now { "due" } @else { (ago(*at, now)) ", " (exact(*at)) } }
                }
            }
        }
        @if planned.len() == PLANNED { p.soft { "And further ones, as its retry policy says." } }
    }
}

fn made(attempt: &Attempt, now: Timestamp) -> Markup {
    let class = if attempt.outcome.is_success() { "good" } else { "bad" };
    html! {
        li class=(class) {
            h3 { "Attempt " (attempt.number) " " (badge::of_ending(Ending::of(attempt))) span.soft { (millis(attempt.duration)) } }
            p.soft { (exact(attempt.started_at)) ", " (ago(attempt.started_at, now)) }
            @match &attempt.outcome {
                Outcome::Answered(answer) => {
                    @if let Some(wait) = answer.retry_after { p { "It asks to wait for " (span(wait)) "." } }
                    @if answer.body.is_empty() { p.soft { "The answer has no body." } } @else {
                        details {
                            summary { "Answer" @if let Some(media) = &answer.content_type { ", " (media) } }
                            (excerpt(&answer.body))
                        }
                    }
                }
                Outcome::Failed(failure) => { p { (failure.message) } }
                Outcome::NotAttempted => { p { "It was put off." } }
            }
            (way(attempt))
        }
    }
}
