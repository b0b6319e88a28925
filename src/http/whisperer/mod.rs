//! The contract's HTTP interface: the routes, names and error bodies of dj-whisperer, which integrators already speak.
//!
//! Nothing outside of this module knows them. It translates: hooks are subscriptions, `hook_events` are deliveries with at
//! least one attempt, `event_queues` are deliveries that wait for their first.
//!
//! Every request is checked in the contract's order (section 2): the route, the token, the method, the object, the body, its
//! fields, and what is stored already.

mod answer;
mod body;
mod charset;
mod dates;
mod errors;
mod event_queues;
mod fields;
mod filters;
mod format;
mod hook_events;
mod hooks;
mod json;
mod list;
mod objects;
mod ordering;
mod query;
mod retry;
mod retry_config;
mod route;
mod rules;
mod stored;
mod text;
mod webhook;

use std::sync::Arc;

pub use stored::{StoredTerms, stored_terms};

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Data, Payload, ServiceConfig},
};
use serde_json::json;

use self::{
    answer::{Answer, Served, redirect},
    fields::Purpose,
    query::Query,
    route::{Found, PREFIX, Place},
};
use super::{State, auth::owner_of};
use crate::domain::owner::Owner;

/// Every route of the contract.
pub(super) fn configure(app: &mut ServiceConfig) {
    app.service(web::resource([PREFIX.to_owned(), format!("{PREFIX}/{{rest:.*}}")]).to(handle));
}

/// What every handler knows of a request.
struct Asked<'a> {
    state: &'a State,
    owner: Arc<Owner>,
    query: Query,
    /// Scheme and host as the client sees them.
    origin: String,
    path: &'a str,
}

impl Asked<'_> {
    /// The absolute URL of the request, without its query.
    fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

async fn handle(request: HttpRequest, state: Data<State>, payload: Payload) -> HttpResponse {
    let (path, method) = (request.path(), Method::of(request.method().as_str()));
    let place = match route::find(request.uri().path()) {
        Found::Nothing => return Answer::not_found().respond(None),
        Found::OtherFormat(place) => return Answer::not_found().respond(Some(place.allow())),
        Found::Place(place) => place,
        // The reference redirects writes too, and clients lose them on the way (contract, section 0).
        Found::WithoutSlash(place) if method.writes() => place,
        Found::WithoutSlash(_) => return redirect(request.uri().path(), request.query_string()),
    };
    let answer = match owner_of(&request, &state).await {
        Err(refused) => Answer::refused(&refused),
        Ok(owner) => {
            let query = Query::parse(request.query_string());
            let origin = origin(&request);
            let asked = Asked { state: &state, owner, query, origin, path };
            serve(&asked, place, method, &request, payload).await.unwrap_or_else(|refusal| refusal)
        }
    };
    answer.respond(Some(place.allow()))
}

fn origin(request: &HttpRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}", connection.scheme(), connection.host())
}

/// The methods that the contract knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

impl Method {
    fn of(name: &str) -> Self {
        match name.to_uppercase().as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    const fn writes(self) -> bool {
        match self {
            Self::Post | Self::Put | Self::Patch | Self::Delete => true,
            Self::Get | Self::Head | Self::Options | Self::Other => false,
        }
    }
}

async fn serve(asked: &Asked<'_>, place: Place, method: Method, request: &HttpRequest, payload: Payload) -> Served {
    match (place, method) {
        (_, Method::Options) => Ok(Answer::empty(StatusCode::OK)),
        (Place::Root, Method::Get | Method::Head) => Ok(root(asked)),
        (Place::Hooks, Method::Get | Method::Head) => hooks::index(asked).await,
        (Place::Hooks, Method::Post) => hooks::create(asked, request, payload).await,
        (Place::Registry, Method::Get | Method::Head) => Ok(hooks::registry()),
        (Place::Hook(id), Method::Get | Method::Head) => hooks::show(asked, id).await,
        (Place::Hook(id), Method::Put) => hooks::update(asked, id, Purpose::Replace, request, payload).await,
        (Place::Hook(id), Method::Patch) => hooks::update(asked, id, Purpose::Patch, request, payload).await,
        (Place::Hook(id), Method::Delete) => hooks::delete(asked, id).await,
        (Place::HookEvents, Method::Get | Method::Head) => hook_events::index(asked).await,
        (Place::HookEvent(id), Method::Get | Method::Head) => hook_events::show(asked, id).await,
        (Place::Retry(id), Method::Post) => retry::retry(asked, id, request, payload).await,
        (Place::EventQueues, Method::Get | Method::Head) => event_queues::index(asked).await,
        (Place::EventQueue(id), Method::Get | Method::Head) => event_queues::show(asked, id).await,
        (_, _) => Err(Answer::method_not_allowed(request.method().as_str())),
    }
}

/// Where everything is.
fn root(asked: &Asked<'_>) -> Answer {
    let url = |name: &str| format!("{}{PREFIX}/{name}/", asked.origin);
    Answer::ok(&json!({
        "hooks": url("hooks"),
        "hook_events": url("hook_events"),
        "event_queues": url("event_queues"),
    }))
}
