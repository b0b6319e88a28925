//! For whoever runs the engine: is it alive, can it accept.

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;

use super::{State, openapi::Troubled, problem::Problem};
use crate::store::{Lane, owners};

/// How the engine is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// 200 while the process serves requests.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "It serves", body = Health)),
)]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// 200 while events can be accepted: the router runs and the database answers; else 503.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, description = "It can accept events", body = Health), Troubled),
)]
pub(super) async fn readyz(state: Data<State>) -> Result<HttpResponse, Problem> {
    if !state.router.connected() {
        return Err(Problem::unavailable());
    }
    state.store.run(Lane::Read, |connection| owners::find_by_name(connection, "admin")).await?;
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}
