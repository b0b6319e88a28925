//! What is ordered of a subscription on its page.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    answer::{Refusal, see_other},
    form::{Filled, Form},
    login::local,
    orders::{answer, body, caller, in_utc},
    session::Posted,
    subscription::{Aftermath, render},
    told::telling,
};
use crate::{
    domain::id::SubscriptionId,
    http::{State, holds, problem::Problem, registration, secrets, trials},
};

/// What came of an order.
enum Done {
    /// A sentence of this name is told.
    Told(&'static str),
    /// Something that is shown this once.
    Shown(Markup),
}

/// Carries out what `do` says.
pub(super) async fn order(
    state: Data<State>,
    posted: Posted,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Refusal> {
    let (id, Posted { visitor, form }) = (id.into_inner(), posted);
    let what = WHAT.into_iter().find(|known| form.raw("do") == Some(known));
    let what = what.ok_or_else(|| Problem::malformed("The form does not say what to do."))?;
    let owner = || caller(&visitor);
    let done = match what {
        "pause" => {
            let order = holds::pause(state.clone(), owner(), Path::from(id), body(pause(&form))).await;
            order.map(|_| Done::Told("paused"))
        }
        "resume" => {
            let order = holds::resume(state.clone(), owner(), Path::from(id), body(resume(&form))).await;
            order.map(|_| Done::Told("resumed"))
        }
        "rotate" => {
            let order = secrets::rotate(state.clone(), owner(), Path::from(id), body(rotation(&form))).await;
            answer(order).await.map(|rotated| Done::Shown(secret(&rotated)))
        }
        "test" => {
            answer(trials::order(state.clone(), owner(), Path::from(id)).await).await.map(|t| Done::Shown(trial(&t)))
        }
        _ => registration::end(&state, &visitor.owner, id).await.map(|()| Done::Told("ended")),
    };
    match done {
        Ok(Done::Told(name)) => {
            let own = format!("/subscriptions/{id}");
            let back = form.raw("back").map_or(own.as_str(), |back| local(Some(back)));
            Ok(see_other(&telling(back, name)))
        }
        Ok(Done::Shown(outcome)) => {
            let after = Aftermath { outcome: Some(outcome), ..Aftermath::default() };
            render(&state, &visitor, id, StatusCode::OK, &after).await
        }
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(problem.into()),
        Err(problem) => {
            let status = problem.status();
            let after = Aftermath {
                of: what,
                outcome: has_no_form(what).then(|| alert(&problem)),
                filled: Filled::refused(form, problem),
            };
            render(&state, &visitor, id, status, &after).await
        }
    }
}

/// What can be ordered here.
const WHAT: [&str; 5] = ["pause", "resume", "rotate", "test", "end"];

fn has_no_form(what: &str) -> bool {
    ["test", "end"].contains(&what)
}

fn alert(problem: &Problem) -> Markup {
    html! { p.alert role="alert" { (problem.to_string()) } }
}

/// Times are meant in UTC.
fn with_time(mut members: Map<String, Value>, form: &Form, name: &str) -> Map<String, Value> {
    if let Some(text) = form.text(name) {
        members.insert(name.to_owned(), in_utc(text).into());
    }
    members
}

fn with_number(mut members: Map<String, Value>, form: &Form, name: &str) -> Map<String, Value> {
    // What is no number becomes one that is refused for its range: the API would say that the body cannot be read.
    if let Some(number) = form.number(name) {
        members.insert(name.to_owned(), if number.is_number() { number } else { (-1).into() });
    }
    members
}

fn pause(form: &Form) -> Map<String, Value> {
    with_time(form.texts(&["mode", "reason"]), form, "until")
}

fn resume(form: &Form) -> Map<String, Value> {
    with_number(with_time(Map::new(), form, "skip_older_than"), form, "per_second")
}

fn rotation(form: &Form) -> Map<String, Value> {
    let mut members = Map::new();
    // Blanks may be part of a secret.
    if let Some(secret) = form.raw("secret") {
        members.insert("secret".to_owned(), secret.into());
    }
    if let Some(number) = form.number("overlap_seconds") {
        // Far beyond what may be asked for, where it is no whole number.
        members.insert("overlap_seconds".to_owned(), number.as_u64().unwrap_or(u64::MAX).into());
    }
    members
}

/// A secret that was made, this once.
pub(super) fn secret(answer: &Value) -> Markup {
    html! {
        @if let Some(secret) = answer["secret"].as_str() {
            h2 { "The new secret" }
            p { "It is shown this once. Give it to whoever checks the signatures." }
            pre.secret id="secret" { (secret) }
            button type="button" data-copy="secret" hidden { "Copy" }
        } @else {
            p.told role="status" { "The subscription signs with the secret that you brought along." }
        }
    }
}

/// What came of a trial.
pub(super) fn trial(trial: &Value) -> Markup {
    let arrived = trial["success"] == true;
    html! {
        h2 { "The test " (if arrived { "arrived" } else { "did not arrive" }) }
        p {
            @if let Some(status) = trial["status"].as_u64() { "It was answered with " strong { (status) } }
            @else { "There was no complete answer: " strong { (trial["error"]["message"].as_str().unwrap_or_default()) } }
            ", after " (format!("{:.0}", trial["duration_ms"].as_f64().unwrap_or_default())) " ms. It is marked as a test, and no delivery."
        }
        p { "Its uuid was " code { (trial["uuid"].as_str().unwrap_or_default()) } "." }
        @if let Some(body) = trial["body"].as_str().filter(|body| !body.is_empty()) { pre tabindex="0" { (body) } }
    }
}
