//! HTTP: what may be asked of the engine, by whom, and in which words it answers.
//!
//! Handlers read a request, call the store or an actor, and word the answer. The native API lives under `/api/v1` and
//! speaks `application/problem+json` when it refuses; the contract of the integrators lives in [`whisperer`], which alone
//! knows its names and its error bodies.

#![allow(unused_qualifications, reason = "utoipa's macros qualify what they are given")]

pub(crate) mod address;
mod attempts;
mod audit;
pub mod auth;
mod batch;
pub(crate) mod body;
mod bulk_holds;
mod by_hand;
mod catalogue;
pub(crate) mod deliveries;
pub(crate) mod delivery_filter;
mod erasures;
mod event_types;
mod events;
pub(crate) mod holds;
pub(crate) mod interventions;
pub(crate) mod live;
pub mod metrics;
mod naming;
mod openapi;
mod ops;
pub(crate) mod problem;
pub(crate) mod published;
pub(crate) mod registration;
pub(crate) mod replays;
mod routes;
pub(crate) mod secrets;
mod stats;
mod submission;
pub(crate) mod subscriptions;
pub mod survey;
mod terms;
pub(crate) mod time;
pub(crate) mod traces;
pub(crate) mod trials;
pub(crate) mod users;
mod whisperer;

use std::{num::NonZeroUsize, time::Duration};

use actix::Addr;
use actix_web::{
    HttpResponse, Route,
    web::{self, ServiceConfig, delete, get, patch, post, put},
};

pub use self::whisperer::{StoredTerms, stored_terms};
use self::{
    auth::Tokens,
    body::MaxBytes,
    openapi::Document,
    problem::Problem,
    routes::{Routes, resource},
    survey::Survey,
};
pub use self::{catalogue::Catalogue, trials::Trials};
use crate::{
    actors::{admission::Admission, door::Door, gauges::Gauges, router::Router, tally::Tally},
    clock::Clock,
    domain::token::TokenDigest,
    egress::Guard,
    metrics::Metrics,
    store::Store,
};

/// How long a client may take to send the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What handlers work with; cloning shares it.
#[derive(Clone)]
pub struct State {
    /// The truth.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Where events and changes of subscriptions go.
    pub router: Addr<Router>,
    /// Where webhooks may go.
    pub guard: Guard,
    /// How much may wait to be accepted.
    pub admission: Admission,
    /// Who is who.
    pub tokens: Tokens,
    /// The event types that there are.
    pub catalogue: Catalogue,
    /// Attempts that were added up and are not written down yet.
    pub tally: Tally,
    /// How many trials may be under way.
    pub trials: Trials,
    /// What is counted.
    pub metrics: Metrics,
    /// What can be read off.
    pub gauges: Gauges,
    /// Who is owed what.
    pub survey: Survey,
    /// The digest of the token that opens `/metrics`.
    pub metrics_token: Option<TokenDigest>,
    /// Entries on a page of the contract's lists; `None` for plain lists.
    pub page_size: Option<NonZeroUsize>,
}

/// Every route. An app that is given this needs nothing else.
pub fn configure(app: &mut ServiceConfig, state: State) {
    app.app_data(web::Data::new(Door::new(state.router.clone().recipient())))
        .app_data(web::Data::new(state))
        .app_data(web::Data::new(Document::default()))
        .app_data(body::query_config())
        .app_data(body::path_config())
        .configure(|app| native().serve(app))
        .configure(whisperer::configure)
        .default_service(web::to(not_found));
}

/// The routes of the native API. Each is in the document, too: a test compares them.
fn native() -> Routes {
    Routes::default()
        .service(resource("/healthz", "GET, HEAD", [get().to(ops::healthz), head(ops::healthz)]))
        .service(resource("/metrics", "GET, HEAD", [get().to(metrics::show), head(metrics::show)]))
        .service(resource("/readyz", "GET, HEAD", [get().to(ops::readyz), head(ops::readyz)]))
        .service(
            resource("/api/v1/events", "GET, POST", [get().to(published::list), post().to(events::accept)])
                .app_data(MaxBytes(events::MAX_BODY_BYTES)),
        )
        .service(
            resource("/api/v1/events/batch", "POST", [post().to(batch::accept)])
                .app_data(MaxBytes(batch::MAX_BODY_BYTES)),
        )
        .service(resource(
            "/api/v1/events/{id}",
            "GET, DELETE",
            [get().to(published::show), delete().to(erasures::erase_event)],
        ))
        .service(resource("/api/v1/events/{id}/redeliver", "POST", [post().to(published::redeliver)]))
        .service(resource("/api/v1/event-types", "GET", [get().to(event_types::list)]))
        .service(resource(
            "/api/v1/event-types/{name}",
            "GET, PUT, DELETE",
            [get().to(event_types::show), put().to(event_types::put), delete().to(event_types::delete)],
        ))
        .service(resource(
            "/api/v1/subscriptions",
            "GET, POST",
            [get().to(subscriptions::list), post().to(registration::create)],
        ))
        .service(resource(
            "/api/v1/subscriptions/{id}",
            "GET, PATCH, DELETE",
            [get().to(subscriptions::show), patch().to(registration::change), delete().to(registration::delete)],
        ))
        .service(resource("/api/v1/subscriptions/{id}/pause", "POST", [post().to(holds::pause)]))
        .service(resource("/api/v1/subscriptions/{id}/resume", "POST", [post().to(holds::resume)]))
        .service(resource("/api/v1/subscriptions/{id}/rotate-secret", "POST", [post().to(secrets::rotate)]))
        .service(resource("/api/v1/subscriptions/{id}/stats", "GET", [get().to(stats::show)]))
        .service(resource("/api/v1/subscriptions/{id}/test", "POST", [post().to(trials::order)]))
        .service(resource(
            "/api/v1/subscriptions/{id}/erase",
            "GET, POST",
            [get().to(erasures::show), post().to(erasures::order)],
        ))
        .service(resource("/api/v1/holds", "POST", [post().to(bulk_holds::hold)]))
        .service(resource("/api/v1/holds/release", "POST", [post().to(bulk_holds::release)]))
        .service(resource("/api/v1/deliveries", "GET", [get().to(deliveries::list)]))
        .service(resource("/api/v1/deliveries/{id}", "GET", [get().to(deliveries::show)]))
        .service(resource("/api/v1/deliveries/{id}/redeliver", "POST", [post().to(deliveries::redeliver)]))
        .service(resource("/api/v1/deliveries/{id}/cancel", "POST", [post().to(deliveries::cancel)]))
        .service(resource("/api/v1/deliveries/{id}/skip", "POST", [post().to(interventions::skip)]))
        .service(resource("/api/v1/deliveries/{id}/set-aside", "POST", [post().to(interventions::set_aside)]))
        .service(resource("/api/v1/deliveries/{id}/release", "POST", [post().to(interventions::release)]))
        .service(resource("/api/v1/replays", "GET, POST", [get().to(replays::list), post().to(replays::order)]))
        .service(resource("/api/v1/replays/{id}", "GET", [get().to(replays::show)]))
        .service(resource("/api/v1/replays/{id}/cancel", "POST", [post().to(replays::cancel)]))
        .service(resource("/api/v1/users", "GET, POST", [get().to(users::list), post().to(users::add)]))
        .service(resource("/api/v1/users/{id}", "PATCH", [patch().to(users::change)]))
        .service(resource(
            "/api/v1/users/{id}/tokens",
            "GET, POST",
            [get().to(users::tokens), post().to(users::add_token)],
        ))
        .service(resource("/api/v1/users/{id}/tokens/{token}", "DELETE", [delete().to(users::revoke)]))
        .service(resource("/api/v1/audit", "GET", [get().to(audit::list)]))
        .service(resource("/api/openapi.json", "GET, HEAD", [get().to(openapi::show), head(openapi::show)]))
        .service(resource("/api/docs", "GET, HEAD", [get().to(openapi::page), head(openapi::page)]))
}

fn head<F, Args>(handler: F) -> Route
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    web::head().to(handler)
}

async fn not_found() -> HttpResponse {
    Problem::not_found("There is nothing at this path.").into_response()
}
