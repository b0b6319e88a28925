//! `/api/v1/replays`: many deliveries attempted again.

use std::num::NonZeroU16;

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Query},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    State,
    auth::Caller,
    body::{Body, read_json},
    deliveries::named_state,
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

/// The body of an order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    subscription: SubscriptionId,
    states: Option<Vec<String>>,
    from: Option<String>,
    to: Option<String>,
    event_type: Option<String>,
    per_second: Option<u32>,
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

/// A replay as the API shows it.
#[derive(Serialize)]
struct ReplayView<'a> {
    id: ReplayId,
    subscription: SubscriptionId,
    state: &'static str,
    states: Vec<&'static str>,
    from: Option<String>,
    to: String,
    event_type: Option<&'a str>,
    per_second: Option<NonZeroU16>,
    replayed: u64,
    skipped: u64,
    ordered_by: &'a str,
    ordered_at: String,
    ended_at: Option<String>,
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
pub(super) async fn order(
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
    Ok(HttpResponse::Ok().json(json!({ "dry_run": true, "deliveries": deliveries, "is_exact": is_exact })))
}

/// Which page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    before: Option<ReplayId>,
    limit: Option<u16>,
}

/// Replays, the newest first; `next` is the `before` of the next page.
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
    let items: Vec<_> = listed.iter().map(ReplayView::from).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items, "next": next })))
}

/// One replay, and how far it has come.
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
pub(super) async fn cancel(
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
