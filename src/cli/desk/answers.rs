//! What is read of the API's answers. What programs get is the answer itself, with all that is in it.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::moment::{how_long, to_the_second};
use crate::cli::{
    CliError,
    client::{Api, ApiError},
    terminal::harmless,
};

/// The most that the API puts on a page.
const PAGE: u16 = 200;

/// A page of a list, and where the next one begins.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Subscription {
    pub(super) id: i32,
    pub(super) event_type: String,
    pub(super) endpoint: String,
    /// `active`, `paused` or `inactive`.
    pub(super) state: String,
    pub(super) hold: Option<Hold>,
    pub(super) backlog: Backlog,
    /// Not in lists.
    pub(super) endpoint_health: Option<Health>,
}

#[derive(Deserialize)]
pub(super) struct Hold {
    mode: String,
    reason: Option<String>,
    by: String,
    until: Option<String>,
    pub(super) notice: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Backlog {
    pub(super) owed: u64,
    pub(super) set_aside: u64,
    oldest_owed: Option<Oldest>,
    last_attempt: Option<LastAttempt>,
}

#[derive(Deserialize)]
struct Oldest {
    age_seconds: f64,
}

#[derive(Deserialize)]
struct LastAttempt {
    success: bool,
}

#[derive(Deserialize)]
pub(super) struct Health {
    state: String,
    failing_since: Option<String>,
    next_probe_at: Option<String>,
    no_success_since: Option<String>,
}

/// The part of an answer that we read.
///
/// # Errors
/// When it is not there: the engine is of another version.
pub(super) fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, CliError> {
    T::deserialize(answer).map_err(|error| {
        CliError::refused(format!(
            "the engine answers in a form that is not known here ({error}): is it another version?"
        ))
    })
}

/// Every subscription that the token shows, in the order of their ids. How an endpoint is doing is asked for where it may
/// be doing badly: something is owed, or the latest attempt failed.
pub(super) async fn all_subscriptions(api: &Api) -> Result<Vec<Value>, CliError> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page: Page = api.get(&format!("/api/v1/subscriptions?limit={PAGE}&after={after}")).await?;
        for item in page.items {
            let subscription: Subscription = read(&item)?;
            let looked_at = if subscription.may_be_ill() { look_closer(api, subscription.id).await? } else { None };
            all.push(looked_at.unwrap_or(item));
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// `None` when it went since it was listed.
async fn look_closer(api: &Api, id: i32) -> Result<Option<Value>, CliError> {
    match api.get(&format!("/api/v1/subscriptions/{id}")).await {
        Ok(found) => Ok(Some(found)),
        Err(ApiError::Refused { status, .. }) if status.as_u16() == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Subscription {
    fn may_be_ill(&self) -> bool {
        let has_failed = self.backlog.last_attempt.as_ref().is_some_and(|attempt| !attempt.success);
        self.state != "inactive" && (self.backlog.owed > 0 || has_failed)
    }

    /// Host and port of the endpoint.
    pub(super) fn host(&self) -> String {
        url::Url::parse(&self.endpoint).map_or_else(|_| harmless(&self.endpoint), |url| url.authority().to_owned())
    }

    /// Whether its endpoint is only probed, or has answered nothing good for a while.
    pub(super) fn is_ill(&self) -> bool {
        self.endpoint_health.as_ref().is_some_and(Health::is_ill)
    }
}

impl Hold {
    /// Until when, why, and by whom.
    pub(super) fn in_words(&self) -> String {
        let until = self.until.as_deref().map(|until| format!("until {}", to_the_second(until)));
        let lost = (self.mode == "drop").then(|| "new events are lost for it".to_owned());
        let reason = self.reason.as_deref().map(harmless);
        let by = Some(format!("by {}", harmless(&self.by)));
        [until, lost, reason, by].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Backlog {
    /// How old the oldest of what is owed is.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let oldest = self.oldest_owed.as_ref()?;
        Duration::try_from_secs_f64(oldest.age_seconds.max(0.0)).ok()
    }

    pub(super) fn oldest_in_words(&self) -> String {
        self.oldest().map_or_else(|| "-".to_owned(), how_long)
    }
}

impl Health {
    fn is_ill(&self) -> bool {
        self.state == "failing" || self.no_success_since.is_some()
    }

    pub(super) fn in_words(&self) -> String {
        let at = |text: &Option<String>| text.as_deref().map(to_the_second);
        match (at(&self.failing_since), at(&self.next_probe_at), at(&self.no_success_since)) {
            (Some(since), Some(probe), _) => format!("fails since {since}, next probe {probe}"),
            (Some(since), None, _) => format!("fails since {since}"),
            (None, _, Some(since)) => format!("no success since {since}"),
            (None, _, None) => self.state.clone(),
        }
    }
}
