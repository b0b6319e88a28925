//! `/api/v1/subscriptions`: what stands, and how far it is behind.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{State, auth::Caller, deliveries::AttemptView, live::endpoint_health, problem::Problem, time::rfc3339};
use crate::{
    actors::router::Changed,
    domain::{
        endpoint::Endpoint,
        hold::{Hold, HoldMode},
        id::{DeliveryId, SubscriptionId},
        owner::Owner,
        queue::Rate,
        retry::RetryPolicy,
        subscription::Subscription,
        time::Timestamp,
    },
    store::{
        Lane,
        deliveries::{Backlog, backlog},
        subscriptions::{self, Change},
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
    ramp: Option<RampView>,
    is_signed: bool,
    retiring_secrets: Vec<RetiringView>,
    retry: &'a RetryPolicy,
    timeout_seconds: f64,
    max_in_flight: u16,
    ordering: &'static str,
    rate: Option<RateView>,
    max_age_seconds: Option<u64>,
    created_at: String,
    modified_at: String,
    backlog: BacklogView,
}

#[derive(Serialize)]
struct RateView {
    per_second: u32,
    burst: u32,
}

impl From<Rate> for RateView {
    fn from(Rate { per_second, burst }: Rate) -> Self {
        Self { per_second, burst }
    }
}

#[derive(Serialize)]
struct HoldView<'a> {
    mode: &'static str,
    reason: Option<&'a str>,
    by: &'a str,
    since: String,
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// How the backlog of a pause is caught up with.
#[derive(Serialize)]
struct RampView {
    per_second: u32,
}

/// A secret that was replaced; which, is nobody's business.
#[derive(Serialize)]
struct RetiringView {
    until: String,
}

#[derive(Serialize)]
struct BacklogView {
    owed: u64,
    owed_is_exact: bool,
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
        let hold = subscription.hold_at(now);
        let retiring = terms.retiring.iter().filter(|retiring| now < retiring.until);
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
            ramp: subscription.ramp.map(|ramp| RampView { per_second: ramp.per_second.get() }),
            is_signed: terms.signing_secret().is_some(),
            retiring_secrets: retiring.map(|retiring| RetiringView { until: rfc3339(retiring.until) }).collect(),
            retry: &terms.retry,
            timeout_seconds: terms.config.timeout().as_secs_f64(),
            max_in_flight: terms.flow.max_in_flight,
            ordering: terms.flow.ordering.as_str(),
            rate: terms.flow.rate.map(RateView::from),
            max_age_seconds: terms.flow.max_age.map(|age| age.as_secs()),
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
            mode: hold.mode.as_str(),
            reason: hold.reason.as_deref(),
            by: &hold.by,
            since: rfc3339(hold.since),
            until: hold.until.map(rfc3339),
            notice: notice(hold.mode),
        }
    }
}

/// What whoever reads of a pause has to know.
pub(super) const fn notice(mode: HoldMode) -> Option<&'static str> {
    match mode {
        HoldMode::Keep => None,
        HoldMode::Drop => Some("Events that are accepted while this pause holds are lost for the subscription."),
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
            owed_is_exact: backlog.is_exact,
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
    let (now, keys) = (state.clock.now(), state.store.keys());
    let work = move |connection: &mut _| {
        let page = subscriptions::page(connection, &keys, scope, after, i64::from(limit))?;
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
    let subscription = find(&state, &owner, id.into_inner()).await?;
    Ok(HttpResponse::Ok().json(view(&state, &subscription).await?))
}

/// # Errors
/// 404 when there is no such subscription, or not for `owner`.
pub(super) async fn find(state: &State, owner: &Owner, id: SubscriptionId) -> Result<Subscription, Problem> {
    let (scope, keys) = (owner.scope(), state.store.keys());
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, scope, id);
    state.store.run(Lane::Read, work).await?.ok_or_else(no_such_subscription)
}

/// A subscription with its backlog, as an answer shows it.
pub(super) async fn view(state: &State, subscription: &Subscription) -> Result<Value, Problem> {
    let id = subscription.id;
    let backlog = state.store.run(Lane::Read, move |connection| backlog(connection, id)).await?;
    let view = SubscriptionView::new(subscription, &backlog, state.clock.now());
    let mut view = serde_json::to_value(view).expect("texts and numbers serialise");
    view["endpoint_health"] = endpoint_health(state, id).await?;
    Ok(view)
}

/// Lets a change take effect, once it was made.
///
/// # Errors
/// 404 when there was nothing to change, 503 when the router is gone.
pub(super) async fn published(state: &State, change: Change) -> Result<Arc<Subscription>, Problem> {
    match change {
        Change::Made(subscription) => {
            let subscription = Arc::new(*subscription);
            publish(state, &subscription).await?;
            Ok(subscription)
        }
        Change::NotFound => Err(no_such_subscription()),
        Change::AlreadyRegistered => {
            Err(Problem::internal(&"a change of no event type or endpoint met a registration"))
        }
    }
}

pub(super) fn no_such_subscription() -> Problem {
    Problem::not_found("There is no subscription with this id, or it is not yours.")
}

/// Lets events be matched and attempts be made by the new version from now on.
///
/// # Errors
/// 503 when the router is gone; the change is stored, and holds from the next start.
pub(super) async fn publish(state: &State, subscription: &Arc<Subscription>) -> Result<(), Problem> {
    state.router.send(Changed(Arc::clone(subscription))).await.map_err(|_| Problem::unavailable())
}
