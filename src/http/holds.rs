//! `/api/v1/subscriptions/{id}/pause` and `resume`.

use std::num::NonZeroU32;

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
    openapi::{Always, BadBody, Missing, NotPaused},
    problem::Problem,
    subscriptions::{SubscriptionDetails, find, published, view},
    time::instant,
};
use crate::{
    domain::{
        audit::Author,
        hold::{Hold, HoldMode, MAX_PER_SECOND, MAX_REASON_LENGTH, Ramp},
        id::{DeliveryId, SubscriptionId},
        owner::Owner,
        time::Timestamp,
    },
    store::{
        Lane,
        audit::audited_change,
        record::{Reach, cancel_owed},
        subscriptions::holds,
    },
};

/// Deliveries cancelled in one transaction.
const SKIP_PAGE: i64 = 1_000;

/// What is asked of a pause.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    /// `hold` (the default): what comes meanwhile is owed. `drop`: it is lost for this subscription.
    #[schema(pattern = "^(hold|drop)$")]
    mode: Option<String>,
    #[schema(max_length = 500)]
    reason: Option<String>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// The pause that is asked for.
///
/// # Errors
/// 422 for a mode that there is not, a long reason, or an end that is no time in the future.
pub(super) fn read_hold(
    mode: Option<&str>,
    reason: Option<String>,
    until: Option<&str>,
    owner: &Owner,
    now: Timestamp,
) -> Result<Hold, Problem> {
    let until = until.map(|text| instant("until", text)).transpose()?;
    if until.is_some_and(|until| until <= now) {
        return Err(Problem::invalid("\"until\" must lie in the future."));
    }
    Ok(Hold { since: now, until, mode: read_mode(mode)?, reason: checked_reason(reason)?, by: owner.name.clone() })
}

fn read_mode(mode: Option<&str>) -> Result<HoldMode, Problem> {
    let Some(name) = mode else { return Ok(HoldMode::Keep) };
    let allowed = || HoldMode::ALL.map(HoldMode::as_str).to_vec();
    HoldMode::ALL
        .into_iter()
        .find(|mode| mode.as_str() == name)
        .ok_or_else(|| Problem::invalid(format!("{name:?} is no mode of a pause.")).with("allowed", allowed()))
}

/// # Errors
/// 422 for a reason that is too long.
pub(super) fn checked_reason(reason: Option<String>) -> Result<Option<String>, Problem> {
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_LENGTH) {
        return Err(Problem::invalid(format!("\"reason\" may have at most {MAX_REASON_LENGTH} characters.")));
    }
    Ok(reason)
}

/// What is asked of a resumption.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeBody {
    /// At most so many attempts per second, until what was owed then has had its turn; a whole number.
    #[schema(minimum = 1, maximum = 100_000, multiple_of = 1)]
    per_second: Option<f64>,
    /// Cancels what was accepted before.
    #[schema(format = DateTime)]
    skip_older_than: Option<String>,
}

/// How to catch up after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CatchUp {
    /// How fast.
    pub(super) ramp: Option<Ramp>,
    /// Not with what was accepted before this instant.
    pub(super) skip_older_than: Option<Timestamp>,
}

impl CatchUp {
    /// # Errors
    /// 422 for a pace that is none, or a time that is none or lies ahead.
    pub(super) fn read(per_second: Option<f64>, skip: Option<&str>, now: Timestamp) -> Result<Self, Problem> {
        let skip_older_than = skip.map(|text| instant("skip_older_than", text)).transpose()?;
        if skip_older_than.is_some_and(|skip| skip > now) {
            return Err(Problem::invalid("\"skip_older_than\" must not lie in the future."));
        }
        let ramp = per_second.map(read_pace).transpose()?;
        let ramp = ramp.map(|per_second| Ramp { per_second, up_to: DeliveryId::before(now) });
        Ok(Self { ramp, skip_older_than })
    }

    const fn is_plain(self) -> bool {
        self.ramp.is_none() && self.skip_older_than.is_none()
    }
}

/// A whole number, but clients may write it as `5.0`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are ruled out before")]
fn read_pace(per_second: f64) -> Result<NonZeroU32, Problem> {
    let is_usable = (1.0..=f64::from(MAX_PER_SECOND)).contains(&per_second) && per_second.fract() == 0.0;
    let pace = if is_usable { NonZeroU32::new(per_second as u32) } else { None };
    pace.ok_or_else(|| Problem::invalid(format!("\"per_second\" must be a whole number from 1 to {MAX_PER_SECOND}.")))
}

/// Pauses a subscription. Once this is answered no further attempt starts; what is in flight finishes and is recorded.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/pause", tag = "subscriptions",
    params(("id" = i32, Path, description = "The subscription")),
    request_body(content = Option<PauseBody>, example = json!({"reason": "stocktaking", "until": "2099-01-01T06:00:00Z"})),
    responses((status = 200, description = "It is paused", body = SubscriptionDetails), BadBody, Missing, Always),
)]
pub(crate) async fn pause(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let PauseBody { mode, reason, until } = read_optional_json(&body)?;
    let now = state.clock.now();
    let hold = read_hold(mode.as_deref(), reason, until.as_deref(), &owner, now)?;
    let (id, scope, keys) = (find(&state, &owner, id.into_inner()).await?.id, owner.scope(), state.store.keys());
    let work = move |connection: &mut _| {
        let pause = |connection: &mut _| holds::hold(connection, &keys, scope, id, &hold);
        audited_change(connection, &keys, (&Author::from(&*owner), "subscription.pause", now), id, pause)
    };
    let subscription = published(&state, state.store.run(Lane::Write, work).await?).await?;
    Ok(HttpResponse::Ok().json(view(&state, &subscription).await?))
}

/// Resumes a subscription: what it is owed is delivered, oldest first. To resume what is not paused changes nothing, but
/// that a pace which is still in force ends.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{id}/resume", tag = "subscriptions",
    params(("id" = i32, Path, description = "The subscription")),
    request_body(content = Option<ResumeBody>, example = json!({"per_second": 20})),
    responses((status = 200, description = "It is active", body = SubscriptionDetails), BadBody, Missing, NotPaused, Always),
)]
pub(crate) async fn resume(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<SubscriptionId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let ResumeBody { per_second, skip_older_than } = read_optional_json(&body)?;
    let catch_up = CatchUp::read(per_second, skip_older_than.as_deref(), now)?;
    let subscription = find(&state, &owner, id.into_inner()).await?;
    if !catch_up.is_plain() && subscription.hold_at(now).is_none() {
        return Err(Problem::not_paused());
    }
    let (id, scope, keys) = (subscription.id, owner.scope(), state.store.keys());
    let skipped = skip(&state, id, catch_up).await?;
    let work = move |connection: &mut _| {
        let resume = |connection: &mut _| holds::resume(connection, &keys, scope, id, catch_up.ramp);
        audited_change(connection, &keys, (&Author::from(&*owner), "subscription.resume", now), id, resume)
    };
    let subscription = published(&state, state.store.run(Lane::Write, work).await?).await?;
    let mut view = view(&state, &subscription).await?;
    view.skipped = Some(skipped);
    Ok(HttpResponse::Ok().json(view))
}

/// Cancels what a paused subscription need not catch up with, in pages; gives how many deliveries. Cut off in the middle it
/// leaves the subscription paused, and can be asked for again.
pub(super) async fn skip(state: &State, id: SubscriptionId, catch_up: CatchUp) -> Result<u64, Problem> {
    let Some(border) = catch_up.skip_older_than else { return Ok(0) };
    let (last, now) = (DeliveryId::before(border), state.clock.now());
    let mut skipped = 0;
    loop {
        let work = move |connection: &mut _| cancel_owed(connection, id, Reach::Pending, last, SKIP_PAGE, now);
        let cancelled = state.store.run(Lane::Write, work).await?;
        skipped += cancelled as u64;
        if i64::try_from(cancelled).is_ok_and(|cancelled| cancelled < SKIP_PAGE) {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::OwnerId,
        owner::{Role, Standing},
    };

    /// 2027-01-15T08:00:00Z.
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn hold(mode: Option<&str>, reason: Option<&str>, until: Option<&str>) -> Result<Hold, Problem> {
        let name = "ops".to_owned();
        let owner = Owner { id: OwnerId::from_raw(1), name, role: Role::Admin, standing: Standing::Active };
        read_hold(mode, reason.map(str::to_owned), until, &owner, NOW)
    }

    #[test]
    fn a_pause_holds_unless_it_is_told_to_drop() {
        let kept = hold(None, None, None).expect("valid");
        assert_eq!((kept.mode, kept.until, kept.by.as_str()), (HoldMode::Keep, None, "ops"));
        assert_eq!(hold(Some("hold"), None, None).expect("valid"), kept);
        assert_eq!(hold(Some("drop"), None, None).expect("valid").mode, HoldMode::Drop);
        let refused = hold(Some("Drop"), None, None).expect_err("no mode").body();
        assert_eq!(refused["allowed"], serde_json::json!(["hold", "drop"]));
    }

    #[test]
    fn a_pause_ends_in_the_future_and_its_reason_is_short() {
        let until = hold(None, Some("works"), Some("2027-01-15T08:00:01Z")).expect("valid").until;
        assert_eq!(until.map(Timestamp::as_secs), Some(1_800_000_001));
        for until in ["2027-01-15T08:00:00Z", "tomorrow", ""] {
            assert_eq!(hold(None, None, Some(until)).expect_err(until).status().as_u16(), 422);
        }
        assert!(hold(None, Some(&"ş".repeat(MAX_REASON_LENGTH)), None).is_ok());
        assert!(hold(None, Some(&"ş".repeat(MAX_REASON_LENGTH + 1)), None).is_err());
    }

    #[test]
    fn a_pace_is_a_whole_number_and_ends_with_what_was_owed_then() {
        let pace = |per_second| CatchUp::read(Some(per_second), None, NOW).map(|catch_up| catch_up.ramp);
        let ramp = pace(5.0).expect("valid").expect("a pace");
        assert_eq!((ramp.per_second.get(), ramp.up_to), (5, DeliveryId::before(NOW)));
        for per_second in [0.0, 0.5, -1.0, 1.5, 100_001.0, f64::NAN, f64::INFINITY] {
            assert!(pace(per_second).is_err(), "{per_second}");
        }
        assert!(CatchUp::read(None, None, NOW).expect("valid").is_plain());
    }

    #[test]
    fn only_what_lies_behind_can_be_skipped() {
        let skip = |text| CatchUp::read(None, Some(text), NOW).map(|catch_up| catch_up.skip_older_than);
        assert_eq!(skip("2027-01-15T11:00:00+03:00").expect("valid"), Some(NOW));
        assert!(skip("2027-01-15T08:00:01Z").is_err());
        assert!(skip("yesterday").is_err());
    }
}
