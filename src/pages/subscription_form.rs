//! `/subscriptions/new` and `/subscriptions/{id}/edit`: the same form, with what the retry policy in it comes to.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    answer::{Refusal, page, see_other},
    form::{Filled, Form},
    layout::{Section, shell},
    orders::{answer, body, bytes, caller},
    parts::{
        field::{Field, alert, csrf, tick},
        retries,
    },
    session::{Posted, Visitor},
    subscription_fields::{change, policy, present_retry},
    subscription_orders::secret,
    told::telling,
};
use crate::{
    domain::{
        event_type::OPERATIONAL_EVENT_TYPES,
        id::SubscriptionId,
        ordering::Ordering,
        retry::RetryPolicy,
        subscription::{DEFAULT_MAX_IN_FLIGHT, Subscription},
    },
    http::{
        State,
        problem::Problem,
        registration,
        subscriptions::{find, shown},
    },
};

/// An empty form, but for what the query fills in.
pub(super) async fn new(request: HttpRequest, state: Data<State>, visitor: Visitor) -> HttpResponse {
    let filled = Filled::with(Form::read(request.query_string().as_bytes()));
    page(StatusCode::OK, render(&state, &visitor, None, &filled))
}

/// Makes the subscription, or shows what is wrong, or only what the retry policy comes to.
pub(super) async fn create(state: Data<State>, posted: Posted) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    if form.raw("do") == Some("preview") {
        return Ok(page(StatusCode::OK, render(&state, &visitor, None, &Filled::with(form))));
    }
    let mut members = change(&form, None);
    // A new one has its defaults where nothing is said.
    members.retain(|_, value| !value.is_null());
    if form.has("unsigned") {
        members.insert("secret".to_owned(), Value::Null);
    } else if let Some(own) = form.raw("secret") {
        members.insert("secret".to_owned(), own.into());
    }
    if let Some(owner) = form.text("owner") {
        members.insert("owner".to_owned(), owner.into());
    }
    match answer(registration::create(state.clone(), caller(&visitor), body(members)).await).await {
        Ok(made) => {
            let path = format!("/subscriptions/{}", made["id"]);
            if made["secret"].is_null() {
                return Ok(see_other(&telling(&path, "made")));
            }
            let body = html! {
                h1 { "The subscription stands" }
                section.panel { (secret(&made)) }
                p { a.button.primary href=(path) { "To the subscription" } }
            };
            Ok(page(StatusCode::CREATED, shell(&visitor, Section::Subscriptions, "The subscription stands", body)))
        }
        Err(problem) => Ok(refused(&state, &visitor, None, form, problem)),
    }
}

/// The form as the subscription is.
pub(super) async fn edit(
    state: Data<State>,
    visitor: Visitor,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Refusal> {
    let present = find(&state, &visitor.owner, id.into_inner()).await?;
    Ok(page(StatusCode::OK, render(&state, &visitor, Some(&present), &Filled::default())))
}

/// Changes the subscription, if nobody else did since the form was shown.
pub(super) async fn save(
    state: Data<State>,
    posted: Posted,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    let present = find(&state, &visitor.owner, id.into_inner()).await?;
    if form.raw("do") == Some("preview") {
        return Ok(page(StatusCode::OK, render(&state, &visitor, Some(&present), &Filled::with(form))));
    }
    let version = form.text("version").and_then(|version| version.parse().ok()).unwrap_or_default();
    let order = bytes(change(&form, Some(&present)));
    match registration::change_version(&state, &visitor.owner, present.id, &order, version).await {
        Ok(changed) => Ok(see_other(&telling(&format!("/subscriptions/{}", changed.id), "changed"))),
        Err(problem) => Ok(refused(&state, &visitor, Some(&present), form, problem)),
    }
}

fn refused(
    state: &State,
    visitor: &Visitor,
    present: Option<&Subscription>,
    form: Form,
    problem: Problem,
) -> HttpResponse {
    let status = problem.status();
    page(status, render(state, visitor, present, &Filled::refused(form, problem)))
}

fn render(state: &State, visitor: &Visitor, present: Option<&Subscription>, filled: &Filled) -> Markup {
    let (title, path, back) = match present {
        Some(present) => {
            let path = format!("/subscriptions/{}", present.id);
            ("Change a subscription", format!("{path}/edit"), path)
        }
        None => ("New subscription", "/subscriptions/new".to_owned(), "/subscriptions".to_owned()),
    };
    let is_new = present.is_none();
    let body = html! {
        p.crumbs { a href=(back) { (if is_new { "Subscriptions" } else { "The subscription" }) } }
        h1 { (title) }
        form method="post" action=(path) {
            (csrf(visitor)) (alert(filled))
            @if let Some(present) = present { input type="hidden" name="version" value=(filled.value("version", &present.version.to_string())); }
            div.columns {
                section.panel aria-labelledby="what" {
                    h2 id="what" { "What goes where" }
                    (destination(state, visitor, present, filled))
                }
                section.panel aria-labelledby="retry" {
                    h2 id="retry" { "Retries" }
                    (retry(present, filled))
                }
            }
            div.columns {
                section.panel aria-labelledby="flow" {
                    h2 id="flow" { "How it flows" }
                    (flow(present, filled))
                }
                section.panel aria-labelledby="request" {
                    h2 id="request" { "The request" }
                    (request(present, filled))
                }
            }
            div.actions {
                button.primary type="submit" name="do" value="save" { (if is_new { "Subscribe" } else { "Save" }) }
                a.button href=(back) { "Leave it" }
            }
        }
    };
    shell(visitor, Section::Subscriptions, title, body)
}

fn destination(state: &State, visitor: &Visitor, present: Option<&Subscription>, filled: &Filled) -> Markup {
    let types = state.catalogue.names();
    let known = types.iter().map(String::as_str).chain(OPERATIONAL_EVENT_TYPES);
    let options: Vec<(&str, &str)> = [("", "Choose one")].into_iter().chain(known.map(|name| (name, name))).collect();
    let (event_type, endpoint) = present.map_or_else(Default::default, |present| {
        (present.terms.event_type.as_str().to_owned(), shown(&present.terms.target_url))
    });
    html! {
        (Field::new("event_type", "Event type").choice(filled, &event_type, &options))
        (Field::new("endpoint", "Endpoint").kind("url").required().hint("An http or https URL. User and password go below.").render(filled, &endpoint))
        @if let Some(present) = present {
            fieldset { (tick("is_active", "true", "Active: events are matched", filled.has("is_active", "true", present.terms.is_active))) }
        } @else {
            @if visitor.sees_all() { (Field::new("owner", "Owner").hint("The name of whoever it is for; empty for yourself.").render(filled, "")) }
            (Field::new("secret", "Signing secret").secret().hint("Empty to have one made, which is shown once.").render(filled, ""))
            fieldset { (tick("unsigned", "true", "Do not sign", filled.has("unsigned", "true", false))) }
        }
    }
}

fn retry(present: Option<&Subscription>, filled: &Filled) -> Markup {
    let policy_now = present.map_or_else(RetryPolicy::default, |present| present.terms.retry.clone());
    let value = |name: &str| present_retry(&policy_now, name);
    let number = |name, label| Field::number(name, label).render(filled, &value(name));
    let choices = [
        ("exponential", "Exponential: base to the power of the retry, times the factor"),
        ("linear", "Linear: base more each time"),
        ("fixed", "Fixed: always the same"),
        ("random", "Random: between two bounds"),
    ];
    html! {
        (Field::new("retry", "Waits").choice(filled, &value("choice"), &choices))
        div.grid {
            (number("base", "Base")) (number("factor", "Factor (exponential)")) (number("limit", "Longest wait, s"))
            (number("seconds", "Wait, s (fixed)")) (number("min_value", "Shortest, s (random)")) (number("max_value", "Longest, s (random)"))
        }
        p { button type="submit" name="do" value="preview" formnovalidate { "Preview" } }
        @match policy(filled, &policy_now) {
            Some(policy) => { (retries::timeline(&policy)) }
            None => { p.fault { "These numbers make no policy of this kind." } }
        }
    }
}

fn flow(present: Option<&Subscription>, filled: &Filled) -> Markup {
    let flow = present.map(|present| present.terms.flow).unwrap_or_default();
    let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let orders = [
        (Ordering::None.as_str(), "None: every delivery for itself"),
        (Ordering::Key.as_str(), "By key: one after the other within an ordering key"),
        (Ordering::Subscription.as_str(), "All: one after the other"),
    ];
    let (rate, burst) = (flow.rate.map(|rate| rate.per_second.into()), flow.rate.map(|rate| rate.burst.into()));
    html! {
        (Field::new("ordering", "Order").choice(filled, flow.ordering.as_str(), &orders))
        div.grid {
            (Field::number("max_in_flight", "Attempts in flight").hint("32 by default.").render(filled, &if present.is_some() { flow.max_in_flight.to_string() } else { DEFAULT_MAX_IN_FLIGHT.to_string() }))
            (Field::number("rate", "Attempts a second").hint("Empty for no limit.").render(filled, &text(rate)))
            (Field::number("burst", "Of them at once").render(filled, &text(burst)))
            (Field::number("max_age_seconds", "Greatest age, s").hint("Older ones expire.").render(filled, &text(flow.max_age.map(|age| age.as_secs()))))
        }
    }
}

fn request(present: Option<&Subscription>, filled: &Filled) -> Markup {
    let config = present.map(|present| &present.terms.config);
    let timeout = config.map(|config| config.timeout().as_secs_f64().to_string()).unwrap_or_default();
    let user = config.and_then(|config| config.basic_auth()).map(|auth| auth.username.clone()).unwrap_or_default();
    let names: Vec<&str> =
        present.iter().flat_map(|present| present.terms.additional_headers.iter().map(|(name, _)| name)).collect();
    let kept = format!("One in a line: Name: value. Empty to keep those that there are: {}.", names.join(", "));
    let hint = if names.is_empty() { "One in a line: Name: value." } else { &kept };
    html! {
        (Field::number("timeout_seconds", "Time-out, s").hint("1 to 60; 10 by default.").render(filled, &timeout))
        div.grid {
            (Field::new("basic_auth", "User (basic auth)").render(filled, &user))
            (Field::new("password", "Password").secret().autocomplete("new-password").hint(if user.is_empty() { "" } else { "Empty to keep it." }).render(filled, ""))
        }
        (Field::new("headers", "Further headers").lines().hint(hint).render(filled, ""))
        @if !names.is_empty() { fieldset { (tick("no_headers", "true", "Send none of them any more", filled.has("no_headers", "true", false))) } }
    }
}
