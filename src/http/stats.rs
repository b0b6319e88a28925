//! `GET /api/v1/subscriptions/{id}/stats`: rates, shares and percentiles, from what was added up; history is not read.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    auth::Caller,
    openapi::{Always, Malformed, Missing},
    problem::Problem,
    subscriptions::find,
    time::rfc3339,
};
use crate::{
    domain::{id::SubscriptionId, rollup::Rollup, time::Timestamp},
    store::{Lane, rollups},
};

/// How far back.
#[derive(Clone, Copy, Default, Deserialize)]
enum Window {
    #[default]
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
}

impl Window {
    const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }

    const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }
}

/// Which window; an hour unless it is named.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WindowQuery {
    /// `1h` or `24h`.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(1h|24h)$")]
    window: Window,
}

/// What became of a subscription's attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = Stats)]
pub(super) struct StatsView {
    window: &'static str,
    #[schema(format = DateTime)]
    from: String,
    #[schema(format = DateTime)]
    to: String,
    attempts: u64,
    succeeded: u64,
    failed: u64,
    /// Of the attempts; null without any.
    success_share: Option<f64>,
    attempts_per_second: f64,
    delivered: u64,
    dead: u64,
    expired: u64,
    delivered_per_second: f64,
    latency_ms: LatencyView,
}

/// How long attempts took, as exactly as the buckets tell.
#[derive(Serialize, ToSchema)]
#[schema(as = Latency)]
struct LatencyView {
    p50: Option<f64>,
    p95: Option<f64>,
}

impl StatsView {
    #[expect(clippy::cast_precision_loss, reason = "counts of attempts are far below 2⁵²")]
    fn new(sum: &Rollup, window: Window, now: Timestamp) -> Self {
        let seconds = window.length().as_secs_f64();
        let millis = |share| sum.percentile(share).map(|took| took.as_secs_f64() * 1_000.0);
        Self {
            window: window.name(),
            from: rfc3339(now.before(window.length())),
            to: rfc3339(now),
            attempts: sum.attempts(),
            succeeded: sum.succeeded,
            failed: sum.failed,
            success_share: (sum.attempts() > 0).then(|| sum.succeeded as f64 / sum.attempts() as f64),
            attempts_per_second: sum.attempts() as f64 / seconds,
            delivered: sum.delivered,
            dead: sum.dead,
            expired: sum.expired,
            delivered_per_second: sum.delivered as f64 / seconds,
            latency_ms: LatencyView { p50: millis(0.5), p95: millis(0.95) },
        }
    }
}

/// What came of the attempts of the last hour or day.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{id}/stats", tag = "subscriptions", operation_id = "show_stats",
    params(("id" = i32, Path, description = "The subscription"), WindowQuery),
    responses((status = 200, description = "Sums and shares", body = StatsView), Malformed, Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    query: Query<WindowQuery>,
) -> Result<HttpResponse, Problem> {
    let (id, now) = (find(&state, &owner, id.into_inner()).await?.id, state.clock.now());
    let since = now.before(query.window.length());
    // In this order, what is written down in between is left out once and not counted twice.
    let unwritten = state.tally.unwritten(id);
    let mut sum = state.store.run(Lane::Read, move |connection| rollups::sum(connection, id, since)).await?;
    sum.merge(&unwritten);
    Ok(HttpResponse::Ok().json(StatsView::new(&sum, query.window, now)))
}
