//! What is ordered of a delivery, on its page or in a list that leads back to itself.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};

use super::{
    answer::{Refusal, see_other},
    delivery::render,
    form::Filled,
    login::local,
    orders::{answer, body, caller},
    session::Posted,
    told::telling,
};
use crate::{
    domain::id::DeliveryId,
    http::{State, deliveries, interventions, problem::Problem},
};

/// Carries out what `do` says.
pub(super) async fn order(state: Data<State>, posted: Posted, id: Path<DeliveryId>) -> Result<HttpResponse, Refusal> {
    let (id, Posted { visitor, form }) = (id.into_inner(), posted);
    let (owner, path, data) = (caller(&visitor), Path::from(id), state.clone());
    let reason = || body(form.texts(&["reason"]));
    let done = match form.raw("do").unwrap_or_default() {
        "redeliver" => answer(deliveries::redeliver(data, owner, path).await)
            .await
            .map(|attempt| if attempt["success"] == true { "arrived" } else { "attempted" }),
        "cancel" => deliveries::cancel(data, owner, path).await.map(|_| "cancelled"),
        "skip" => interventions::skip(data, owner, path, reason()).await.map(|_| "skipped"),
        "set-aside" => interventions::set_aside(data, owner, path, reason()).await.map(|_| "aside"),
        "release" => interventions::release(data, owner, path).await.map(|_| "released"),
        _ => Err(Problem::malformed("The form does not say what to do.")),
    };
    match done {
        Ok(name) => {
            let own = format!("/deliveries/{id}");
            let back = form.raw("back").map_or(own.as_str(), |back| local(Some(back)));
            Ok(see_other(&telling(back, name)))
        }
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(problem.into()),
        Err(problem) => {
            let status = problem.status();
            render(&state, &visitor, id, status, &Filled::refused(form, problem)).await
        }
    }
}
