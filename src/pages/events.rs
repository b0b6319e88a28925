//! `/events`: what was published. Publishers see their own, admins everything.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use maud::{Markup, html};

use super::{
    answer::{Refusal, page},
    form::{Filled, Form},
    layout::{Section, shell},
    parts::{
        field::{Field, alert},
        figure::number,
        time::ago,
    },
    query::{cleaned, read, with},
    session::Visitor,
    subscriptions::names,
};
use crate::{
    domain::owner::Role,
    http::{
        State,
        published::{FilterQuery, listed},
    },
    store::events::Page,
};

/// The page.
pub(super) async fn list(request: HttpRequest, state: Data<State>, visitor: Visitor) -> Result<HttpResponse, Refusal> {
    let (form, query) = (Form::read(request.query_string().as_bytes()), cleaned(request.query_string()));
    let asked = match read::<FilterQuery>(&query) {
        Ok(filter) => listed(&state, &visitor.owner, &filter).await,
        Err(problem) => Err(problem),
    };
    let (status, found, filled) = match asked {
        Ok(page) => (StatusCode::OK, page, Filled::with(form)),
        Err(problem) if problem.status().is_client_error() && problem.status() != StatusCode::FORBIDDEN => {
            (problem.status(), Page { found: Vec::new(), next: None }, Filled::refused(form, problem))
        }
        Err(problem) => return Err(problem.into()),
    };
    let publishers = names(&state, found.found.iter().map(|event| event.publisher).collect()).await?;
    let (now, is_first) = (state.clock.now(), filled.value("before", "").is_empty());
    let body = html! {
        div.head { h1 { "Events" } }
        (filters(&visitor, &filled))
        section.panel id="live" data-live=[(is_first && !filled.is_refused()).then_some("5")] aria-label="Events" {
            @if found.found.is_empty() { p.empty { (if filled.is_refused() { "The filter has to be put right first." } else if found.next.is_some() { "None among the newest; older ones may be." } else { "There are none." }) } }
            @else {
                table.cards {
                    thead { tr { th scope="col" { "Event" } th scope="col" { "Ordering key" } th scope="col" { "Publisher" } th scope="col" { "Accepted" } th.number scope="col" { "Deliveries" } } }
                    tbody {
                        @for event in &found.found {
                            tr {
                                th scope="row" { a href={ "/events/" (event.id) } { (event.event_type) } }
                                td.wrap data-label="Ordering key" { (event.ordering_key.as_deref().unwrap_or("–")) }
                                td.wrap data-label="Publisher" { (publishers.get(&event.publisher).map(String::as_str).unwrap_or_default()) }
                                td data-label="Accepted" { (ago(event.accepted_at, now)) }
                                td.number data-label="Deliveries" { (number(event.deliveries.into())) }
                            }
                        }
                    }
                }
            }
        }
        nav.pager aria-label="Pages of the list" {
            @if !is_first { a href="/events" { "The newest" } }
            @if let Some(next) = found.next { a href={ "/events?" (with(&query, "before", &next.to_string())) } { "Older ones" } }
        }
    };
    Ok(page(status, shell(&visitor, Section::Events, "Events", body)))
}

fn filters(visitor: &Visitor, filled: &Filled) -> Markup {
    let line = |name, label| Field::new(name, label).render(filled, "");
    html! {
        form.filter.panel method="get" action="/events" role="search" aria-label="Events" data-filter {
            (alert(filled))
            div.grid {
                (line("event_type", "Event type"))
                (line("ordering_key", "Ordering key"))
                @if visitor.owner.role == Role::Admin { (line("publisher", "Publisher")) }
                (Field::new("idempotency_key", "Idempotency key").render(filled, ""))
                (Field::new("from", "From (UTC)").kind("datetime-local").render(filled, ""))
                (Field::new("to", "To (UTC)").kind("datetime-local").render(filled, ""))
            }
            div.actions { button.primary type="submit" { "Filter" } a href="/events" { "Clear" } }
        }
    }
}
