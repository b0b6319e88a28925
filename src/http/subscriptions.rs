//! `/api/v1/subscriptions`: what stands, how far it is behind, pause and resume.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    State,
    auth::Caller,
    body::Body,
    deliveries::AttemptView,
    problem::Problem,
    time::{parse, rfc3339},
};
use crate::{
    actors::router::Changed,
    domain::{
        endpoint::Endpoint,
        hold::{Hold, MAX_REASON_LENGTH},
        id::{DeliveryId, SubscriptionId},
        owner::Owner,
        retry::RetryPolicy,
        subscription::Subscription,
        time::Timestamp,
    },
    store::{
        Lane,
        deliveries::{Backlog, backlog},
        subscriptions,
    },
};

/// Entries on a page unless the request says otherwise, and at most.
const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;

/// A subscription as the API shows it. Neither secrets nor header values are in it.
#[derive(Serialize)]
struct SubscriptionView<'a> {
    id: SubscriptionId,
    owner_id: i32,
    event_type: &'a str,
    endpoint: String,
    state: &'static str,
    hold: Option<HoldView<'a>>,
    is_signed: bool,
    retry: &'a RetryPolicy,
    timeout_seconds: f64,
    max_in_flight: u16,
    created_at: String,
    modified_at: String,
    backlog: BacklogView,
}

#[derive(Serialize)]
struct HoldView<'a> {
    reason: Option<&'a str>,
    by: &'a str,
    since: String,
    until: Option<String>,
}

#[derive(Serialize)]
struct BacklogView {
    owed: u64,
    oldest_owed: Option<OldestView>,
    last_attempt: Option<AttemptView>,
}

#[derive(Serialize)]
struct OldestView {
    delivery: DeliveryId,
    accepted_at: String,
    age_seconds: f64,
}

impl<'a> SubscriptionView<'a> {
    fn new(subscription: &'a Subscription, backlog: &Backlog, now: Timestamp) -> Self {
        let Subscription { terms, .. } = subscription;
        let hold = subscription.hold.as_ref().filter(|hold| hold.holds(now));
        let state = match (terms.is_active, hold) {
            (false, _) => "inactive",
            (true, Some(_)) => "paused",
            (true, None) => "active",
        };
        Self {
            id: subscription.id,
            owner_id: subscription.owner.as_raw(),
            event_type: terms.event_type.as_str(),
            endpoint: shown(&terms.target_url),
            state,
            hold: hold.map(HoldView::from),
            is_signed: terms.signing_secret().is_some(),
            retry: &terms.retry,
            timeout_seconds: terms.config.timeout().as_secs_f64(),
            max_in_flight: terms.max_in_flight,
            created_at: rfc3339(subscription.created_at),
            modified_at: rfc3339(subscription.modified_at),
            backlog: BacklogView::new(backlog, now),
        }
    }
}

/// The endpoint without user and password.
fn shown(target_url: &str) -> String {
    Endpoint::parse(target_url).map_or_else(|_| target_url.to_owned(), |endpoint| endpoint.request_url())
}

impl<'a> From<&'a Hold> for HoldView<'a> {
    fn from(hold: &'a Hold) -> Self {
        Self {
            reason: hold.reason.as_deref(),
            by: &hold.by,
            since: rfc3339(hold.since),
            until: hold.until.map(rfc3339),
        }
    }
}

impl BacklogView {
    fn new(backlog: &Backlog, now: Timestamp) -> Self {
        let oldest = |(delivery, accepted_at): (DeliveryId, Timestamp)| OldestView {
            delivery,
            accepted_at: rfc3339(accepted_at),
            age_seconds: now.since(accepted_at).as_secs_f64(),
        };
        Self {
            owed: backlog.owed,
            oldest_owed: backlog.oldest.map(oldest),
            last_attempt: backlog.last_attempt.as_ref().map(AttemptView::new),
        }
    }
}

/// Which page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    after: Option<SubscriptionId>,
    limit: Option<u16>,
}

/// Subscriptions in the order of their ids; `next` is the `after` of the next page.
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = checked_limit(query.limit)?;
    let (scope, after) = (owner.scope(), query.after.unwrap_or(SubscriptionId::from_raw(0)));
    let now = state.clock.now();
    let work = move |connection: &mut _| {
        let page = subscriptions::page(connection, scope, after, i64::from(limit))?;
        page.into_iter().map(|subscription| Ok((backlog(connection, subscription.id)?, subscription))).collect()
    };
    let page: Vec<(Backlog, Subscription)> = state.store.run(Lane::Read, work).await?;
    let next = page.last().filter(|_| page.len() == usize::from(limit)).map(|(_, subscription)| subscription.id);
    let items: Vec<_> =
        page.iter().map(|(backlog, subscription)| SubscriptionView::new(subscription, backlog, now)).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items, "next": next })))
}

/// # Errors
/// 422 for a page that is empty or too long.
pub(super) fn checked_limit(limit: Option<u16>) -> Result<u16, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Problem::invalid(format!("\"limit\" must be from 1 to {MAX_LIMIT}."))),
    }
}

/// One subscription.
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    let (id, scope) = (id.into_inner(), owner.scope());
    let work = move |connection: &mut _| subscriptions::get(connection, scope, id);
    let subscription = state.store.run(Lane::Read, work).await?.ok_or_else(no_such_subscription)?;
    answer(&state, &subscription).await
}

async fn answer(state: &State, subscription: &Subscription) -> Result<HttpResponse, Problem> {
    let id = subscription.id;
    let backlog = state.store.run(Lane::Read, move |connection| backlog(connection, id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::new(subscription, &backlog, state.clock.now())))
}

pub(super) fn no_such_subscription() -> Problem {
    Problem::not_found("There is no subscription with this id, or it is not yours.")
}

/// The body of a pause.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    reason: Option<String>,
    until: Option<String>,
}

/// Pauses a subscription. Once this is answered no further attempt starts; what is in flight finishes and is recorded.
pub(super) async fn pause(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let hold = read_hold(&body, &owner, state.clock.now())?;
    set_hold(&state, &owner, id.into_inner(), Some(hold)).await
}

fn read_hold(body: &Bytes, owner: &Owner, now: Timestamp) -> Result<Hold, Problem> {
    let body: PauseBody = if body.trim_ascii().is_empty() {
        PauseBody::default()
    } else {
        serde_json::from_slice(body).map_err(|error| Problem::malformed(format!("The body is not valid: {error}.")))?
    };
    if body.reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_LENGTH) {
        return Err(Problem::invalid(format!("\"reason\" may have at most {MAX_REASON_LENGTH} characters.")));
    }
    let until = match body.until {
        None => None,
        Some(text) => {
            let until = parse(&text)
                .ok_or_else(|| Problem::invalid("\"until\" must be a time like 2026-11-24T03:00:00Z (RFC 3339)."))?;
            Some(until)
                .filter(|until| *until > now)
                .map(Some)
                .ok_or_else(|| Problem::invalid("\"until\" must lie in the future."))?
        }
    };
    Ok(Hold { since: now, until, reason: body.reason, by: owner.name.clone() })
}

/// Resumes a subscription: what it is owed is delivered, oldest first. To resume what is not paused changes nothing.
pub(super) async fn resume(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    set_hold(&state, &owner, id.into_inner(), None).await
}

async fn set_hold(
    state: &State,
    owner: &Owner,
    id: SubscriptionId,
    hold: Option<Hold>,
) -> Result<HttpResponse, Problem> {
    let scope = owner.scope();
    let work = move |connection: &mut _| subscriptions::set_hold(connection, scope, id, hold.as_ref());
    match state.store.run(Lane::Write, work).await? {
        subscriptions::Change::Made(subscription) => {
            let subscription = Arc::new(*subscription);
            publish(state, &subscription).await?;
            answer(state, &subscription).await
        }
        subscriptions::Change::NotFound => Err(no_such_subscription()),
        subscriptions::Change::AlreadyRegistered => Err(Problem::internal(&"a pause met a registration")),
    }
}

/// Lets events be matched and attempts be made by the new version from now on.
///
/// # Errors
/// 503 when the router is gone; the change is stored, and holds from the next start.
pub(super) async fn publish(state: &State, subscription: &Arc<Subscription>) -> Result<(), Problem> {
    state.router.send(Changed(Arc::clone(subscription))).await.map_err(|_| Problem::unavailable())
}
