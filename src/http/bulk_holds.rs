//! `/api/v1/holds` and `/api/v1/holds/release`: pause and resume every subscription that a filter finds.
//!
//! Done in pages, each one transaction: what is done is done when a request is cut off, and asking again does the rest.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body::{Body, read_json},
    holds::{CatchUp, checked_reason, read_hold, skip},
    naming::{OwnerName, owner_named},
    openapi::{Always, BadBody, Forbidden},
    problem::Problem,
    subscriptions::{notice, publish_all},
};
use crate::{
    domain::{
        audit::Author,
        endpoint::parse_host,
        event_type::EventType,
        id::SubscriptionId,
        owner::{Owner, Scope},
        subscription::Subscription,
    },
    store::{
        Lane,
        audit::audited_changes,
        subscriptions::bulk::{Candidate, HoldFilter, candidates, hold_many, resume_many},
    },
};

/// Subscriptions looked at, and changed, in one transaction.
const PAGE: i64 = 500;
/// The most ids in an answer.
const MAX_IDS: usize = 1_000;

/// Which subscriptions: those to which all of this applies. At least one has to be named.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HoldFilter)]
struct FilterBody {
    owner: Option<OwnerName>,
    event_type: Option<String>,
    /// Of the endpoint: a name or an address, without a port.
    #[schema(example = "shop.example")]
    host: Option<String>,
}

/// What is asked of a pause of many.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldBody {
    filter: FilterBody,
    #[schema(pattern = "^(hold|drop)$")]
    mode: Option<String>,
    #[schema(max_length = 500)]
    reason: Option<String>,
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Only tells what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What is asked of a resumption of many.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    filter: FilterBody,
    /// Only what was paused with this reason.
    #[schema(max_length = 500)]
    reason: Option<String>,
    #[schema(minimum = 1, maximum = 100_000, multiple_of = 1)]
    per_second: Option<f64>,
    #[schema(format = DateTime)]
    skip_older_than: Option<String>,
    /// Only tells what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What came of it.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = HoldSummary)]
pub(super) struct Summary {
    dry_run: bool,
    /// Subscriptions that the filter finds.
    matched: usize,
    /// Those of them that were paused, or resumed, or would be.
    changed: usize,
    /// Their ids, at most 1,000.
    #[schema(value_type = Vec<i32>)]
    subscription_ids: Vec<SubscriptionId>,
    /// How many ids are left out.
    ids_left_out: usize,
    /// Deliveries that were cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

impl Summary {
    fn add(&mut self, ids: impl IntoIterator<Item = SubscriptionId>) {
        for id in ids {
            self.changed += 1;
            if self.subscription_ids.len() < MAX_IDS {
                self.subscription_ids.push(id);
            } else {
                self.ids_left_out += 1;
            }
        }
    }
}

async fn read_filter(
    state: &State,
    owner: &Owner,
    body: FilterBody,
    reason: Option<String>,
) -> Result<HoldFilter, Problem> {
    let FilterBody { owner: of, event_type, host } = body;
    if of.is_none() && event_type.is_none() && host.is_none() {
        return Err(Problem::invalid("\"filter\" must name an \"owner\", an \"event_type\" or a \"host\"."));
    }
    let of = match of {
        None => None,
        Some(of) => Some(owner_named(state, owner, of).await?),
    };
    let event_type = event_type.map(|name| EventType::parse(&name)).transpose();
    let event_type = event_type.map_err(|error| Problem::invalid(format!("\"event_type\": {error}.")))?;
    let host = host.map(|host| parse_host(&host)).transpose();
    let host = host.map_err(|_| Problem::invalid("\"host\" must be a name or an address, without a port."))?;
    Ok(HoldFilter { owner: of, event_type, host, reason: checked_reason(reason)? })
}

/// Pauses all that is found and not paused yet. A pause that is there already stays as it is.
#[utoipa::path(
    post, path = "/api/v1/holds", tag = "subscriptions", operation_id = "hold_many",
    request_body(content = HoldBody, example = json!({
        "filter": {"host": "shop.example"}, "reason": "incident 7", "until": "2099-01-01T06:00:00Z"
    })),
    responses((status = 200, description = "They are paused", body = Summary), BadBody, Forbidden, Always),
)]
pub(super) async fn hold(state: Data<State>, Caller(owner): Caller, Body(body): Body) -> Result<HttpResponse, Problem> {
    let HoldBody { filter, mode, reason, until, dry_run } = read_json(&body)?;
    let hold = read_hold(mode.as_deref(), reason, until.as_deref(), &owner, state.clock.now())?;
    let filter = read_filter(&state, &owner, filter, None).await?;
    let mut summary = Summary { dry_run, notice: notice(hold.mode), ..Summary::default() };
    let mut pages = Pages::new(&state, owner.scope(), filter);
    while let Some(page) = pages.next().await? {
        summary.matched += page.len();
        let ids = ids_of(&page, |candidate| !candidate.is_held);
        if dry_run {
            summary.add(ids);
        } else {
            let (keys, hold) = (state.store.keys(), hold.clone());
            let author = Author::from(&*owner);
            let work = move |connection: &mut _| {
                let pause = |connection: &mut _| hold_many(connection, &keys, &ids, &hold);
                audited_changes(connection, &keys, (&author, "subscription.pause", hold.since), &ids, pause)
            };
            let paused = state.store.run(Lane::Write, work).await?;
            summary.add(paused.iter().map(|subscription| subscription.id));
            publish_all(&state, shared(paused)).await?;
        }
    }
    Ok(HttpResponse::Ok().json(summary))
}

/// Resumes all that is found and paused, whoever paused it and however.
#[utoipa::path(
    post, path = "/api/v1/holds/release", tag = "subscriptions", operation_id = "release_many",
    request_body(content = ReleaseBody, example = json!({"filter": {"host": "shop.example"}, "reason": "incident 7"})),
    responses((status = 200, description = "They are active", body = Summary), BadBody, Forbidden, Always),
)]
pub(super) async fn release(
    state: Data<State>,
    Caller(owner): Caller,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let ReleaseBody { filter, reason, per_second, skip_older_than, dry_run } = read_json(&body)?;
    let catch_up = CatchUp::read(per_second, skip_older_than.as_deref(), state.clock.now())?;
    let filter = read_filter(&state, &owner, filter, reason).await?;
    let mut summary = Summary { dry_run, ..Summary::default() };
    let mut pages = Pages::new(&state, owner.scope(), filter);
    while let Some(page) = pages.next().await? {
        summary.matched += page.len();
        let ids = ids_of(&page, |candidate| candidate.is_held);
        summary.add(ids.iter().copied());
        if !dry_run {
            for id in &ids {
                let skipped = skip(&state, *id, catch_up).await?;
                *summary.skipped.get_or_insert_default() += skipped;
            }
            let keys = state.store.keys();
            let (author, now) = (Author::from(&*owner), state.clock.now());
            let work = move |connection: &mut _| {
                let resume = |connection: &mut _| resume_many(connection, &keys, &ids, catch_up.ramp);
                audited_changes(connection, &keys, (&author, "subscription.resume", now), &ids, resume)
            };
            publish_all(&state, shared(state.store.run(Lane::Write, work).await?)).await?;
        }
    }
    Ok(HttpResponse::Ok().json(summary))
}

fn ids_of(page: &[Candidate], is_meant: impl Fn(&Candidate) -> bool) -> Vec<SubscriptionId> {
    page.iter().filter(|candidate| is_meant(candidate)).map(|candidate| candidate.id).collect()
}

fn shared(changed: Vec<Subscription>) -> Vec<Arc<Subscription>> {
    changed.into_iter().map(Arc::new).collect()
}

/// What a filter finds, page by page.
struct Pages<'a> {
    state: &'a State,
    scope: Scope,
    filter: HoldFilter,
    after: Option<SubscriptionId>,
}

impl<'a> Pages<'a> {
    const fn new(state: &'a State, scope: Scope, filter: HoldFilter) -> Self {
        Self { state, scope, filter, after: Some(SubscriptionId::from_raw(0)) }
    }

    /// `None` after the last page.
    async fn next(&mut self) -> Result<Option<Vec<Candidate>>, Problem> {
        let Some(after) = self.after else { return Ok(None) };
        let (scope, filter, now) = (self.scope, self.filter.clone(), self.state.clock.now());
        let work = move |connection: &mut _| candidates(connection, scope, &filter, now, after, PAGE);
        let page = self.state.store.run(Lane::Read, work).await?;
        self.after = page.next;
        Ok(Some(page.found))
    }
}
