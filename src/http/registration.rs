//! Subscriptions written by the native API: a new one, a change, the end of one.
//!
//! Each answer brings an `ETag`, the version of what was decided; `If-Match` keeps two people from undoing each other.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path},
};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    State,
    address::refused_address,
    auth::Caller,
    body::{Body, read_json},
    naming::owner_named,
    openapi::{Always, BadBody, Forbidden, Missing, Outdated, Registered},
    problem::Problem,
    subscriptions::{SubscriptionDetails, find, no_such_subscription, publish, shown, view},
    terms::{ENDPOINT, EVENT_TYPE, NewSubscription, Reading, SubscriptionFields},
};
use crate::{
    domain::{
        audit::{Author, Entry},
        edits::Edits,
        event_type::EventType,
        id::{OwnerId, SubscriptionId},
        owner::Owner,
        secret::Secret,
        subscription::Subscription,
    },
    store::{
        Lane,
        audit::{audited, audited_change},
        subscriptions::{self, Change},
    },
};

/// Which versions a change may be made to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    Any,
    OneOf(Vec<i64>),
}

impl Expected {
    /// Reads `If-Match` (RFC 9110, section 13.1.1). What is no `ETag` of ours matches nothing.
    fn by(request: &HttpRequest) -> Self {
        let mut given = request.headers().get_all(header::IF_MATCH).peekable();
        if given.peek().is_none() {
            return Self::Any;
        }
        let tags: Vec<&str> =
            given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
        if tags.iter().any(|tag| tag.trim() == "*") {
            return Self::Any;
        }
        let version = |tag: &&str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Self::OneOf(tags.iter().filter_map(version).collect())
    }

    fn includes(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// A new subscription. Without `secret` one is made and shown in this answer only; `null` asks for unsigned deliveries. An
/// admin may name its `owner`.
#[utoipa::path(
    post, path = "/api/v1/subscriptions", tag = "subscriptions", operation_id = "create_subscription",
    request_body(content = NewSubscription, example = json!({
        "event_type": "package.status.shipped", "endpoint": "https://shop.example/webhooks",
        "retry": {"choice": "fixed", "kwargs": {"seconds": 60}}
    })),
    responses(
        (status = 201, description = "It stands", body = SubscriptionDetails, headers(
            ("ETag" = String, description = "Its version"),
            ("Location" = String, description = "Where it can be looked at and changed"),
        )),
        BadBody, Forbidden, Registered, Always,
    ),
)]
pub(crate) async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let mut members: Map<String, Value> = read_json(&body)?;
    let owner = owner_in(&state, &caller, &mut members).await?;
    let mut reading = Reading::of(&members);
    reading.demand(&members);
    check_type(&state, &mut reading, None);
    check_address(&state, &mut reading).await;
    let edits = reading.edits()?;
    let mut terms = edits.to_new_terms().ok_or_else(|| Problem::internal(&"what was demanded is missing"))?;
    let made = (!members.contains_key("secret")).then(|| Secret::whsec(&rand::random()));
    if made.is_some() {
        terms.set_secret(made.clone());
    }
    let (now, keys) = (state.clock.now(), state.store.keys());
    let registered = terms.clone();
    let author = Author::from(&*caller);
    let work = move |connection: &mut _| {
        let create = |connection: &mut _| subscriptions::create(connection, &keys, owner, &terms, now);
        audited(connection, &author, now, create, told_of_creation)
    };
    let change = state.store.run(Lane::Write, work).await?;
    if change == Change::AlreadyRegistered {
        let find = move |connection: &mut _| subscriptions::find_registered(connection, owner, &registered);
        return Err(Problem::already_registered(state.store.run(Lane::Read, find).await?));
    }
    let subscription = made_known(&state, change).await?;
    let mut view = view(&state, &subscription).await?;
    view.secret = made.map(|made| made.reveal().to_owned());
    let location = format!("/api/v1/subscriptions/{}", subscription.id);
    Ok(tagged(StatusCode::CREATED, &subscription).insert_header((header::LOCATION, location)).json(view))
}

/// What is written down of a new subscription.
pub(super) fn told_of_creation(change: &Change) -> Option<Entry> {
    match change {
        Change::Made(made) => Entry::subscription("subscription.create", None, made),
        Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound => None,
    }
}

/// Whose the new subscription is to be: the caller's unless an admin says otherwise.
async fn owner_in(state: &State, caller: &Owner, members: &mut Map<String, Value>) -> Result<OwnerId, Problem> {
    match members.remove("owner") {
        None => Ok(caller.id),
        Some(named) => {
            let named = serde_json::from_value(named)
                .map_err(|_| Problem::invalid("\"owner\" must be the name or the id of an owner."))?;
            owner_named(state, caller, named).await
        }
    }
}

/// Changes what is named in the body, for those that wait too; `null` means the default, or none.
#[utoipa::path(
    patch, path = "/api/v1/subscriptions/{id}", tag = "subscriptions", operation_id = "change_subscription",
    params(
        ("id" = i32, Path, description = "The subscription"),
        ("If-Match" = Option<String>, Header, description = "An ETag: only while it is of this version"),
    ),
    request_body(content = SubscriptionFields, example = json!({"ordering": "key", "rate": {"per_second": 50}})),
    responses(
        (status = 200, description = "It is changed", body = SubscriptionDetails,
            headers(("ETag" = String, description = "Its version"))),
        BadBody, Missing, Registered, Outdated, Always,
    ),
)]
pub(super) async fn change(
    request: HttpRequest,
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let expected = Expected::by(&request);
    let changed = change_expected(&state, &owner, id.into_inner(), &body, expected).await?;
    Ok(tagged(StatusCode::OK, &changed).json(view(&state, &changed).await?))
}

/// Makes the change that `body` says, as [`change`] does, of this version only.
///
/// # Errors
/// What [`change`] refuses.
pub(crate) async fn change_version(
    state: &State,
    owner: &Owner,
    id: SubscriptionId,
    body: &Bytes,
    version: i64,
) -> Result<Arc<Subscription>, Problem> {
    change_expected(state, owner, id, body, Expected::OneOf(vec![version])).await
}

async fn change_expected(
    state: &State,
    owner: &Owner,
    id: SubscriptionId,
    body: &Bytes,
    expected: Expected,
) -> Result<Arc<Subscription>, Problem> {
    let members: Map<String, Value> = read_json(body)?;
    let present = find(state, owner, id).await?;
    let mut reading = Reading::of(&members);
    // What GET shows may be sent back: user and password, which it does not show, stay where they are.
    if members.get(ENDPOINT).and_then(Value::as_str) == Some(&*shown(&present.terms.target_url)) {
        reading.keep_endpoint();
    }
    // Of a subscription that is over, the type may have been deleted.
    let resumed = reading.activates().then_some(&present.terms.event_type);
    check_type(state, &mut reading, resumed);
    check_address(state, &mut reading).await;
    let edits = reading.edits()?;
    make(state, owner, &present, edits, "subscription.change", expected).await
}

/// Ends a subscription: it gets nothing any more, what it is owed is cancelled, and it stays listed as inactive with what it
/// was sent.
#[utoipa::path(
    delete, path = "/api/v1/subscriptions/{id}", tag = "subscriptions", operation_id = "end_subscription",
    params(
        ("id" = i32, Path, description = "The subscription"),
        ("If-Match" = Option<String>, Header, description = "An ETag: only while it is of this version"),
    ),
    responses((status = 204, description = "It is over"), Missing, Registered, Outdated, Always),
)]
pub(super) async fn delete(
    request: HttpRequest,
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    end_expected(&state, &owner, id.into_inner(), Expected::by(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends a subscription as [`delete`] does, whatever its version.
///
/// # Errors
/// What [`delete`] refuses.
pub(crate) async fn end(state: &State, owner: &Owner, id: SubscriptionId) -> Result<(), Problem> {
    end_expected(state, owner, id, Expected::Any).await
}

async fn end_expected(state: &State, owner: &Owner, id: SubscriptionId, expected: Expected) -> Result<(), Problem> {
    let present = find(state, owner, id).await?;
    make(state, owner, &present, Edits::deactivation(), "subscription.delete", expected).await?;
    Ok(())
}

async fn make(
    state: &State,
    owner: &Owner,
    present: &Subscription,
    edits: Edits,
    action: &'static str,
    expected: Expected,
) -> Result<Arc<Subscription>, Problem> {
    if expected.includes(present.version) && edits.apply(&present.terms) == present.terms {
        return Ok(Arc::new(present.clone()));
    }
    let (scope, keys, now, id) = (owner.scope(), state.store.keys(), state.clock.now(), present.id);
    let (owner_id, changed) = (present.owner, edits.apply(&present.terms));
    let author = Author::from(owner);
    let work = move |connection: &mut _| {
        let includes = |version| expected.includes(version);
        let change = |connection: &mut _| {
            subscriptions::change_version(connection, &keys, scope, id, includes, &|terms| edits.apply(terms), now)
        };
        audited_change(connection, &keys, (&author, action, now), id, change)
    };
    let change = state.store.run(Lane::Write, work).await?;
    if change == Change::AlreadyRegistered {
        let find = move |connection: &mut _| subscriptions::find_registered(connection, owner_id, &changed);
        return Err(Problem::already_registered(state.store.run(Lane::Read, find).await?));
    }
    made_known(state, change).await
}

/// Lets a change take effect before it is answered.
async fn made_known(state: &State, change: Change) -> Result<Arc<Subscription>, Problem> {
    match change {
        Change::Made(subscription) => {
            let subscription = Arc::new(*subscription);
            publish(state, &subscription).await?;
            Ok(subscription)
        }
        Change::Outdated(version) => Err(Problem::outdated(version)),
        Change::NotFound => Err(no_such_subscription()),
        Change::AlreadyRegistered => Err(Problem::already_registered(None)),
    }
}

/// Events of a type that nobody registered never come. `present` is the type if none is given.
fn check_type(state: &State, reading: &mut Reading, present: Option<&EventType>) {
    let unknown = reading
        .event_type()
        .or(present)
        .filter(|event_type| !event_type.is_operational() && state.catalogue.find(event_type.as_str()).is_err());
    if let Some(unknown) = unknown.cloned() {
        let detail = format!("\"{EVENT_TYPE}\": {unknown} is no registered event type, see /api/v1/event-types.");
        reading.refuse(EVENT_TYPE, detail);
    }
}

async fn check_address(state: &State, reading: &mut Reading) {
    let Some(endpoint) = reading.endpoint() else { return };
    if let Some(refusal) = refused_address(state, &endpoint).await {
        reading.refuse(ENDPOINT, format!("\"{ENDPOINT}\": {refusal}."));
    }
}

/// An answer about `subscription`, with its `ETag`.
pub(super) fn tagged(status: StatusCode, subscription: &Subscription) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::ETAG, format!("\"{}\"", subscription.version)));
    answer
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn if_match_names_versions() {
        let expected = |values: &[&str]| {
            let request = values.iter().fold(TestRequest::default(), |r, value| r.append_header(("If-Match", *value)));
            Expected::by(&request.to_http_request())
        };
        assert_eq!(expected(&[]), Expected::Any);
        assert_eq!(expected(&["*"]), Expected::Any);
        assert_eq!(expected(&["\"7\", \"8\"", "\"9\""]), Expected::OneOf(vec![7, 8, 9]));
        // Weak tags, and what never was one, match nothing.
        for value in ["W/\"7\"", "7", "\"seven\"", ""] {
            assert_eq!(expected(&[value]), Expected::OneOf(Vec::new()), "{value:?}");
        }
        assert!(!Expected::OneOf(vec![7]).includes(8));
    }
}
