//! `/whisperer/hooks/`: hooks, which are subscriptions (contract, sections 3 to 6).

use std::sync::Arc;

use actix_web::{HttpRequest, http::StatusCode, web::Payload};

use super::{
    super::{address::refused_address, registration::told_of_creation, subscriptions::publish as tell_router},
    Asked,
    answer::{Answer, Served},
    body,
    fields::{self, Purpose, Reading},
    filters::Filters,
    format::escape_line_ends,
    list, ordering,
    ordering::Column,
    route::Id,
    webhook::Webhook,
};
use crate::{
    domain::{
        audit::Author, edits::Edits, endpoint::Endpoint, event_type::OMS_EVENT_TYPES, id::SubscriptionId,
        subscription::Subscription,
    },
    store::{
        Lane,
        audit::{audited, audited_change},
        lists::registered::{Key, Registered},
        subscriptions::{self, Change},
    },
};

/// The columns of the reference's table.
const COLUMNS: [Column<Key>; 12] = [
    ("id", Some(Key::Id)),
    ("created_date", Some(Key::CreatedAt)),
    ("modified_date", Some(Key::ModifiedAt)),
    ("user", Some(Key::Owner)),
    ("target_url", Some(Key::TargetUrl)),
    ("is_active", Some(Key::IsActive)),
    ("secret_key", Some(Key::Secret)),
    ("event_type", Some(Key::EventType)),
    ("callback", Some(Key::Callback)),
    ("retry_countdown_config", None),
    ("additional_headers", None),
    ("config", None),
];

/// Hooks in scope.
pub(super) async fn index(asked: &Asked<'_>) -> Served {
    let mut filters = Filters::new(&asked.query);
    let list = Registered {
        scope: asked.owner.scope(),
        target_url: filters.text("target_url"),
        is_active: filters.boolean("is_active"),
        event_type: filters.text("event_type"),
        order: ordering::read(&asked.query, &COLUMNS),
    };
    filters.faults().map_err(|faults| Answer::faults(&faults))?;
    list::serve(asked, list, entry).await
}

fn entry(subscription: &Subscription) -> String {
    escape_line_ends(serde_json::to_string(&Webhook::from(subscription)).expect("a hook serialises"))
}

/// The event types that hooks may have, in the order of their registration.
pub(super) fn registry() -> Answer {
    Answer::ok(&OMS_EVENT_TYPES)
}

/// A new hook.
pub(super) async fn create(asked: &Asked<'_>, request: &HttpRequest, payload: Payload) -> Served {
    let edits = read(asked, request, payload, Purpose::Create).await?;
    let terms = edits.to_new_terms().ok_or_else(Answer::server_error)?;
    let (owner, now, keys) = (asked.owner.id, asked.state.clock.now(), asked.state.store.keys());
    let author = Author::from(&*asked.owner);
    let work = move |connection: &mut _| {
        let create = |connection: &mut _| subscriptions::create(connection, &keys, owner, &terms, now);
        audited(connection, &author, now, create, told_of_creation)
    };
    let change = asked.state.store.run(Lane::Write, work).await?;
    let subscription = publish(asked, change).await?;
    Ok(Answer::json(StatusCode::CREATED, &Webhook::from(&*subscription)))
}

/// One hook.
pub(super) async fn show(asked: &Asked<'_>, id: Id) -> Served {
    let subscription = find(asked, id).await?;
    Ok(Answer::ok(&Webhook::from(&subscription)))
}

/// A change to a hook, by PUT or PATCH.
pub(super) async fn update(
    asked: &Asked<'_>,
    id: Id,
    purpose: Purpose,
    request: &HttpRequest,
    payload: Payload,
) -> Served {
    let id = find(asked, id).await?.id;
    let edits = read(asked, request, payload, purpose).await?;
    let subscription = change(asked, id, edits, "subscription.change").await?;
    Ok(Answer::ok(&Webhook::from(&*subscription)))
}

/// The end of a hook: it stays, inactive.
pub(super) async fn delete(asked: &Asked<'_>, id: Id) -> Served {
    let id = find(asked, id).await?.id;
    change(asked, id, Edits::deactivation(), "subscription.delete").await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

async fn find(asked: &Asked<'_>, id: Id) -> Result<Subscription, Answer> {
    let id = id.and_then(|id| i32::try_from(id).ok()).map(SubscriptionId::from_raw).ok_or_else(Answer::not_found)?;
    let (scope, keys) = (asked.owner.scope(), asked.state.store.keys());
    let work = move |connection: &mut _| subscriptions::get(connection, &keys, scope, id);
    let found = asked.state.store.run(Lane::Read, work).await?;
    found.ok_or_else(Answer::not_found)
}

async fn read(asked: &Asked<'_>, request: &HttpRequest, payload: Payload, purpose: Purpose) -> Result<Edits, Answer> {
    let mut reading = fields::read(&body::read(request, payload).await?, purpose);
    check_address(asked, &mut reading).await;
    reading.edits().map_err(|faults| Answer::faults(&faults))
}

/// Where the egress guard would refuse to go is refused when it is written, so that somebody notices.
async fn check_address(asked: &Asked<'_>, reading: &mut Reading) {
    let Some(Ok(endpoint)) = reading.target_url().map(Endpoint::parse) else { return };
    if let Some(refusal) = refused_address(asked.state, &endpoint).await {
        reading.refuse_target_url(refusal);
    }
}

async fn change(
    asked: &Asked<'_>,
    id: SubscriptionId,
    edits: Edits,
    action: &'static str,
) -> Result<Arc<Subscription>, Answer> {
    let (scope, now, keys) = (asked.owner.scope(), asked.state.clock.now(), asked.state.store.keys());
    let author = Author::from(&*asked.owner);
    let work = move |connection: &mut _| {
        let change = |connection: &mut _| {
            subscriptions::change_terms(connection, &keys, scope, id, &|terms| edits.apply(terms), now)
        };
        audited_change(connection, &keys, (&author, action, now), id, change)
    };
    let change = asked.state.store.run(Lane::Write, work).await?;
    publish(asked, change).await
}

/// Lets events be matched and attempts be made by what was written, before it is answered.
async fn publish(asked: &Asked<'_>, change: Change) -> Result<Arc<Subscription>, Answer> {
    match change {
        Change::Made(subscription) => {
            let subscription = Arc::new(*subscription);
            tell_router(asked.state, &subscription).await.map_err(|_| Answer::unavailable())?;
            Ok(subscription)
        }
        Change::AlreadyRegistered => Err(Answer::code("webhook_100_2", "Webhook already registered")),
        // The contract's changes expect no version.
        Change::NotFound | Change::Outdated(_) => Err(Answer::not_found()),
    }
}
