//! Pages for people, at `/`: rendered here, complete without script, and with nothing from elsewhere.
//!
//! They are made of what the API is made of: a page reads the store and asks the actors as a handler of the API does, and
//! orders things through these handlers, so that what is refused there is refused here, in the same words ([`orders`]). Who
//! looks has logged in with a token ([`session`]) and sees what its owner sees; what belongs to somebody else is not there.
//!
//! One file for each page, and [`parts`] for what several share. Every query is one of the API's, or as bounded.

#![allow(clippy::needless_pass_by_value, reason = "markup is made where it is put, and goes in there as a whole")]

mod admin;
mod answer;
mod assets;
mod bin;
pub mod bins;
mod deliveries;
mod delivery;
mod delivery_orders;
mod delivery_request;
mod event;
mod events;
mod form;
mod layout;
mod login;
mod orders;
mod overview;
mod parts;
mod playground;
pub mod pulse;
mod query;
mod queue;
mod redeliver;
mod replays;
mod rows;
mod session;
mod subscription;
mod subscription_fields;
mod subscription_form;
mod subscription_orders;
mod subscription_settings;
mod subscriptions;
mod told;
mod user;
mod verifier;
mod way;

use std::sync::Arc;

use actix_web::{
    Error, HttpRequest, HttpResponse, Route, guard,
    http::header,
    web::{self, Data, PathConfig, QueryConfig, ServiceConfig, post},
};

use self::{answer::Refusal, bins::Bins, pulse::Pulse};
pub use self::{login::Doors, session::Sessions};
use crate::http::{body::MaxBytes, problem::Problem};

/// What pages keep beside the state of the API; cloning shares it.
#[derive(Clone, Default)]
pub struct Pages {
    /// Who is logged in.
    pub sessions: Sessions,
    /// How many are refused at the login at once.
    pub doors: Doors,
    /// How the engine did in the last hour.
    pub pulse: Pulse,
    /// What was sent to the bins of the playground.
    pub bins: Bins,
    /// What the engine was told when it started: names and values, none of them secret.
    pub settings: Arc<[(&'static str, String)]>,
}

/// Every page. The app is given the API's state and routes first: whatever they do not take comes here.
pub fn configure(app: &mut ServiceConfig, pages: Pages) {
    let pages = web::scope("")
        .app_data(Data::new(pages))
        .app_data(path_config())
        .app_data(query_config())
        .route("/login", seen().to(login::show))
        .service(web::resource("/login").guard(guard::Post()).app_data(MaxBytes(login::MAX_BYTES)).to(login::log_in))
        .route("/logout", post().to(login::log_out))
        .route("/assets/{name}", seen().to(assets::serve))
        .route("/", seen().to(overview::show))
        .route("/subscriptions", seen().to(subscriptions::list))
        .route("/subscriptions/new", seen().to(subscription_form::new))
        .route("/subscriptions/new", post().to(subscription_form::create))
        .route("/subscriptions/{id}", seen().to(subscription::show))
        .route("/subscriptions/{id}", post().to(subscription_orders::order))
        .route("/subscriptions/{id}/edit", seen().to(subscription_form::edit))
        .route("/subscriptions/{id}/edit", post().to(subscription_form::save))
        .route("/deliveries", seen().to(deliveries::list))
        .route("/deliveries/redeliver", seen().to(redeliver::ask))
        .route("/deliveries/redeliver", post().to(redeliver::order))
        .route("/deliveries/{id}", seen().to(delivery::show))
        .route("/deliveries/{id}", post().to(delivery_orders::order))
        .route("/events", seen().to(events::list))
        .route("/events/{id}", seen().to(event::show))
        .route("/events/{id}", post().to(event::order))
        .route("/replays", seen().to(replays::list))
        .route("/replays", post().to(replays::order))
        .route("/replays/{id}", post().to(replays::cancel))
        .route("/playground", seen().to(playground::show))
        .route("/playground", post().to(playground::order))
        .route("/playground/bins/{id}", seen().to(bin::show))
        .route("/playground/bins/{id}", post().to(bin::order))
        .service(web::resource("/bin/{id}").app_data(MaxBytes(bins::MAX_BYTES)).to(bins::receive))
        .route("/admin", seen().to(admin::show))
        .route("/admin", post().to(admin::add))
        .route("/admin/users/{id}", seen().to(user::show))
        .route("/admin/users/{id}", post().to(user::order));
    app.service(pages.default_service(web::to(nothing)));
}

/// A page as a whole, or its head alone.
fn seen() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// What is not found is told as a page to whoever reads pages, and as the API tells it to everybody else.
async fn nothing(request: HttpRequest) -> Result<HttpResponse, Error> {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_of_programs = ["/api/", "/whisperer/"].iter().any(|path| request.path().starts_with(path));
    let problem = Problem::not_found("There is nothing at this path.");
    if accept.contains("text/html") && !is_of_programs {
        return Err(Refusal::from(problem).into());
    }
    Err(problem.into())
}

/// A path whose id is none names nothing.
fn path_config() -> PathConfig {
    PathConfig::default()
        .error_handler(|_, _| Refusal::from(Problem::not_found("There is nothing with this id.")).into())
}

fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        Refusal::from(Problem::malformed(format!("The query string is not valid: {error}."))).into()
    })
}
