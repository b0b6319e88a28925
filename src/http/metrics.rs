//! `GET /metrics`: what the engine counts of itself, for a monitoring system.
//!
//! Open to the token of `POSTRIDER_METRICS_TOKEN`, which opens nothing else and needs no database, and to admins.

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Data,
};
use subtle::ConstantTimeEq;

use super::{
    State,
    auth::{owner_of, token_in},
    openapi::{Always, Forbidden},
    problem::Problem,
    survey::Surveyed,
};
use crate::{
    domain::{owner::Role, token::token_digest},
    metrics::{Format, Process, Readings, expose},
};

/// What the engine counts of itself, for a monitoring system.
///
/// Needs the token of `POSTRIDER_METRICS_TOKEN`, or an admin's.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses(
        (status = 200, description = "Prometheus' text format, or OpenMetrics for whoever accepts it", content(
            (String = "text/plain"), (String = "application/openmetrics-text"),
        )),
        Forbidden, Always,
    ),
)]
pub(super) async fn show(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    may_read(&request, &state).await?;
    let Surveyed { owed, is_database_up } = state.survey.of(&state).await;
    let readings = Readings { owed, is_database_up, process: Process::read(), ..state.gauges.read(state.clock.now()) };
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    let page = expose(&state.metrics, readings, format);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, format.content_type())).body(page))
}

/// # Errors
/// 401 without a token that may, 403 for owners who are no admins, 503 when the database cannot say who asks.
async fn may_read(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if let Some(known) = &state.metrics_token
        && let Ok(given) = token_in(request)
        && bool::from(token_digest(given).ct_eq(known))
    {
        return Ok(());
    }
    match owner_of(request, state).await?.role {
        Role::Admin => Ok(()),
        Role::Publisher | Role::Subscriber => {
            Err(Problem::forbidden("Metrics need the token that is set for them, or the role admin."))
        }
    }
}

/// Counts the answer to each request.
///
/// # Errors
/// Those of whoever answers.
pub async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let state = request.app_data::<Data<State>>().cloned();
    let answer = next.call(request).await?;
    if let Some(state) = state {
        state.metrics.answered(answer.status().as_u16());
    }
    Ok(answer)
}
