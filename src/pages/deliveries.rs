//! `/deliveries`: what became of each event for each subscription, by filters, as it happens.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use maud::{Markup, html};

use super::{
    answer::{Refusal, page, see_other},
    form::{Filled, Form},
    layout::{Section, shell},
    parts::{
        field::{Field, alert},
        table,
    },
    query::{cleaned, read, with},
    session::Visitor,
};
use crate::{
    domain::{attempt::FailureClass, delivery::State as DeliveryState, id::DeliveryId},
    http::{State, delivery_filter::FilterQuery, problem::Problem},
    store::{
        Lane,
        deliveries::list::{self as lists, Filter, Page},
        events,
    },
};

/// The page.
pub(super) async fn list(request: HttpRequest, state: Data<State>, visitor: Visitor) -> Result<HttpResponse, Refusal> {
    let form = Form::read(request.query_string().as_bytes());
    if let Some(id) = form.text("id").and_then(named) {
        return Ok(see_other(&format!("/deliveries/{id}")));
    }
    let query = cleaned(request.query_string());
    let (status, found, filled) = match found(&state, &visitor, &query, None).await {
        Ok(page) => (StatusCode::OK, page, Filled::with(form)),
        Err(problem) if problem.status().is_client_error() => {
            let nothing = Page { found: Vec::new(), next: None };
            (problem.status(), nothing, Filled::refused(form, problem))
        }
        Err(problem) => return Err(problem.into()),
    };
    let now = state.clock.now();
    let is_newest = filled.value("before", "").is_empty();
    let is_live = is_newest && !filled.is_refused();
    let body = html! {
        div.head {
            h1 { "Deliveries" }
            div.actions {
                @if is_live { button type="button" data-still aria-pressed="true" hidden { "Live: on" } }
                @if !filled.is_refused() { a.button href={ "/deliveries/redeliver?" (query) } { "Redeliver these" } }
            }
        }
        (filters(&filled))
        section.panel id="live" data-live=[is_live.then_some("3")] aria-label="Deliveries" {
            @if !found.found.is_empty() { (table::deliveries(&found.found, table::Of::Several, now)) }
            @else if filled.is_refused() { p.empty { "The filter has to be put right first." } }
            @else if found.next.is_some() { p.empty { "None among the newest; older ones may be." } }
            @else { p.empty { "There are none." } }
        }
        nav.pager aria-label="Pages of the list" {
            @if !is_newest { a href={ "/deliveries?" (without_before(&query)) } { "The newest" } }
            @if let Some(next) = found.next { a href={ "/deliveries?" (with(&query, "before", &next.to_string())) } { "Older ones" } }
        }
    };
    Ok(page(status, shell(&visitor, Section::Deliveries, "Deliveries", body)))
}

fn without_before(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.starts_with("before="));
    pairs.collect::<Vec<_>>().join("&")
}

/// A delivery by its id, or by the uuid that its receiver sees.
fn named(text: &str) -> Option<DeliveryId> {
    let number = text.parse().ok().filter(|id| *id > 0).map(DeliveryId::from_raw);
    number.or_else(|| text.parse().ok().and_then(DeliveryId::from_uuid))
}

/// The deliveries that a cleaned query means, at most `limit` or as many as it says.
pub(super) async fn found(
    state: &State,
    visitor: &Visitor,
    query: &str,
    limit: Option<usize>,
) -> Result<Page, Problem> {
    let query: FilterQuery = read(query)?;
    let mut filter: Filter = query.filter(visitor.scope())?;
    filter.limit = limit.unwrap_or(filter.limit);
    let event = query.event();
    let work = move |connection: &mut _| {
        if let Some(id) = event {
            // Without the event there is none of its deliveries either.
            filter.event = Some((id, events::get(connection, id)?.map_or(0, |event| event.listed.deliveries)));
        }
        lists::list(connection, &filter)
    };
    Ok(state.store.run(Lane::Read, work).await?)
}

fn filters(filled: &Filled) -> Markup {
    let states: Vec<(&str, &str)> =
        [("", "Any")].into_iter().chain(DeliveryState::ALL.map(|state| (state.as_str(), state.as_str()))).collect();
    let errors: Vec<(&str, &str)> =
        [("", "Any")].into_iter().chain(FailureClass::ALL.map(|class| (class.as_str(), class.as_str()))).collect();
    let line = |name, label| Field::new(name, label).render(filled, "");
    html! {
        form.filter.panel method="get" action="/deliveries" role="search" aria-label="Deliveries" data-filter {
            (alert(filled))
            div.grid {
                (Field::new("state", "State").choice(filled, "", &states))
                (Field::number("subscription", "Subscription").render(filled, ""))
                (line("event_type", "Event type"))
                (line("ordering_key", "Ordering key"))
                (line("host", "Host"))
                (line("status", "Status (503, 5xx)"))
                (Field::new("error", "Error").choice(filled, "", &errors))
                (Field::new("from", "From (UTC)").kind("datetime-local").render(filled, ""))
                (Field::new("to", "To (UTC)").kind("datetime-local").render(filled, ""))
                (Field::number("event", "Event").render(filled, ""))
                (line("id", "Id or webhook-id"))
            }
            div.actions { button.primary type="submit" { "Filter" } a href="/deliveries" { "Clear" } }
        }
    }
}
