//! `/api/v1/subscriptions`: what stands, and how far it is behind.

use std::sync::Arc;

use actix::MailboxError;
use actix_web::{
    HttpResponse,
    http::StatusCode,
    rt,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    attempts::AttemptView,
    auth::Caller,
    live::{EndpointHealth, endpoint_health},
    openapi::{Always, BadQuery, Missing},
    problem::Problem,
    registration::tagged,
    terms::RetrySchema,
    time::rfc3339,
};
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
        subscriptions::{self, Change, failing::failing_since},
    },
};

/// Entries on a page unless the request says otherwise, and at most.
const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;

/// A subscription as the API shows it. Neither secrets nor header values are in it.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(super) struct SubscriptionView<'a> {
    #[schema(value_type = i32)]
    id: SubscriptionId,
    /// Grows with each change; the `ETag`.
    version: i64,
    owner_id: i32,
    event_type: &'a str,
    /// Where it is delivered to, without user and password.
    endpoint: String,
    is_active: bool,
    /// `active`, `paused` or `inactive`.
    #[schema(pattern = "^(active|paused|inactive)$")]
    state: &'static str,
    hold: Option<HoldView<'a>>,
    ramp: Option<RampView>,
    is_signed: bool,
    retiring_secrets: Vec<RetiringView>,
    #[schema(value_type = RetrySchema)]
    retry: &'a RetryPolicy,
    timeout_seconds: f64,
    basic_auth: Option<BasicAuthView<'a>>,
    header_names: Vec<&'a str>,
    max_in_flight: u16,
    ordering: &'static str,
    rate: Option<RateView>,
    max_age_seconds: Option<u64>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    modified_at: String,
    backlog: BacklogView,
}

/// A subscription with what only it can tell while it is at work.
#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionDetails<'a> {
    #[serde(flatten)]
    #[schema(value_type = SubscriptionView)]
    subscription: SubscriptionView<'a>,
    endpoint_health: EndpointHealth,
    /// After a resumption: how many deliveries were cancelled as too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<u64>,
    /// After a creation or a rotation: the secret that was made, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// A page of subscriptions.
#[derive(Serialize, ToSchema)]
pub(super) struct SubscriptionPage<'a> {
    items: Vec<SubscriptionView<'a>>,
    /// The `after` of the next page; null at the end.
    #[schema(value_type = Option<i32>)]
    next: Option<SubscriptionId>,
}

/// Whom deliveries are sent as; the password is not shown.
#[derive(Serialize, ToSchema)]
#[schema(as = BasicAuthName)]
struct BasicAuthView<'a> {
    username: &'a str,
}

/// How many attempts may start in a second.
#[derive(Serialize, ToSchema)]
#[schema(as = Rate)]
struct RateView {
    per_second: u32,
    burst: u32,
}

impl From<Rate> for RateView {
    fn from(Rate { per_second, burst }: Rate) -> Self {
        Self { per_second, burst }
    }
}

/// A pause.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
struct HoldView<'a> {
    mode: &'static str,
    reason: Option<&'a str>,
    by: &'a str,
    #[schema(format = DateTime)]
    since: String,
    #[schema(format = DateTime)]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// How the backlog of a pause is caught up with.
#[derive(Serialize, ToSchema)]
#[schema(as = Ramp)]
struct RampView {
    per_second: u32,
}

/// A secret that was replaced; which, is nobody's business.
#[derive(Serialize, ToSchema)]
#[schema(as = RetiringSecret)]
struct RetiringView {
    #[schema(format = DateTime)]
    until: String,
}

/// How far a subscription is behind.
#[derive(Serialize, ToSchema)]
#[schema(as = Backlog)]
struct BacklogView {
    /// Deliveries owed, counted up to 10,000.
    owed: u64,
    /// Whether there are no more than that.
    owed_is_exact: bool,
    /// How many more are set aside, counted up to 10,000.
    set_aside: u64,
    oldest_owed: Option<OldestView>,
    last_attempt: Option<AttemptView>,
}

/// The oldest delivery that is owed.
#[derive(Serialize, ToSchema)]
#[schema(as = OldestOwed)]
struct OldestView {
    #[schema(value_type = i64)]
    delivery: DeliveryId,
    #[schema(format = DateTime)]
    accepted_at: String,
    age_seconds: f64,
}

impl<'a> SubscriptionView<'a> {
    fn new(subscription: &'a Subscription, backlog: &Backlog, now: Timestamp) -> Self {
        let Subscription { terms, .. } = subscription;
        let hold = subscription.hold_at(now);
        let retiring = terms.retiring.iter().filter(|retiring| now < retiring.until);
        Self {
            id: subscription.id,
            version: subscription.version,
            owner_id: subscription.owner.as_raw(),
            event_type: terms.event_type.as_str(),
            endpoint: shown(&terms.target_url),
            is_active: terms.is_active,
            state: subscription.state(now),
            hold: hold.map(HoldView::from),
            ramp: subscription.ramp.map(|ramp| RampView { per_second: ramp.per_second.get() }),
            is_signed: terms.signing_secret().is_some(),
            retiring_secrets: retiring.map(|retiring| RetiringView { until: rfc3339(retiring.until) }).collect(),
            retry: &terms.retry,
            timeout_seconds: terms.config.timeout().as_secs_f64(),
            basic_auth: terms.config.basic_auth().map(|auth| BasicAuthView { username: &auth.username }),
            header_names: terms.additional_headers.iter().map(|(name, _)| name).collect(),
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
pub(crate) fn shown(target_url: &str) -> String {
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
pub(crate) const fn notice(mode: HoldMode) -> Option<&'static str> {
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
            set_aside: backlog.set_aside,
            oldest_owed: backlog.oldest.map(oldest),
            last_attempt: backlog.last_attempt.as_ref().map(AttemptView::new),
        }
    }
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Behind this one.
    #[param(value_type = Option<i32>)]
    after: Option<SubscriptionId>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Subscriptions in the order of their ids; `next` is the `after` of the next page.
#[utoipa::path(
    get, path = "/api/v1/subscriptions", tag = "subscriptions", operation_id = "list_subscriptions", params(PageQuery),
    responses((status = 200, description = "A page", body = SubscriptionPage), BadQuery, Always),
)]
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
    let items = page.iter().map(|(backlog, subscription)| SubscriptionView::new(subscription, backlog, now)).collect();
    Ok(HttpResponse::Ok().json(SubscriptionPage { items, next }))
}

/// # Errors
/// 422 for a page that is empty or too long.
pub(super) fn checked_limit(limit: Option<u16>) -> Result<u16, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Problem::invalid(format!("\"limit\" must be from 1 to {MAX_LIMIT}."))),
    }
}

/// One subscription, with how its endpoint is doing.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{id}", tag = "subscriptions", operation_id = "show_subscription",
    params(("id" = i32, Path, description = "The subscription")),
    responses((status = 200, description = "The subscription", body = SubscriptionDetails), Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    let subscription = find(&state, &owner, id.into_inner()).await?;
    Ok(tagged(StatusCode::OK, &subscription).json(view(&state, &subscription).await?))
}

/// # Errors
/// 404 when there is no such subscription, or not for `owner`.
pub(crate) async fn find(state: &State, owner: &Owner, id: SubscriptionId) -> Result<Subscription, Problem> {
    let (scope, keys) = (owner.scope(), state.store.keys());
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, scope, id);
    state.store.run(Lane::Read, work).await?.ok_or_else(no_such_subscription)
}

/// A subscription with its backlog, as an answer shows it.
pub(super) async fn view<'a>(
    state: &State,
    subscription: &'a Subscription,
) -> Result<SubscriptionDetails<'a>, Problem> {
    let id = subscription.id;
    let work = move |connection: &mut _| Ok((backlog(connection, id)?, failing_since(connection, id)?));
    let (backlog, failing_since) = state.store.run(Lane::Read, work).await?;
    let mut endpoint_health = endpoint_health(state, id).await?;
    endpoint_health.no_success_since = failing_since.map(rfc3339);
    Ok(SubscriptionDetails {
        subscription: SubscriptionView::new(subscription, &backlog, state.clock.now()),
        endpoint_health,
        skipped: None,
        secret: None,
    })
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
        Change::AlreadyRegistered | Change::Outdated(_) => {
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
    publish_all(state, vec![Arc::clone(subscription)]).await
}

/// The same for several. Whoever hangs up meanwhile has changed them all the same.
///
/// # Errors
/// As above.
pub(super) async fn publish_all(state: &State, changed: Vec<Arc<Subscription>>) -> Result<(), Problem> {
    let router = state.router.clone();
    let published = rt::spawn(async move {
        for subscription in changed {
            router.send(Changed(subscription)).await?;
        }
        Ok::<(), MailboxError>(())
    });
    match published.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Problem::unavailable()),
    }
}
