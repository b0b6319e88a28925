//! `PATCH /api/v1/subscriptions/{id}`: how deliveries flow, of which the contract's resource knows nothing.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body::{Body, read_json},
    openapi::{Always, BadBody, Missing},
    problem::Problem,
    subscriptions::{SubscriptionDetails, find, published, view},
};
use crate::{
    domain::{
        id::SubscriptionId,
        ordering::Ordering,
        queue::Rate,
        subscription::{Flow, MAX_MAX_AGE, MAX_MAX_IN_FLIGHT, MAX_RATE, Terms},
    },
    store::{Lane, subscriptions},
};

/// What changes; what is left out stays as it is, and `null` takes a limit away.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowBody {
    #[schema(minimum = 1, maximum = 1_000)]
    max_in_flight: Option<u32>,
    #[schema(pattern = "^(none|key)$")]
    ordering: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<RateBody>)]
    rate: Edit<RateBody>,
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1)]
    max_age_seconds: Edit<u64>,
}

/// How many attempts may start in a second.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRate)]
struct RateBody {
    #[schema(minimum = 1, maximum = 100_000)]
    per_second: u32,
    #[schema(minimum = 1, maximum = 100_000)]
    burst: Option<u32>,
}

/// What becomes of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Edit<T> {
    /// It was left out.
    #[default]
    Keep,
    /// `null`.
    Clear,
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Edit<T> {
    fn checked<U>(self, check: impl Fn(T) -> Result<U, Problem>) -> Result<Edit<U>, Problem> {
        Ok(match self {
            Self::Keep => Edit::Keep,
            Self::Clear => Edit::Clear,
            Self::Set(value) => Edit::Set(check(value)?),
        })
    }

    fn applied_to(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Keep => present,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// What changes, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FlowChange {
    max_in_flight: Option<u16>,
    ordering: Option<Ordering>,
    rate: Edit<Rate>,
    max_age: Edit<Duration>,
}

impl FlowBody {
    fn checked(self) -> Result<FlowChange, Problem> {
        Ok(FlowChange {
            max_in_flight: self.max_in_flight.map(checked_in_flight).transpose()?,
            ordering: self.ordering.as_deref().map(checked_ordering).transpose()?,
            rate: self.rate.checked(checked_rate)?,
            max_age: self.max_age_seconds.checked(checked_age)?,
        })
    }
}

impl FlowChange {
    fn applied_to(self, flow: Flow) -> Flow {
        Flow {
            max_in_flight: self.max_in_flight.unwrap_or(flow.max_in_flight),
            ordering: self.ordering.unwrap_or(flow.ordering),
            rate: self.rate.applied_to(flow.rate),
            max_age: self.max_age.applied_to(flow.max_age),
        }
    }
}

fn checked_in_flight(number: u32) -> Result<u16, Problem> {
    let number = u16::try_from(number).ok().filter(|number| (1..=MAX_MAX_IN_FLIGHT).contains(number));
    number.ok_or_else(|| Problem::invalid(format!("\"max_in_flight\" must be from 1 to {MAX_MAX_IN_FLIGHT}.")))
}

fn checked_ordering(name: &str) -> Result<Ordering, Problem> {
    let allowed = || Ordering::ALL.map(Ordering::as_str).to_vec();
    Ordering::ALL
        .into_iter()
        .find(|ordering| ordering.as_str() == name)
        .ok_or_else(|| Problem::invalid(format!("{name:?} is no ordering.")).with("allowed", allowed()))
}

fn checked_rate(rate: RateBody) -> Result<Rate, Problem> {
    let RateBody { per_second, burst } = rate;
    let burst = burst.unwrap_or(per_second);
    if [per_second, burst].iter().all(|number| (1..=MAX_RATE).contains(number)) {
        Ok(Rate { per_second, burst })
    } else {
        Err(Problem::invalid(format!("\"per_second\" and \"burst\" of \"rate\" must be from 1 to {MAX_RATE}.")))
    }
}

fn checked_age(seconds: u64) -> Result<Duration, Problem> {
    let most = MAX_MAX_AGE.as_secs();
    if (1..=most).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(Problem::invalid(format!("\"max_age_seconds\" must be from 1 to {most}, or null.")))
    }
}

/// Changes how deliveries flow, those that wait included.
#[utoipa::path(
    patch, path = "/api/v1/subscriptions/{id}", tag = "subscriptions", operation_id = "change_subscription",
    params(("id" = i32, Path, description = "The subscription")),
    request_body(content = FlowBody, example = json!({"ordering": "key", "rate": {"per_second": 50}})),
    responses((status = 200, description = "It is changed", body = SubscriptionDetails), BadBody, Missing, Always),
)]
pub(super) async fn change(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let change = read_json::<FlowBody>(&body)?.checked()?;
    let present = find(&state, &owner, id.into_inner()).await?;
    if change.applied_to(present.terms.flow) == present.terms.flow {
        return Ok(HttpResponse::Ok().json(view(&state, &present).await?));
    }
    let (scope, keys, now) = (owner.scope(), state.store.keys(), state.clock.now());
    let work = move |connection: &mut _| {
        let edit = |terms: &Terms| Terms { flow: change.applied_to(terms.flow), ..terms.clone() };
        subscriptions::change_terms(connection, &keys, scope, present.id, &edit, now)
    };
    let changed = published(&state, state.store.run(Lane::Write, work).await?).await?;
    Ok(HttpResponse::Ok().json(view(&state, &changed).await?))
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use bytes::Bytes;

    use super::*;

    const FLOW: Flow = Flow {
        max_in_flight: 7,
        ordering: Ordering::Key,
        rate: Some(Rate { per_second: 5, burst: 50 }),
        max_age: Some(Duration::from_mins(1)),
    };

    fn changed(json: &str) -> Result<Flow, StatusCode> {
        let read = read_json::<FlowBody>(&Bytes::copy_from_slice(json.as_bytes())).and_then(FlowBody::checked);
        read.map(|change| change.applied_to(FLOW)).map_err(|problem| problem.status())
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_a_limit_away() {
        assert_eq!(changed("{}"), Ok(FLOW));
        assert_eq!(changed(r#"{"max_age_seconds": null}"#), Ok(Flow { max_age: None, ..FLOW }));
        assert_eq!(changed(r#"{"rate": null}"#), Ok(Flow { rate: None, ..FLOW }));
        let hour = Some(Duration::from_hours(1));
        assert_eq!(changed(r#"{"max_age_seconds": 3600}"#), Ok(Flow { max_age: hour, ..FLOW }));
        assert_eq!(
            changed(r#"{"max_in_flight": 1000, "ordering": "none"}"#),
            Ok(Flow { max_in_flight: 1_000, ordering: Ordering::None, ..FLOW })
        );
        let rate = Some(Rate { per_second: 9, burst: 9 });
        assert_eq!(changed(r#"{"rate": {"per_second": 9}}"#), Ok(Flow { rate, ..FLOW }));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for json in [
            r#"{"max_in_flight": 0}"#,
            r#"{"max_in_flight": 1001}"#,
            r#"{"max_in_flight": 65537}"#,
            r#"{"max_age_seconds": 0}"#,
            r#"{"max_age_seconds": 400000000}"#,
            r#"{"ordering": "package"}"#,
            r#"{"rate": {"per_second": 0}}"#,
            r#"{"rate": {"per_second": 5, "burst": 0}}"#,
            r#"{"rate": {"per_second": 100001}}"#,
        ] {
            assert_eq!(changed(json), Err(StatusCode::UNPROCESSABLE_ENTITY), "{json}");
        }
        for json in ["", "[]", r#"{"max_age": 1}"#, r#"{"max_age_seconds": "1"}"#, r#"{"rate": 5}"#, r#"{"rate": {}}"#]
        {
            assert_eq!(changed(json), Err(StatusCode::BAD_REQUEST), "{json}");
        }
    }
}
