//! Erasing: one event, or all that a subscription was sent.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    openapi::{Always, Busy, Forbidden, Missing},
    problem::Problem,
    subscriptions::find,
    time::rfc3339,
};
use crate::{
    actors::erasing::{self, NotErased},
    domain::{
        audit::{Author, Entry},
        id::{DeliveryId, EventId, SubscriptionId},
        owner::{Owner, Role},
        subscription::Subscription,
    },
    store::{
        Lane,
        accept::last_minted,
        audit::audited,
        erase::{Erasure, erasure_of, order_erasure},
        events::{self, Whole},
    },
};

/// Erases an event with its payload, deliveries and attempts: 204 once nothing of it is left and nothing goes out any more.
///
/// For admins. An attempt in flight is waited for; when it takes too long the answer is 409: ask again for the rest.
#[utoipa::path(
    delete, path = "/api/v1/events/{id}", tag = "events", operation_id = "erase_event",
    params(("id" = i64, Path, description = "The event")),
    responses((status = 204, description = "Nothing of it is left"), Forbidden, Missing, Busy, Always),
)]
pub(super) async fn erase_event(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<EventId>,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let (id, now, author) = (id.into_inner(), state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        let found = |connection: &mut _| events::get(connection, id);
        // Written before, because what follows is many transactions; what is erased in vain does no harm.
        audited(connection, &author, now, found, |found| found.as_ref().map(told_of_event))
    };
    state.store.run(Lane::Write, work).await?;
    // A task of its own: who has gone away in the meantime wants it done all the same.
    let work =
        actix_web::rt::spawn(async move { erasing::erase_event(&state.store, &state.clock, &state.router, id).await });
    match work.await {
        Ok(Ok(())) => Ok(HttpResponse::NoContent().finish()),
        Ok(Err(NotErased::NotFound)) => Err(Problem::not_found("There is no event with this id.")),
        Ok(Err(NotErased::UnderWay)) => Err(Problem::attempt_under_way()),
        Ok(Err(NotErased::Store(error))) => Err(error.into()),
        Err(panic) => Err(Problem::internal(&panic)),
    }
}

/// What is written down of an event that is to be erased.
fn told_of_event(event: &Whole) -> Entry {
    let told = json!({ "event_type": event.listed.event_type, "deliveries": event.listed.deliveries });
    Entry::order("event.erase", format!("event:{}", event.listed.id), Some(event.listed.publisher), told)
}

/// # Errors
/// 403 for everybody but an admin.
fn is_admin(owner: &Owner) -> Result<(), Problem> {
    match owner.role {
        Role::Admin => Ok(()),
        Role::Publisher | Role::Subscriber => {
            Err(Problem::forbidden("An event may be owed to several owners: erasing it needs the role admin."))
        }
    }
}

/// An erasure that is carried out.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(super) struct ErasureView<'a> {
    #[schema(value_type = i32)]
    subscription: SubscriptionId,
    /// The last delivery that is erased.
    #[schema(value_type = i64)]
    up_to: DeliveryId,
    ordered_by: &'a str,
    #[schema(format = DateTime)]
    ordered_at: String,
}

impl<'a> From<&'a Erasure> for ErasureView<'a> {
    fn from(erasure: &'a Erasure) -> Self {
        Self {
            subscription: erasure.subscription,
            up_to: erasure.up_to,
            ordered_by: &erasure.ordered_by,
            ordered_at: rfc3339(erasure.ordered_at),
        }
    }
}

/// Orders everything erased that a subscription was sent or is owed so far: 202, and it is done when there is nothing to show
/// at this path any more. The subscription itself stays, and gets what is accepted from now on.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/erase", tag = "subscriptions", operation_id = "order_erasure",
    params(("id" = i32, Path, description = "The subscription")),
    responses((status = 202, description = "It is ordered", body = ErasureView), Missing, Always),
)]
pub(super) async fn order(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    let Subscription { id: subscription, owner: whose, .. } = find(&state, &owner, id.into_inner()).await?;
    let (now, author) = (state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        // What a commit under way brings has an id of the present; a burst may have minted beyond it.
        let up_to = DeliveryId::from_raw(last_minted(connection)?).max(DeliveryId::before(now));
        let erasure = Erasure { subscription, up_to, ordered_by: owner.name.clone(), ordered_at: now };
        let told = |(): &()| {
            let told = json!({ "up_to": up_to });
            Some(Entry::order("subscription.erase", format!("subscription:{subscription}"), Some(whose), told))
        };
        audited(connection, &author, now, |connection| order_erasure(connection, &erasure), told)?;
        Ok(erasure)
    };
    let erasure = state.store.run(Lane::Write, work).await?;
    Ok(HttpResponse::Accepted().json(ErasureView::from(&erasure)))
}

/// The erasure that is carried out: 404 when there is none, or none any more.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{id}/erase", tag = "subscriptions", operation_id = "show_erasure",
    params(("id" = i32, Path, description = "The subscription")),
    responses((status = 200, description = "It is under way", body = ErasureView), Missing, Always),
)]
pub(super) async fn show(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
) -> Result<HttpResponse, Problem> {
    let subscription = find(&state, &owner, id.into_inner()).await?.id;
    let found = state.store.run(Lane::Read, move |connection| erasure_of(connection, subscription)).await?;
    let erasure = found.ok_or_else(|| Problem::not_found("Nothing of this subscription is being erased."))?;
    Ok(HttpResponse::Ok().json(ErasureView::from(&erasure)))
}
