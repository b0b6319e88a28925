//! Changes to the [`Terms`] of a subscription, field by field.
//!
//! Whoever reads a request, by the contract or by the native API, turns what it says into [`Edit`]s, each of them checked
//! where it is made; here they are put together. What is not named stays as it is.

use std::time::Duration;

use super::{
    event_type::EventType,
    headers::AdditionalHeaders,
    ordering::Ordering,
    queue::Rate,
    retry::RetryPolicy,
    secret::Secret,
    subscription::{BasicAuth, Config, Flow, Terms},
};

/// One field's change to the terms.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// When to attempt again.
    Retry(RetryPolicy),
    /// Where to; read as an endpoint before.
    TargetUrl(String),
    /// Whether new events are matched.
    IsActive(bool),
    /// Another secret, or none, at once: what signed before does so no more.
    Secret(Option<String>),
    /// Which events.
    EventType(EventType),
    /// The contract's `callback`.
    Callback(Option<String>),
    /// The headers of every delivery, all of them.
    Headers(AdditionalHeaders),
    /// The whole `config`.
    Config(Config),
    /// How long one attempt may take; `None` for the default.
    Timeout(Option<Duration>),
    /// Credentials of basic auth, or none.
    BasicAuth(Option<BasicAuth>),
    /// How many attempts at once.
    MaxInFlight(u16),
    /// What may not overtake what.
    Ordering(Ordering),
    /// How many attempts may start per second.
    Rate(Option<Rate>),
    /// How old a delivery may become.
    MaxAge(Option<Duration>),
}

/// Changes that are made together; each field at most once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits(Vec<Edit>);

impl Edits {
    /// Takes checked changes.
    #[must_use]
    pub const fn new(edits: Vec<Edit>) -> Self {
        Self(edits)
    }

    /// The change that a deletion makes: the subscription stays, inactive.
    #[must_use]
    pub fn deactivation() -> Self {
        Self(vec![Edit::IsActive(false)])
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.0.iter()
    }

    /// The terms of a new subscription, defaults where nothing is said; `None` unless URL and event type are there.
    #[must_use]
    pub fn to_new_terms(&self) -> Option<Terms> {
        let url = self.0.iter().find_map(|edit| if let Edit::TargetUrl(url) = edit { Some(url) } else { None });
        let event_type =
            self.0.iter().find_map(|edit| if let Edit::EventType(name) = edit { Some(name) } else { None });
        let terms = Terms {
            event_type: event_type?.clone(),
            target_url: url?.clone(),
            secret: None,
            retiring: Vec::new(),
            retry: RetryPolicy::default(),
            is_active: true,
            callback: None,
            additional_headers: AdditionalHeaders::default(),
            config: Config::default(),
            flow: Flow::default(),
        };
        Some(self.apply(&terms))
    }

    /// `terms` with this change made.
    #[must_use]
    pub fn apply(&self, terms: &Terms) -> Terms {
        let mut terms = terms.clone();
        for edit in self.0.iter().cloned() {
            match edit {
                Edit::Retry(retry) => terms.retry = retry,
                Edit::TargetUrl(url) => terms.target_url = url,
                Edit::IsActive(is_active) => terms.is_active = is_active,
                Edit::Secret(secret) => terms.set_secret(secret.map(Secret::new)),
                Edit::EventType(event_type) => terms.event_type = event_type,
                Edit::Callback(callback) => terms.callback = callback,
                Edit::Headers(headers) => terms.additional_headers = headers,
                Edit::Config(config) => terms.config = config,
                Edit::Timeout(timeout) => terms.config.set_timeout(timeout),
                Edit::BasicAuth(basic_auth) => terms.config.set_basic_auth(basic_auth),
                Edit::MaxInFlight(number) => terms.flow.max_in_flight = number,
                Edit::Ordering(ordering) => terms.flow.ordering = ordering,
                Edit::Rate(rate) => terms.flow.rate = rate,
                Edit::MaxAge(max_age) => terms.flow.max_age = max_age,
            }
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event_type() -> EventType {
        EventType::parse("package.created").expect("a type")
    }

    #[test]
    fn a_new_subscription_needs_a_url_and_an_event_type() {
        let url = || Edit::TargetUrl("https://a.example/".to_owned());
        assert_eq!(Edits::new(vec![url()]).to_new_terms(), None);
        assert_eq!(Edits::new(vec![Edit::EventType(event_type())]).to_new_terms(), None);
        let terms = Edits::new(vec![url(), Edit::EventType(event_type())]).to_new_terms().expect("both are there");
        assert_eq!((terms.is_active, terms.retry, terms.flow), (true, RetryPolicy::default(), Flow::default()));
    }

    #[test]
    fn time_out_and_basic_auth_leave_the_rest_of_the_config_alone() {
        let raw = json!({"own": [1], "timeout": 5, "auth": {"auth_type": "bearer"}, "last": null});
        let config = Config::new(serde_json::from_value(raw).expect("an object")).expect("valid");
        let url = Edit::TargetUrl("https://a.example/".to_owned());
        let terms = Edits::new(vec![url, Edit::EventType(event_type()), Edit::Config(config)]).to_new_terms();
        let basic_auth = BasicAuth::new("u", "p").expect("valid");
        let edits = [Edit::Timeout(Some(Duration::from_secs(7))), Edit::BasicAuth(Some(basic_auth.clone()))];
        let changed = Edits::new(edits.to_vec()).apply(&terms.expect("terms"));
        assert_eq!((changed.config.timeout().as_secs(), changed.config.basic_auth()), (7, Some(&basic_auth)));
        // What is stored is read again as the same.
        assert_eq!(Config::new(changed.config.raw().clone()).as_ref(), Ok(&changed.config));
        let cleared = Edits::new(vec![Edit::Timeout(None), Edit::BasicAuth(None)]).apply(&changed);
        assert_eq!(serde_json::to_value(cleared.config.raw()).expect("JSON"), json!({"own": [1], "last": null}));
    }
}
