//! `/api/v1/subscriptions/{id}/rotate-secret`: a new signing secret, beside which the old one signs for a while.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body::{Body, read_optional_json},
    openapi::{Always, BadBody, Missing},
    problem::Problem,
    subscriptions::{SubscriptionDetails, published, view},
};
use crate::{
    domain::{
        audit::Author,
        id::SubscriptionId,
        secret::{MAX_LENGTH, Secret},
        subscription::Terms,
    },
    store::{Lane, audit::audited_change, subscriptions::change_terms},
};

/// How long the old secret signs unless the request says otherwise: a day.
const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 60 * 60;
/// The longest that it may be asked to: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 30 * 24 * 60 * 60;

/// What is asked of a rotation.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateBody {
    /// The new secret; without it one is made, and shown in this answer only.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 124)]
    secret: Option<Secret>,
    /// For how long the old one signs beside it; a day by default, 0 for a secret that leaked.
    #[schema(maximum = 2_592_000)]
    overlap_seconds: Option<u64>,
}

impl RotateBody {
    fn overlap(&self) -> Result<Duration, Problem> {
        match self.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS) {
            seconds @ 0..=MAX_OVERLAP_SECONDS => Ok(Duration::from_secs(seconds)),
            _ => Err(Problem::invalid(format!("\"overlap_seconds\" must be from 0 to {MAX_OVERLAP_SECONDS}."))),
        }
    }

    /// The secret that was brought along; `None` when one is to be made.
    fn brought(&self) -> Result<Option<&Secret>, Problem> {
        let length = self.secret.as_ref().map(|secret| secret.reveal().chars().count());
        match length {
            None | Some(1..=MAX_LENGTH) => Ok(self.secret.as_ref()),
            Some(_) => Err(Problem::invalid(format!("\"secret\" must have 1 to {MAX_LENGTH} characters."))),
        }
    }
}

/// Replaces the secret. A secret that is made here is in the answer, this once; one that was brought along is not. To bring
/// the present one changes nothing.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/rotate-secret", tag = "subscriptions", operation_id = "rotate_secret",
    params(("id" = i32, Path, description = "The subscription")),
    request_body(content = Option<RotateBody>, example = json!({"overlap_seconds": 3600})),
    responses(
        (status = 200, description = "It signs with the new one", body = SubscriptionDetails),
        BadBody, Missing, Always,
    ),
)]
pub(crate) async fn rotate(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let asked: RotateBody = read_optional_json(&body)?;
    let overlap = asked.overlap()?;
    let made = asked.brought()?.is_none().then(|| Secret::whsec(&rand::random()));
    let secret = made.clone().or(asked.secret).expect("what is not made was brought");

    let (id, scope, now, keys) = (id.into_inner(), owner.scope(), state.clock.now(), state.store.keys());
    let edit = move |terms: &Terms| terms.with_rotated_secret(&secret, overlap, now);
    let author = Author::from(&*owner);
    let work = move |connection: &mut _| {
        let rotate = |connection: &mut _| change_terms(connection, &keys, scope, id, &edit, now);
        audited_change(connection, &keys, (&author, "subscription.rotate-secret", now), id, rotate)
    };
    let subscription = published(&state, state.store.run(Lane::Write, work).await?).await?;
    let mut view = view(&state, &subscription).await?;
    view.secret = made.map(|made| made.reveal().to_owned());
    Ok(HttpResponse::Ok().json(view))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> RotateBody {
        serde_json::from_str(text).expect("valid")
    }

    #[test]
    fn the_old_secret_signs_for_a_day_unless_it_is_told_otherwise() {
        assert_eq!(body("{}").overlap().ok(), Some(Duration::from_hours(24)));
        assert_eq!(body(r#"{"overlap_seconds": 0}"#).overlap().ok(), Some(Duration::ZERO));
        assert!(body(r#"{"overlap_seconds": 2592000}"#).overlap().is_ok());
        assert!(body(r#"{"overlap_seconds": 2592001}"#).overlap().is_err());
    }

    #[test]
    fn a_secret_fits_the_contract_and_signs() {
        assert_eq!(body("{}").brought().expect("none"), None);
        assert!(body(&format!(r#"{{"secret": "{}"}}"#, "ş".repeat(MAX_LENGTH))).brought().is_ok());
        for secret in [String::new(), "a".repeat(MAX_LENGTH + 1)] {
            assert!(body(&format!(r#"{{"secret": "{secret}"}}"#)).brought().is_err());
        }
    }
}
