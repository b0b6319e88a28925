//! `/playground/bins/{id}`: what came into one bin, and what a subscription would send to it.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};

use super::{
    Pages,
    answer::{Refusal, encoded, page, see_other},
    bins::{Bin, Received, STATUSES},
    delivery::excerpt,
    delivery_request::visible,
    form::{Filled, Form},
    layout::{Section, shell},
    parts::{
        field::{Field, alert, csrf},
        figure::number,
        time::ago,
    },
    session::{Posted, Visitor},
    told::telling,
};
use crate::{
    domain::{
        endpoint::Endpoint,
        id::{DeliveryId, SubscriptionId},
        time::Timestamp,
    },
    egress::Template,
    http::{State, address::refused_address, problem::Problem, subscriptions::find, trials::sample},
};

fn missing() -> Problem {
    Problem::not_found("There is no bin of yours with this name. Bins are gone when the engine stops.")
}

/// The page.
pub(super) async fn show(
    request: HttpRequest,
    state: Data<State>,
    pages: Data<Pages>,
    visitor: Visitor,
    name: Path<String>,
) -> Result<HttpResponse, Refusal> {
    render(&request, &state, &pages, &visitor, &name, StatusCode::OK, &Filled::default()).await
}

/// Fills the bin, changes what it answers with, or takes it away, as `do` says.
pub(super) async fn order(
    request: HttpRequest,
    state: Data<State>,
    pages: Data<Pages>,
    posted: Posted,
    name: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    let owner = visitor.owner.id;
    pages.bins.get(owner, &name).ok_or_else(missing)?;
    let here = format!("/playground/bins/{}", encoded(&name));
    match form.raw("do").unwrap_or_default() {
        "answer" => {
            let status = form.text("status").and_then(|status| status.parse().ok());
            pages.bins.answer_with(owner, &name, status.filter(|status| STATUSES.contains(status)).unwrap_or(200));
            Ok(see_other(&telling(&here, "bin-changed")))
        }
        "remove" => {
            pages.bins.remove(owner, &name);
            Ok(see_other(&telling("/playground", "removed")))
        }
        _ => match would_send(&state, &visitor, &form).await {
            Ok(sent) => {
                pages.bins.put(&name, sent).ok_or_else(missing)?;
                Ok(see_other(&telling(&here, "filled")))
            }
            Err(problem) => {
                let (status, filled) =
                    (problem.status(), Filled::with(form).fault("subscription", problem.to_string()));
                render(&request, &state, &pages, &visitor, &name, status, &filled).await
            }
        },
    }
}

/// The trial of a subscription of the visitor's, without sending it: no address is dialled, so that the bin shows it wherever
/// webhooks may go.
async fn would_send(state: &State, visitor: &Visitor, form: &Form) -> Result<Received, Problem> {
    let id = form.text("subscription").and_then(|id| id.parse().ok()).map(SubscriptionId::from_raw);
    let id = id.ok_or_else(|| Problem::invalid("Name a subscription by its number."))?;
    let subscription = find(state, &visitor.owner, id).await?;
    let now = state.clock.now();
    let template = Template::new(&subscription.terms).map_err(|failure| Problem::invalid(failure.message))?;
    let event = sample(state, &subscription.terms.event_type, now);
    let request = template.trial(DeliveryId::of_no_delivery(rand::random()), &event, now);
    Ok(Received {
        at: now,
        method: format!("what subscription #{id} would POST"),
        headers: visible(request.headers(), &subscription),
        body: request.body().clone(),
        length: request.body().len(),
    })
}

async fn render(
    request: &HttpRequest,
    state: &State,
    pages: &Pages,
    visitor: &Visitor,
    name: &str,
    status: StatusCode,
    filled: &Filled,
) -> Result<HttpResponse, Refusal> {
    let bin = pages.bins.get(visitor.owner.id, name).ok_or_else(missing)?;
    let url = {
        let seen = request.connection_info();
        format!("{}://{}/bin/{name}", seen.scheme(), seen.host())
    };
    let refusal = match Endpoint::parse(&url) {
        Ok(endpoint) => refused_address(state, &endpoint).await,
        Err(error) => Some(error.to_string()),
    };
    let now = state.clock.now();
    let body = html! {
        p.crumbs { a href="/playground" { "Playground" } " / bin" }
        div.head {
            h1 { "Request bin" }
            div.actions {
                @if refusal.is_none() { a.button.primary href={ "/subscriptions/new?endpoint=" (encoded(&url)) } { "Subscribe it" } }
                form method="post" { (csrf(visitor)) button.danger type="submit" name="do" value="remove" { "Remove" } }
            }
        }
        (address(&url, refusal.as_deref()))
        div.columns { (settings(visitor, &bin, filled)) (filling(visitor, filled)) }
        section.panel id="live" data-live="2" aria-labelledby="received" {
            h2 id="received" { "What came" }
            @if bin.received.is_empty() { p.empty { "Nothing yet." } }
            @for received in &bin.received { (one(received, now)) }
        }
    };
    Ok(page(status, shell(visitor, Section::Playground, "Request bin", body)))
}

fn address(url: &str, refusal: Option<&str>) -> Markup {
    html! {
        section.panel aria-label="Address" {
            p { "Whatever is sent to this address is shown here:" }
            pre id="url" { (url) }
            button type="button" data-copy="url" hidden { "Copy" }
            @if let Some(refusal) = refusal {
                p { strong { "Webhooks do not go there: " } (refusal) "." }
                p.soft {
                    "The engine dials no private address. Open its network with " code { "POSTRIDER_EGRESS_ALLOW" }
                    ", reach these pages by a public name, or look at what a subscription would send, below: that needs no way."
                }
            } @else { p.soft { "Webhooks may go there: a subscription can have it as its endpoint." } }
        }
    }
}

fn settings(visitor: &Visitor, bin: &Bin, filled: &Filled) -> Markup {
    let names = STATUSES.map(|status| status.to_string());
    let options: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    html! {
        section.panel aria-labelledby="answers" {
            h2 id="answers" { "What it answers" }
            form method="post" {
                (csrf(visitor))
                (Field::new("status", "Status").hint("To see what follows from a failure.").choice(filled, &bin.status.to_string(), &options))
                button type="submit" name="do" value="answer" { "Answer so" }
            }
        }
    }
}

fn filling(visitor: &Visitor, filled: &Filled) -> Markup {
    html! {
        section.panel aria-labelledby="would" {
            h2 id="would" { "What a subscription would send" }
            form method="post" {
                (csrf(visitor)) (alert(filled))
                (Field::number("subscription", "Subscription").required().hint("A sample event with its headers and signatures, put here without being sent.").render(filled, ""))
                button type="submit" name="do" value="fill" { "Put it here" }
            }
        }
    }
}

fn one(received: &Received, now: Timestamp) -> Markup {
    html! {
        details open {
            summary { (received.method) ", " (ago(received.at, now)) ", " (number(received.length as u64)) " bytes" }
            table {
                tbody { @for (name, value) in &received.headers { tr { th scope="row" { code { (name) } } td.wrap { code { (value) } } } } }
            }
            @if received.body.is_empty() { p.soft { "It had no body." } } @else { (excerpt(&received.body)) }
        }
    }
}
