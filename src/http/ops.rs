//! For whoever runs the engine: is it alive, can it accept.

use actix_web::{HttpResponse, web::Data};
use serde_json::json;

use super::{State, problem::Problem};
use crate::store::{Lane, owners};

/// 200 while the process serves requests.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// 200 while events can be accepted: the router runs and the database answers; else 503.
pub(super) async fn readyz(state: Data<State>) -> Result<HttpResponse, Problem> {
    if !state.router.connected() {
        return Err(Problem::unavailable());
    }
    state.store.run(Lane::Read, |connection| owners::find_by_name(connection, "admin")).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
