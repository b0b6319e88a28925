//! `/replays`: many deliveries attempted again by their retry policy: counted first, watched, called off.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{
    answer::{Refusal, page, see_other},
    form::{Filled, Form},
    layout::{Section, shell},
    orders::{answer, body, caller, in_utc},
    parts::{
        badge,
        field::{Field, alert, csrf, tick},
        figure::{counted, number},
        time::{ago, exact, span},
    },
    session::{Posted, Visitor},
    told::telling,
};
use crate::{
    domain::{
        delivery::State as DeliveryState,
        id::ReplayId,
        replay::{DEFAULT_STATES, Replay, Stage},
        time::Timestamp,
    },
    http::{State, replays as api},
    store::{Lane, replays},
};

/// Replays on a page.
const PAGE: i64 = 25;

/// The page, with the form filled in as the query says.
pub(super) async fn list(request: HttpRequest, state: Data<State>, visitor: Visitor) -> Result<HttpResponse, Refusal> {
    let form = Form::read(request.query_string().as_bytes());
    let before = form.text("before").and_then(|id| id.parse().ok()).map(ReplayId::from_raw);
    render(&state, &visitor, before, StatusCode::OK, &Filled::with(form), None).await
}

/// Counts what an order would put back, or orders it.
pub(super) async fn order(state: Data<State>, posted: Posted) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    let is_dry = form.raw("do") != Some("order");
    let ordered = api::order(state.clone(), caller(&visitor), body(members(&form, is_dry))).await;
    match answer(ordered).await {
        Ok(count) if is_dry => {
            let count = counted(count["deliveries"].as_u64().unwrap_or_default(), count["is_exact"] == true);
            render(&state, &visitor, None, StatusCode::OK, &Filled::with(form), Some(&count)).await
        }
        Ok(_) => Ok(see_other(&telling("/replays", "ordered"))),
        Err(problem) => {
            let status = problem.status();
            render(&state, &visitor, None, status, &Filled::refused(form, problem), None).await
        }
    }
}

fn members(form: &Form, is_dry: bool) -> Map<String, Value> {
    let mut members = form.texts(&["event_type"]);
    // What is no number is no subscription either.
    let id = form.text("subscription").and_then(|id| id.parse::<i32>().ok()).unwrap_or_default();
    members.insert("subscription".to_owned(), id.into());
    members.insert("states".to_owned(), form.all("states").collect::<Vec<_>>().into());
    members.insert("dry_run".to_owned(), is_dry.into());
    for name in ["from", "to"] {
        if let Some(text) = form.text(name) {
            members.insert(name.to_owned(), in_utc(text).into());
        }
    }
    if let Some(pace) = form.number("per_second") {
        // 0 is refused for its range, as everything that is no whole number has to be.
        members.insert(
            "per_second".to_owned(),
            pace.as_u64().and_then(|pace| u32::try_from(pace).ok()).unwrap_or(0).into(),
        );
    }
    members
}

/// Calls one off.
pub(super) async fn cancel(state: Data<State>, posted: Posted, id: Path<ReplayId>) -> Result<HttpResponse, Refusal> {
    api::cancel(state, caller(&posted.visitor), id).await?;
    Ok(see_other(&telling("/replays", "stopped")))
}

async fn render(
    state: &State,
    visitor: &Visitor,
    before: Option<ReplayId>,
    status: StatusCode,
    filled: &Filled,
    count: Option<&str>,
) -> Result<HttpResponse, Refusal> {
    let scope = visitor.scope();
    let work = move |connection: &mut _| replays::list(connection, scope, before, PAGE);
    let found = state.store.run(Lane::Read, work).await?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == PAGE);
    let (next, now) = (found.last().filter(|_| is_full).map(|last| last.id), state.clock.now());
    let body = html! {
        h1 { "Replays" }
        p.soft { "A replay puts back what is settled or set aside, the oldest first; the retry policy begins again." }
        (form(visitor, filled, count))
        section.panel id="live" data-live="2" aria-labelledby="replays" {
            h2 id="replays" { "Ordered" }
            @if found.is_empty() { p.empty { "There are none." } } @else { (table(visitor, &found, now)) }
        }
        nav.pager aria-label="Pages of the list" {
            @if before.is_some() { a href="/replays" { "The newest" } }
            @if let Some(next) = next { a href={ "/replays?before=" (next) } { "Older ones" } }
        }
    };
    Ok(page(status, shell(visitor, Section::Replays, "Replays", body)))
}

fn form(visitor: &Visitor, filled: &Filled, count: Option<&str>) -> Markup {
    let replayable = DeliveryState::ALL.into_iter().filter(|state| *state != DeliveryState::Pending);
    html! {
        form.panel method="post" action="/replays" data-filter {
            h2 { "Order one" }
            (csrf(visitor)) (alert(filled))
            fieldset {
                legend { "States" }
                @for state in replayable { (tick("states", state.as_str(), state.as_str(), filled.has("states", state.as_str(), DEFAULT_STATES.contains(&state)))) }
                @if let Some(fault) = filled.fault_of("states") { p.fault { (fault) } }
            }
            div.grid {
                (Field::number("subscription", "Subscription").required().hint("Its number.").render(filled, ""))
                (Field::new("event_type", "Event type").hint("Empty for all.").render(filled, ""))
                (Field::new("from", "Accepted from (UTC)").kind("datetime-local").render(filled, ""))
                (Field::new("to", "Accepted before (UTC)").kind("datetime-local").hint("Empty for now.").render(filled, ""))
                (Field::number("per_second", "At most a second").hint("Empty for as fast as it can.").render(filled, ""))
            }
            @if let Some(count) = count { p.told role="status" { strong { (count) } " deliveries would be put back." } }
            div.actions {
                button.primary[count.is_none()] type="submit" name="do" value="count" { "Count first" }
                @if count.is_some() { button.primary type="submit" name="do" value="order" { "Order the replay" } }
            }
        }
    }
}

fn table(visitor: &Visitor, found: &[Replay], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Replay" } th scope="col" { "Stage" } th.number scope="col" { "Put back" } th.number scope="col" { "Skipped" }
                    th scope="col" { "Which" } th scope="col" { "Ordered" } th scope="col" { "Ended" } th scope="col" { "Orders" }
                }
            }
            tbody { @for replay in found { (row(visitor, replay, now)) } }
        }
    }
}

fn row(visitor: &Visitor, replay: &Replay, now: Timestamp) -> Markup {
    let states: Vec<&str> = replay.filter.states.iter().map(|state| state.as_str()).collect();
    html! {
        tr {
            th scope="row" { "#" (replay.id) small { a href={ "/subscriptions/" (replay.filter.subscription) } { "subscription #" (replay.filter.subscription) } } }
            td data-label="Stage" { (badge::of_stage(replay.stage)) }
            td.number data-label="Put back" { (number(replay.replayed)) @if let Some(pace) = replay.per_second { small { (pace) " a second" } } }
            td.number data-label="Skipped" { (number(replay.skipped)) }
            td data-label="Which" {
                (states.join(", "))
                small {
                    @if let Some(event_type) = &replay.filter.event_type { (event_type) ", " }
                    @if let Some(from) = replay.filter.from { "from " (exact(from)) " " }
                    "up to " (exact(replay.filter.to))
                }
            }
            td data-label="Ordered" { (ago(replay.ordered_at, now)) small { "by " (replay.ordered_by) } }
            td data-label="Ended" {
                @if let Some(ended_at) = replay.ended_at { (ago(ended_at, now)) small { "after " (span(ended_at.since(replay.ordered_at))) } }
                @else { span.soft { "–" } }
            }
            td.wide {
                @if replay.stage == Stage::Running {
                    form.actions method="post" action={ "/replays/" (replay.id) } {
                        (csrf(visitor))
                        button.small.danger type="submit" aria-label={ "Cancel replay " (replay.id) } { "Cancel" }
                    }
                }
            }
        }
    }
}
