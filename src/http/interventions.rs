//! `/api/v1/deliveries/{id}/skip`, `set-aside` and `release`: what to do about a delivery that holds others up.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body::{Body, read_optional_json},
    deliveries::{DeliveryView, carry_out, find, owner_of, withdraw},
    holds::checked_reason,
    openapi::{Always, BadBody, Missing, NotSetAside, Settled},
    problem::Problem,
    time::rfc3339,
};
use crate::{
    actors::{announcing::Announce, router::OwedAgain, tell},
    domain::{
        announcement::{Death, News},
        attempt::Attempt,
        audit::{Author, Entry},
        id::DeliveryId,
        intervention::{Decision, Intervention},
        owner::Owner,
    },
    store::{
        audit::audited,
        deliveries::Listed,
        interventions::{intervene, release as put_back},
    },
};

/// What is said about a decision.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionBody {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// What a person decided about a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Intervention)]
pub(super) struct InterventionView<'a> {
    decision: &'static str,
    by: &'a str,
    reason: Option<&'a str>,
    #[schema(format = DateTime)]
    at: String,
}

/// A delivery, and what was decided about it.
#[derive(Serialize, ToSchema)]
pub(super) struct DecidedDelivery<'a> {
    #[serde(flatten)]
    #[schema(value_type = DeliveryView)]
    delivery: DeliveryView<'a>,
    intervention: InterventionView<'a>,
}

impl<'a> InterventionView<'a> {
    pub(super) fn new(intervention: &'a Intervention) -> Self {
        let Intervention { decision, by, reason, at } = intervention;
        Self { decision: decision.as_str(), by, reason: reason.as_deref(), at: rfc3339(*at) }
    }
}

/// Gives one delivery up at once: it is dead, and the next of its key goes.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/skip", tag = "deliveries", operation_id = "skip_delivery",
    params(("id" = i64, Path, description = "The delivery")),
    request_body(content = Option<DecisionBody>, example = json!({"reason": "the order was withdrawn"})),
    responses(
        (status = 200, description = "It is dead", body = DecidedDelivery), BadBody, Missing, Settled, Always,
    ),
)]
pub(crate) async fn skip(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    decide(&state, &owner, id.into_inner(), Decision::Skip, read_optional_json(&body)?).await
}

/// Sets one delivery aside: it stays owed, and the next of its key goes.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/set-aside", tag = "deliveries", operation_id = "set_delivery_aside",
    params(("id" = i64, Path, description = "The delivery")),
    request_body(content = Option<DecisionBody>, example = json!({"reason": "their stock count is wrong"})),
    responses(
        (status = 200, description = "It is set aside", body = DecidedDelivery), BadBody, Missing, Settled, Always,
    ),
)]
pub(crate) async fn set_aside(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    decide(&state, &owner, id.into_inner(), Decision::SetAside, read_optional_json(&body)?).await
}

/// Once this is answered no further attempt of the delivery starts; one in flight ends, and if it arrives the delivery is
/// delivered.
async fn decide(
    state: &State,
    owner: &Owner,
    id: DeliveryId,
    decision: Decision,
    DecisionBody { reason }: DecisionBody,
) -> Result<HttpResponse, Problem> {
    let (listed, attempts) = find(state, owner, id).await?;
    let intervention =
        Intervention { decision, by: owner.name.clone(), reason: checked_reason(reason)?, at: state.clock.now() };
    let ordered = intervention.clone();
    let (author, of) = (Author::from(owner), owner_of(state, listed.delivery.subscription).await?);
    let work = move |connection: &mut _| {
        let told = |decided: &bool| {
            let told = json!({ "reason": ordered.reason });
            decided.then(|| Entry::order(action(decision), format!("delivery:{id}"), of, told))
        };
        audited(connection, &author, ordered.at, |connection| intervene(connection, id, &ordered), told)
    };
    let decided = carry_out(state, listed.delivery.subscription, work).await?;
    if !decided {
        let (listed, _) = find(state, owner, id).await?;
        return Err(Problem::settled(listed.delivery.state.as_str(), done(decision)));
    }
    withdraw(state, listed.delivery.subscription, id).await;
    match decision {
        Decision::Skip => tell_of_death(state, &listed, attempts.last(), &intervention),
        Decision::SetAside => {}
    }
    let (listed, _) = find(state, owner, id).await?;
    Ok(HttpResponse::Ok().json(DecidedDelivery {
        delivery: DeliveryView::new(&listed),
        intervention: InterventionView::new(&intervention),
    }))
}

/// A delivery that a person gave up is as dead as any other.
fn tell_of_death(state: &State, listed: &Listed, last: Option<&Attempt>, intervention: &Intervention) {
    let death = Death {
        delivery: listed.delivery.id,
        event: listed.delivery.event,
        event_type: listed.event_type.clone(),
        attempts: listed.delivery.attempts,
        last_error: last.and_then(|attempt| attempt.outcome.complaint()),
        skipped_by: Some(intervention.by.clone()),
        at: intervention.at,
    };
    tell(&state.router, Announce { subject: listed.delivery.subscription, news: vec![News::Dead(death)] });
}

/// What is written down of a decision.
const fn action(decision: Decision) -> &'static str {
    match decision {
        Decision::Skip => "delivery.skip",
        Decision::SetAside => "delivery.set-aside",
    }
}

const fn done(decision: Decision) -> &'static str {
    match decision {
        Decision::Skip => "skipped",
        Decision::SetAside => "set aside",
    }
}

/// Puts a delivery that is set aside back: it is due now, and its retry policy begins again.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/release", tag = "deliveries", operation_id = "release_delivery",
    params(("id" = i64, Path, description = "The delivery")),
    responses((status = 200, description = "It is due", body = DeliveryView), Missing, NotSetAside, Always),
)]
pub(crate) async fn release(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<DeliveryId>,
) -> Result<HttpResponse, Problem> {
    let (listed, _) = find(&state, &owner, id.into_inner()).await?;
    let (id, now) = (listed.delivery.id, state.clock.now());
    let (author, of) = (Author::from(&*owner), owner_of(&state, listed.delivery.subscription).await?);
    let work = move |connection: &mut _| {
        let told = |released: &bool| {
            released.then(|| Entry::order("delivery.release", format!("delivery:{id}"), of, json!({})))
        };
        audited(connection, &author, now, |connection| put_back(connection, id, now), told)
    };
    let released = carry_out(&state, listed.delivery.subscription, work).await?;
    let (listed, _) = find(&state, &owner, id).await?;
    if !released {
        return Err(Problem::not_set_aside(listed.delivery.state.as_str()));
    }
    // Without a router nothing is attempted; the next start finds it.
    state.router.send(OwedAgain(listed.delivery.subscription)).await.unwrap_or_default();
    Ok(HttpResponse::Ok().json(DeliveryView::new(&listed)))
}
