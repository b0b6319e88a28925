//! `/subscriptions/{id}`: one subscription: what it does, what it owes, how it is set, and what can be ordered of it.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};

use super::{
    answer::{Refusal, page},
    form::Filled,
    layout::{Section, shell},
    parts::{
        badge::{self, Tone},
        chart,
        figure::{counted, number, percent, tile},
        table,
        time::{ago, maybe_ago, millis, span},
    },
    queue,
    rows::{Row, rows},
    session::Visitor,
    subscription_settings::{holding, settings},
    subscriptions::{names, states},
};
use crate::{
    domain::{id::SubscriptionId, subscription::Subscription, time::Timestamp},
    http::{
        State,
        subscriptions::{find, shown},
    },
    store::{
        Lane, audit,
        deliveries::{
            Ending, Listed,
            list::{Filter, list, retrying},
        },
    },
};

/// Entries of each list.
const MOST: usize = 10;
/// Deliveries of the queue that are shown: those that somebody may want to take out of the way.
const MOST_QUEUED: usize = 20;

/// What is shown above the page after an order, or beside the form of one that was refused.
#[derive(Default)]
pub(super) struct Aftermath {
    /// The form that was refused, by what it orders.
    pub(super) of: &'static str,
    /// What was filled in, and what is wrong with it.
    pub(super) filled: Filled,
    /// What came of it: a secret that is shown this once, an attempt.
    pub(super) outcome: Option<Markup>,
}

impl Aftermath {
    /// What was filled into the form that orders this.
    pub(super) fn filled(&self, of: &str) -> Filled {
        if self.of == of { self.filled.clone() } else { Filled::default() }
    }
}

/// The page.
pub(super) async fn show(
    state: Data<State>,
    visitor: Visitor,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Refusal> {
    render(&state, &visitor, id.into_inner(), StatusCode::OK, &Aftermath::default()).await
}

/// What the store says of one subscription, beside its row.
struct Lists {
    recent: Vec<Listed>,
    retrying: Vec<Listed>,
    aside: Vec<Listed>,
    changes: Vec<audit::Listed>,
}

async fn lists(state: &State, visitor: &Visitor, id: SubscriptionId) -> Result<Lists, Refusal> {
    let scope = visitor.scope();
    let of = Filter { subscription: Some(id), ..Filter::all(scope, MOST) };
    let aside = Filter { state: Some(crate::domain::delivery::State::SetAside), limit: MOST_QUEUED, ..of.clone() };
    let changes = audit::Filter {
        scope,
        actor: None,
        action: None,
        subject: Some(format!("subscription:{id}")),
        before: None,
        limit: MOST,
    };
    let work = move |connection: &mut _| {
        Ok(Lists {
            recent: list(connection, &of)?.found,
            retrying: retrying(connection, id, MOST_QUEUED)?,
            aside: list(connection, &aside)?.found,
            changes: audit::list(connection, &changes)?.found,
        })
    };
    Ok(state.store.run(Lane::Read, work).await?)
}

/// The page as it is now, with what came of an order.
pub(super) async fn render(
    state: &State,
    visitor: &Visitor,
    id: SubscriptionId,
    status: StatusCode,
    after: &Aftermath,
) -> Result<HttpResponse, Refusal> {
    let subscription = find(state, &visitor.owner, id).await?;
    let lists = lists(state, visitor, id).await?;
    let owner = names(state, vec![subscription.owner]).await?.remove(&subscription.owner).unwrap_or_default();
    let rows = rows(state, vec![subscription]).await?;
    let (Some(row), now) = (rows.first(), state.clock.now()) else {
        return Err(crate::http::problem::Problem::internal(&"a subscription has no row").into());
    };
    let title = format!("{} to {}", row.subscription.terms.event_type, shown(&row.subscription.terms.target_url));
    let body = html! {
        p.crumbs { a href="/subscriptions" { "Subscriptions" } " / #" (id) }
        div.head {
            div {
                h1 { (row.subscription.terms.event_type) " " span.soft { "to " (shown(&row.subscription.terms.target_url)) } }
                p { (states(row, now)) " " span.soft { "of " (owner) } }
            }
            (actions(visitor, &row.subscription, now))
        }
        @if let Some(outcome) = &after.outcome { section.panel aria-label="What came of it" { (outcome) } }
        (holding(visitor, &row.subscription, after, now))
        div id="live" data-live="5" {
            (figures(row, now))
            section.panel aria-labelledby="activity" {
                h2 id="activity" { "Attempts in the last hour" }
                (chart::bars(&row.activity.bars, "chart", "Attempts in the last hour"))
                p.legend { span { "an hour ago" } span { "now" } }
            }
        }
        (queue::panel(visitor, &row.subscription, &lists.retrying, &lists.aside, now))
        section.panel aria-labelledby="recent" {
            h2 id="recent" { "Deliveries" }
            @if lists.recent.is_empty() { p.empty { "Nothing was owed yet, or not lately." } } @else { (table::deliveries(&lists.recent, table::Of::One, now)) }
            p { a href={ "/deliveries?subscription=" (id) } { "All deliveries of this subscription" } }
        }
        (settings(visitor, row, after, now))
        section.panel aria-labelledby="audit" {
            h2 id="audit" { "What people changed" }
            (table::changes(&lists.changes, now))
        }
    };
    Ok(page(status, shell(visitor, Section::Subscriptions, &title, body)))
}

fn actions(visitor: &Visitor, subscription: &Subscription, now: Timestamp) -> Markup {
    let path = format!("/subscriptions/{}", subscription.id);
    html! {
        div.actions {
            form method="post" action=(path) {
                (super::parts::field::csrf(visitor))
                button type="submit" name="do" value="test" { "Send a test" }
                @if subscription.hold_at(now).is_some() { " " button type="submit" name="do" value="resume" { "Resume" } }
            }
            a.button href={ (path) "/edit" } { "Change" }
        }
    }
}

fn figures(row: &Row, now: Timestamp) -> Markup {
    let sum = &row.activity.sum;
    let share = percent(sum.succeeded, sum.attempts()).unwrap_or_else(|| "–".to_owned());
    let tone = if sum.failed * 10 > sum.attempts() { Tone::Warn } else { Tone::Calm };
    let (in_flight, open) =
        (row.status.map_or(0, |status| status.in_flight), row.status.and_then(|status| status.breaker));
    let slots = row.status.map_or(usize::from(row.subscription.terms.flow.max_in_flight), |status| status.slots);
    html! {
        dl.tiles {
            (tile("Success", &share, tone, html! { "of " (number(sum.attempts())) " attempts" }))
            (tile("Latency p95", &sum.percentile(0.95).map_or_else(|| "–".to_owned(), millis), Tone::Calm, html! { "p50 " (sum.percentile(0.5).map_or_else(|| "–".to_owned(), millis)) }))
            (tile("In flight", &number(in_flight as u64), Tone::Calm, html! { "of " (slots) " now, " (row.subscription.terms.flow.max_in_flight) " at most" }))
            (tile("Owed", &counted(row.backlog.owed, row.backlog.is_exact), Tone::Calm, html! { (number(row.backlog.set_aside)) " more set aside" }))
            (tile("Oldest owed", &row.backlog.oldest.map_or_else(|| "–".to_owned(), |(_, at)| span(now.since(at))), Tone::Calm, html! {
                @if let Some((delivery, _)) = row.backlog.oldest { a href={ "/deliveries/" (delivery) } { "see why" } }
            }))
            @if let Some(open) = open {
                (tile("Fails for", &span(now.since(open.since)), Tone::Bad, html! { "next probe " (ago(open.probe_at, now)) }))
            } @else {
                (tile("Endpoint", "works", Tone::Good, html! { "as far as it was tried" }))
            }
        }
        @if let Some(last) = &row.backlog.last_attempt {
            p.soft {
                "Last attempt " (badge::of_ending(Ending::of(last))) ", " (ago(last.ended_at(), now)) " "
                @if let Some(complaint) = last.outcome.complaint() { "· " (complaint) " " }
                "· " a href={ "/deliveries/" (last.delivery) } { "its delivery" }
                @if let Some(status) = row.status { " · " (number(status.recording as u64)) " being recorded" }
                " · changed " (maybe_ago(Some(row.subscription.modified_at), now))
            }
        }
    }
}
