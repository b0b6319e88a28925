//! `/`: how everything is doing, at a glance. Admins see the engine, others their own subscriptions.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use futures_util::future::try_join_all;
use maud::{Markup, html};

use super::{
    Pages,
    answer::{Refusal, page},
    layout::{Section, shell},
    parts::{
        badge,
        badge::Tone,
        chart,
        figure::{counted, number, percent, rate, tile},
        time::{ago, maybe_ago, millis, span},
    },
    rows::{Activity, Row, WINDOW, rows},
    session::Visitor,
};
use crate::{
    domain::{id::SubscriptionId, owner::Scope, subscription::Subscription, time::Timestamp},
    http::{State, live::status, problem::Problem, subscriptions::shown},
    metrics::{Owed, Readings},
    store::{
        Lane,
        owing::COUNTED_UP_TO,
        subscriptions::{self, holds::held},
    },
};

/// Entries of each list.
const MOST: usize = 10;
const OF_PAUSES: i64 = 10;
/// Subscriptions of somebody who is no admin that are looked at.
const OWN: i64 = 50;
/// What "now" means for a rate.
const RECENT: Duration = Duration::from_mins(1);

/// The page.
pub(super) async fn show(state: Data<State>, pages: Data<Pages>, visitor: Visitor) -> Result<HttpResponse, Refusal> {
    let (now, keys, scope) = (state.clock.now(), state.store.keys(), visitor.scope());
    let work = move |connection: &mut _| held(connection, &keys, scope, now, OF_PAUSES);
    let pauses = state.store.run(Lane::Read, work).await?;
    let body = match scope {
        Scope::All => of_all(&state, &pages, &pauses, now).await?,
        Scope::Of(_) => of_own(&state, scope, &pauses, now).await?,
    };
    let body = html! {
        div.head { h1 { "Overview" } }
        div id="live" data-live="5" { (body) }
    };
    Ok(page(StatusCode::OK, shell(&visitor, Section::Overview, "Overview", body)))
}

/// Somebody who lags behind, whoever looks.
struct Behind {
    subscription: Subscription,
    owed: String,
    age: Duration,
}

/// Somebody whose endpoint fails.
struct Ill {
    subscription: Subscription,
    since: Timestamp,
    probe_at: Option<Timestamp>,
}

async fn of_all(state: &State, pages: &Pages, pauses: &[Subscription], now: Timestamp) -> Result<Markup, Refusal> {
    let surveyed = state.survey.of(state).await;
    let (readings, totals) = (state.gauges.read(now), state.metrics.totals());
    let (recent, length) = pages.pulse.last(RECENT, &totals);
    let (hour, _) = pages.pulse.last(WINDOW, &totals);
    let owed = surveyed.owed.unwrap_or_default();
    let behind = owed.oldest.iter().take(MOST).map(|late| late.subscription);
    let ill = readings.failing.longest.iter().take(MOST).map(|(id, _)| *id);
    let (keys, ids) = (state.store.keys(), behind.chain(ill).collect::<Vec<SubscriptionId>>());
    let named = state.store.run(Lane::Read, move |connection| subscriptions::of_ids(connection, &keys, &ids)).await?;
    let find = |id| named.iter().find(|subscription| subscription.id == id).cloned();
    let late = |late: &crate::metrics::Lateness| {
        let owed = counted(late.owed, late.owed < COUNTED_UP_TO as u64);
        Some(Behind { subscription: find(late.subscription)?, owed, age: late.age })
    };
    let behind: Vec<Behind> = owed.oldest.iter().take(MOST).filter_map(late).collect();
    let ill = readings.failing.longest.iter().take(MOST).map(|(id, since)| {
        let subscription = find(*id);
        async move {
            let open = status(state, *id, None, None).await?.and_then(|status| status.breaker);
            let ill = |subscription| Ill {
                subscription,
                since: now.before(*since),
                probe_at: open.map(|open| open.probe_at),
            };
            Ok::<_, Problem>(subscription.map(ill))
        }
    });
    let ill: Vec<Ill> = try_join_all(ill).await?.into_iter().flatten().collect();
    let seconds = length.as_secs_f64();
    Ok(html! {
        @if !surveyed.is_database_up { p.alert role="alert" { "The database does not answer. What is owed stays owed; nothing is lost." } }
        dl.tiles {
            (tile("Events accepted", &per_second(recent.accepted, seconds), Tone::Calm, html! { "per second" }))
            (tile("Delivered", &per_second(recent.delivered, seconds), Tone::Calm, html! { "per second" }))
            (share_tile(hour.succeeded, hour.failed))
            (tile("Latency p95", &hour.percentile(0.95).map_or("–".to_owned(), seconds_text), Tone::Calm, html! { "of attempts, within" }))
            (owed_tile(&owed))
            (oldest_tile(owed.oldest.first().map(|late| late.age)))
            (tile("Failing endpoints", &number(readings.failing.count as u64), tone(readings.failing.count, Tone::Bad), html! { "only probed" }))
            (tile("Paused", &number(owed.subscriptions[1] as u64), tone(owed.subscriptions[1], Tone::Warn), html! { "of " (number(owed.subscriptions.iter().sum::<usize>() as u64)) " subscriptions" }))
        }
        section.panel aria-labelledby="attempts" {
            h2 id="attempts" { "Attempts in the last hour" }
            (chart::bars(&pages.pulse.bars(), "chart", "Attempts in the last hour"))
            p.legend { span { "an hour ago, or since the start" } span { (use_of(&readings)) } span { "now" } }
        }
        div.columns {
            (behind_panel(&behind, now))
            (ill_panel(&ill, now))
        }
        (pauses_panel(pauses, now))
    })
}

async fn of_own(state: &State, scope: Scope, pauses: &[Subscription], now: Timestamp) -> Result<Markup, Refusal> {
    let (keys, first) = (state.store.keys(), SubscriptionId::from_raw(0));
    let work = move |connection: &mut _| subscriptions::page(connection, &keys, scope, first, OWN);
    let rows = rows(state, state.store.run(Lane::Read, work).await?).await?;
    let mut all = Activity::default();
    for row in &rows {
        all.merge(&row.activity);
    }
    let owed: u64 = rows.iter().map(|row| row.backlog.owed).sum();
    let oldest = rows.iter().filter_map(|row| row.backlog.oldest).map(|(_, accepted_at)| accepted_at).min();
    let failing = |row: &&Row| row.status.is_some_and(|status| status.breaker.is_some());
    let ill: Vec<Ill> = rows
        .iter()
        .filter(failing)
        .filter_map(|row| {
            let open = row.status?.breaker?;
            Some(Ill { subscription: row.subscription.clone(), since: open.since, probe_at: Some(open.probe_at) })
        })
        .collect();
    let mut late: Vec<&Row> = rows.iter().filter(|row| row.backlog.oldest.is_some()).collect();
    late.sort_by_key(|row| row.backlog.oldest.map(|(_, accepted_at)| accepted_at));
    let behind: Vec<Behind> = late
        .into_iter()
        .take(MOST)
        .filter_map(|row| {
            let (_, accepted_at) = row.backlog.oldest?;
            let owed = counted(row.backlog.owed, row.backlog.is_exact);
            Some(Behind { subscription: row.subscription.clone(), owed, age: now.since(accepted_at) })
        })
        .collect();
    let seconds = WINDOW.as_secs_f64();
    Ok(html! {
        @if i64::try_from(rows.len()).is_ok_and(|count| count == OWN) {
            p.soft { "Of your first " (OWN) " subscriptions; the list has them all." }
        }
        dl.tiles {
            (tile("Subscriptions", &number(rows.len() as u64), Tone::Calm, html! { (pauses.len()) " paused" }))
            (tile("Delivered", &per_second(all.sum.delivered, seconds), Tone::Calm, html! { "per second, in the last hour" }))
            (share_tile(all.sum.succeeded, all.sum.failed))
            (tile("Latency p95", &all.sum.percentile(0.95).map_or("–".to_owned(), millis), Tone::Calm, html! { "of attempts" }))
            (tile("Owed", &counted(owed, rows.iter().all(|row| row.backlog.is_exact)), Tone::Calm, html! { "deliveries" }))
            (oldest_tile(oldest.map(|accepted_at| now.since(accepted_at))))
            (tile("Failing endpoints", &number(ill.len() as u64), tone(ill.len(), Tone::Bad), html! { "only probed" }))
        }
        section.panel aria-labelledby="attempts" {
            h2 id="attempts" { "Attempts in the last hour" }
            (chart::bars(&all.bars, "chart", "Attempts in the last hour"))
            p.legend { span { "an hour ago" } span { "now" } }
        }
        div.columns {
            (behind_panel(&behind, now))
            (ill_panel(&ill, now))
        }
        (pauses_panel(pauses, now))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: u64, seconds: f64) -> String {
    rate(count as f64 / seconds)
}

fn seconds_text(seconds: f64) -> String {
    millis(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

const fn tone(count: usize, otherwise: Tone) -> Tone {
    if count == 0 { Tone::Calm } else { otherwise }
}

fn share_tile(succeeded: u64, failed: u64) -> Markup {
    let share = percent(succeeded, succeeded + failed).unwrap_or_else(|| "–".to_owned());
    // One in ten that fails is worth a look.
    let tone = if failed * 10 > succeeded + failed { Tone::Warn } else { Tone::Calm };
    tile("Success", &share, tone, html! { "of " (number(succeeded + failed)) " attempts in the last hour" })
}

fn owed_tile(owed: &Owed) -> Markup {
    let count = owed.oldest.iter().map(|late| late.owed).sum::<u64>() + owed.rest;
    let is_exact = owed.rest == 0 && owed.oldest.iter().all(|late| late.owed < COUNTED_UP_TO as u64);
    tile("Owed", &counted(count, is_exact), Tone::Calm, html! { "to " (number(owed.owing as u64)) " subscriptions" })
}

fn oldest_tile(age: Option<Duration>) -> Markup {
    let is_old = age.is_some_and(|age| age > WINDOW);
    let text = age.map_or_else(|| "–".to_owned(), span);
    tile("Oldest owed", &text, if is_old { Tone::Warn } else { Tone::Calm }, html! { "since its event" })
}

fn use_of(readings: &Readings) -> Markup {
    html! {
        (number(readings.slots.used as u64)) " of " (number(readings.slots.bound as u64)) " in flight, "
        (number(readings.waiting_records.used as u64)) " being recorded, "
        (number(readings.waiting_events.used as u64)) " events being accepted"
    }
}

/// A link to a subscription: what it is for, and where it leads.
pub(super) fn link_to(subscription: &Subscription) -> Markup {
    html! {
        a href={ "/subscriptions/" (subscription.id) } { (subscription.terms.event_type) }
        small { (shown(&subscription.terms.target_url)) }
    }
}

fn behind_panel(behind: &[Behind], now: Timestamp) -> Markup {
    html! {
        section.panel aria-labelledby="behind" {
            h2 id="behind" { "Furthest behind" }
            @if behind.is_empty() { p.empty { "Nothing is owed to anybody." } } @else {
                table.cards {
                    thead { tr { th scope="col" { "Subscription" } th scope="col" { "State" } th.number scope="col" { "Owed" } th.number scope="col" { "Oldest" } } }
                    tbody {
                        @for late in behind {
                            tr {
                                th scope="row" { (link_to(&late.subscription)) }
                                td data-label="State" { (badge::of_subscription(late.subscription.state(now))) }
                                td.number data-label="Owed" { (late.owed) }
                                td.number data-label="Oldest" { (span(late.age)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ill_panel(ill: &[Ill], now: Timestamp) -> Markup {
    html! {
        section.panel aria-labelledby="ill" {
            h2 id="ill" { "Endpoints that fail" }
            @if ill.is_empty() { p.empty { "All endpoints work, as far as there was something to deliver." } } @else {
                table.cards {
                    thead { tr { th scope="col" { "Subscription" } th scope="col" { "Fails since" } th scope="col" { "Next probe" } } }
                    tbody {
                        @for one in ill {
                            tr {
                                th scope="row" { (link_to(&one.subscription)) }
                                td data-label="Fails since" { (ago(one.since, now)) }
                                td data-label="Next probe" { (maybe_ago(one.probe_at, now)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn pauses_panel(pauses: &[Subscription], now: Timestamp) -> Markup {
    html! {
        section.panel aria-labelledby="pauses" {
            h2 id="pauses" { "Pauses" }
            @if pauses.is_empty() { p.empty { "Nothing is paused." } } @else {
                table.cards {
                    thead { tr { th scope="col" { "Subscription" } th scope="col" { "By" } th scope="col" { "Since" } th scope="col" { "Until" } th scope="col" { "Reason" } } }
                    tbody {
                        @for (subscription, hold) in pauses.iter().filter_map(|paused| Some((paused, paused.hold_at(now)?))) {
                            tr {
                                th scope="row" { (link_to(subscription)) }
                                td data-label="By" { (hold.by) }
                                td data-label="Since" { (ago(hold.since, now)) }
                                td data-label="Until" { @if let Some(until) = hold.until { (ago(until, now)) } @else { "somebody resumes" } }
                                td.wide data-label="Reason" { (hold.reason.as_deref().unwrap_or("–")) }
                            }
                        }
                    }
                }
            }
        }
    }
}
