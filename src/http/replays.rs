//! `/api/v1/replays`: many deliveries attempted again.

use std::num::NonZeroU16;

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Query},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    auth::Caller,
    body::{Body, read_json},
    deliveries::named_state,
    openapi::{Always, BadBody, BadQuery, Erased, Missing, NoReplay},
    problem::Problem,
    subscriptions::{self, checked_limit, find},
    time::{instant, rfc3339},
};
use crate::{
    domain::{
        audit::{Author, Entry},
        delivery::State as DeliveryState,
        event_type::EventType,
        id::{OwnerId, ReplayId, SubscriptionId},
        replay::{DEFAULT_STATES, Filter, MAX_PER_SECOND, Replay},
        time::Timestamp,
    },
    store::{
        Lane,
        audit::audited,
        replays::{self, Count, Ordered},
    },
};

/// Up to here a dry run counts exactly.
const DRY_RUN_LIMIT: usize = 10_000;

/// What is asked of a replay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplayOrder)]
pub(super) struct OrderBody {
    #[schema(value_type = i32)]
    subscription: SubscriptionId,
    /// Which settled ones: `delivered`, `dead`, `expired`, `cancelled`; all but the first by default.
    #[schema(min_items = 1)]
    states: Option<Vec<String>>,
    /// Accepted at this time or later.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Accepted before; by default everything so far.
    #[schema(format = DateTime)]
    to: Option<String>,
    event_type: Option<String>,
    /// At most so many are put back in a second.
    #[schema(minimum = 1, maximum = 10_000)]
    per_second: Option<u32>,
    /// Only counts, exactly up to 10,000.
    #[serde(default)]
    dry_run: bool,
}

impl OrderBody {
    fn filter(&self, now: Timestamp) -> Result<Filter, Problem> {
        let filter = Filter {
            subscription: self.subscription,
            states: self.states()?,
            from: self.from.as_deref().map(|text| instant("from", text)).transpose()?,
            // What fails from now on is the retry policy's business.
            to: self.to.as_deref().map_or(Ok(now), |text| instant("to", text))?.min(now),
            event_type: self
                .event_type
                .as_deref()
                .map(|name| EventType::parse(name).map_err(|e| Problem::invalid(format!("\"event_type\": {e}."))))
                .transpose()?,
        };
        match filter.from {
            Some(from) if from >= filter.to => {
                Err(Problem::invalid("\"from\" must lie before \"to\" and in the past."))
            }
            Some(_) | None => Ok(filter),
        }
    }

    fn states(&self) -> Result<Vec<DeliveryState>, Problem> {
        let Some(names) = &self.states else { return Ok(DEFAULT_STATES.into()) };
        let states = names.iter().map(|name| named_state(name)).collect::<Result<Vec<_>, _>>()?;
        if states.is_empty() {
            return Err(Problem::invalid("\"states\" must name at least one state."));
        }
        if states.iter().all(|state| *state != DeliveryState::Pending) {
            Ok(states)
        } else {
            Err(Problem::invalid("What is pending is owed already and cannot be replayed."))
        }
    }

    fn per_second(&self) -> Result<Option<NonZeroU16>, Problem> {
        let Some(pace) = self.per_second else { return Ok(None) };
        let pace = u16::try_from(pace).ok().and_then(NonZeroU16::new).filter(|pace| pace.get() <= MAX_PER_SECOND);
        pace.map(Some).ok_or_else(|| Problem::invalid(format!("\"per_second\" must be from 1 to {MAX_PER_SECOND}.")))
    }
}

/// A replay, and how far it has come.
#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
pub(super) struct ReplayView<'a> {
    #[schema(value_type = i32)]
    id: ReplayId,
    #[schema(value_type = i32)]
    subscription: SubscriptionId,
    #[schema(example = "running")]
    state: &'static str,
    states: Vec<&'static str>,
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: String,
    event_type: Option<&'a str>,
    #[schema(value_type = Option<u16>)]
    per_second: Option<NonZeroU16>,
    /// Deliveries put back so far.
    replayed: u64,
    /// Those that could not be: their payload is erased.
    skipped: u64,
    ordered_by: &'a str,
    #[schema(format = DateTime)]
    ordered_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

/// A page of replays.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayPage<'a> {
    items: Vec<ReplayView<'a>>,
    /// The `before` of the next page; null at the end.
    #[schema(value_type = Option<i32>)]
    next: Option<ReplayId>,
}

/// What a dry run found.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayCount {
    dry_run: bool,
    /// Deliveries that would be put back.
    deliveries: usize,
    /// Whether there are no more than that.
    is_exact: bool,
}

impl<'a> From<&'a Replay> for ReplayView<'a> {
    fn from(replay: &'a Replay) -> Self {
        Self {
            id: replay.id,
            subscription: replay.filter.subscription,
            state: replay.stage.as_str(),
            states: replay.filter.states.iter().map(|state| state.as_str()).collect(),
            from: replay.filter.from.map(rfc3339),
            to: rfc3339(replay.filter.to),
            event_type: replay.filter.event_type.as_ref().map(EventType::as_str),
            per_second: replay.per_second,
            replayed: replay.replayed,
            skipped: replay.skipped,
            ordered_by: &replay.ordered_by,
            ordered_at: rfc3339(replay.ordered_at),
            ended_at: replay.ended_at.map(rfc3339),
        }
    }
}

/// Orders a replay, or, for a dry run, tells how many deliveries it would put back.
///
/// Without `states`, `from` and `to` everything of the subscription is meant that is dead, expired or cancelled.
#[utoipa::path(
    post, path = "/api/v1/replays", tag = "replays", operation_id = "order_replay",
    request_body(content = OrderBody, example = json!({
        "subscription": 1, "from": "2026-11-24T00:00:00Z", "per_second": 50
    })),
    responses(
        (status = 200, description = "A dry run", body = ReplayCount),
        (status = 201, description = "It is ordered", body = ReplayView,
            headers(("Location" = String, description = "Where it can be watched"))),
        BadBody, Missing, NoReplay, Erased, Always,
    ),
)]
pub(crate) async fn order(
    state: Data<State>,
    Caller(owner): Caller,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let (order, filter, per_second) = read(&body, now)?;
    let subscription = find(&state, &owner, order.subscription).await?;
    if order.dry_run {
        return dry_run(&state, filter).await;
    }
    if !subscription.terms.is_active {
        return Err(Problem::inactive());
    }
    let author = Author::from(&*owner);
    let work = move |connection: &mut _| {
        let order = |connection: &mut _| replays::order(connection, &filter, per_second, &author.name, now);
        let told = |ordered: &Ordered| match ordered {
            Ordered::Made(replay) => Some(told_of("replay.order", replay, subscription.owner)),
            Ordered::Running(_) | Ordered::Erasing => None,
        };
        audited(connection, &author, now, order, told)
    };
    match state.store.run(Lane::Write, work).await? {
        Ordered::Made(replay) => Ok(HttpResponse::Created()
            .insert_header((header::LOCATION, format!("/api/v1/replays/{}", replay.id)))
            .json(ReplayView::from(&*replay))),
        Ordered::Running(id) => Err(Problem::replay_runs(id)),
        Ordered::Erasing => Err(Problem::erased()),
    }
}

fn read(body: &Bytes, now: Timestamp) -> Result<(OrderBody, Filter, Option<NonZeroU16>), Problem> {
    let order: OrderBody = read_json(body)?;
    let (filter, per_second) = (order.filter(now)?, order.per_second()?);
    Ok((order, filter, per_second))
}

async fn dry_run(state: &State, filter: Filter) -> Result<HttpResponse, Problem> {
    let count =
        state.store.run(Lane::Read, move |connection| replays::count(connection, &filter, DRY_RUN_LIMIT)).await?;
    let (deliveries, is_exact) = match count {
        Count::Exactly(deliveries) => (deliveries, true),
        Count::AtLeast(deliveries) => (deliveries, false),
    };
    Ok(HttpResponse::Ok().json(ReplayCount { dry_run: true, deliveries, is_exact }))
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Older than this one.
    #[param(value_type = Option<i32>)]
    before: Option<ReplayId>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Replays, the newest first; `next` is the `before` of the next page.
#[utoipa::path(
    get, path = "/api/v1/replays", tag = "replays", operation_id = "list_replays", params(PageQuery),
    responses((status = 200, description = "A page", body = ReplayPage), BadQuery, Always),
)]
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = checked_limit(query.limit)?;
    let (scope, before) = (owner.scope(), query.before);
    let work = move |connection: &mut _| replays::list(connection, scope, before, i64::from(limit));
    let listed = state.store.run(Lane::Read, work).await?;
    let next = listed.last().filter(|_| listed.len() == usize::from(limit)).map(|last| last.id);
    let items = listed.iter().map(ReplayView::from).collect();
    Ok(HttpResponse::Ok().json(ReplayPage { items, next }))
}

/// One replay, and how far it has come.
#[utoipa::path(
    get, path = "/api/v1/replays/{id}", tag = "replays", operation_id = "show_replay",
    params(("id" = i32, Path, description = "The replay")),
    responses((status = 200, description = "The replay", body = ReplayView), Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<ReplayId>,
) -> Result<HttpResponse, Problem> {
    let (id, scope) = (id.into_inner(), owner.scope());
    let found = state.store.run(Lane::Read, move |connection| replays::get(connection, scope, id)).await?;
    answer(found.as_ref())
}

/// Calls a replay off. What it has put back stays owed.
#[utoipa::path(
    post, path = "/api/v1/replays/{id}/cancel", tag = "replays", operation_id = "cancel_replay",
    params(("id" = i32, Path, description = "The replay")),
    responses((status = 200, description = "It is over", body = ReplayView), Missing, Always),
)]
pub(crate) async fn cancel(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<ReplayId>,
) -> Result<HttpResponse, Problem> {
    let (id, scope, now) = (id.into_inner(), owner.scope(), state.clock.now());
    let find = move |connection: &mut _| replays::get(connection, scope, id);
    let Some(present) = state.store.run(Lane::Read, find).await? else { return answer(None) };
    let whose = subscriptions::find(&state, &owner, present.filter.subscription).await?.owner;
    let author = Author::from(&*owner);
    let work = move |connection: &mut _| {
        let cancel = |connection: &mut _| replays::cancel(connection, scope, id, now);
        let told = |replay: &Option<Replay>| replay.as_ref().map(|replay| told_of("replay.cancel", replay, whose));
        audited(connection, &author, now, cancel, told)
    };
    answer(state.store.run(Lane::Write, work).await?.as_ref())
}

/// What is written down of a replay.
fn told_of(action: &'static str, replay: &Replay, owner: OwnerId) -> Entry {
    let told = serde_json::to_value(ReplayView::from(replay)).expect("texts and numbers serialise");
    Entry::order(action, format!("replay:{}", replay.id), Some(owner), told)
}

fn answer(replay: Option<&Replay>) -> Result<HttpResponse, Problem> {
    let replay = replay
        .ok_or_else(|| Problem::not_found("There is no replay with this id, or its subscription is not yours."))?;
    Ok(HttpResponse::Ok().json(ReplayView::from(replay)))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn ordered(json: &str) -> Result<(Filter, Option<NonZeroU16>), StatusCode> {
        let read = read(&Bytes::copy_from_slice(json.as_bytes()), NOW);
        read.map(|(_, filter, pace)| (filter, pace)).map_err(|problem| problem.status())
    }

    #[test]
    fn without_more_words_all_that_was_given_up_is_meant() {
        let (filter, pace) = ordered(r#"{"subscription": 7}"#).expect("a valid order");
        assert_eq!(filter.states, DEFAULT_STATES);
        assert_eq!((filter.from, filter.to, filter.event_type, pace), (None, NOW, None, None));
    }

    #[test]
    fn the_future_cannot_be_replayed() {
        let (filter, _) = ordered(r#"{"subscription": 7, "to": "2100-01-01T00:00:00Z"}"#).expect("a valid order");
        assert_eq!(filter.to, NOW);
        assert_eq!(
            ordered(r#"{"subscription": 7, "from": "2100-01-01T00:00:00Z"}"#).map(drop),
            Err(StatusCode::UNPROCESSABLE_ENTITY)
        );
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused() {
        for json in [
            r#"{"subscription": 7, "states": []}"#,
            r#"{"subscription": 7, "states": ["dead", "pending"]}"#,
            r#"{"subscription": 7, "states": ["failed"]}"#,
            r#"{"subscription": 7, "from": "yesterday"}"#,
            r#"{"subscription": 7, "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}"#,
            r#"{"subscription": 7, "event_type": "no type"}"#,
            r#"{"subscription": 7, "per_second": 0}"#,
            r#"{"subscription": 7, "per_second": 10001}"#,
        ] {
            assert_eq!(ordered(json).map(drop), Err(StatusCode::UNPROCESSABLE_ENTITY), "{json}");
        }
        for json in ["{}", r#"{"subscription": 7"#, r#"{"subscription": "7"}"#, r#"{"subscription": 7, "pace": 1}"#] {
            assert_eq!(ordered(json).map(drop), Err(StatusCode::BAD_REQUEST), "{json}");
        }
    }
}
