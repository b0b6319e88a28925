//! What people changed: who, what, and how it was before. Never a secret.

use serde_json::{Map, Value, json};

use super::{
    endpoint::Endpoint,
    id::OwnerId,
    owner::{Owner, Standing},
    subscription::{Subscription, Terms},
    time::Timestamp,
};

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The owner; `None` for whoever runs commands beside the engine.
    pub id: Option<OwnerId>,
    /// The name.
    pub name: String,
}

impl Author {
    /// Whoever runs `postrider user` and the like.
    #[must_use]
    pub fn command_line() -> Self {
        Self { id: None, name: "(command line)".to_owned() }
    }
}

impl From<&Owner> for Author {
    fn from(owner: &Owner) -> Self {
        Self { id: Some(owner.id), name: owner.name.clone() }
    }
}

/// One change, as it is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was done: `subscription.pause`.
    pub action: &'static str,
    /// To what: `subscription:7`.
    pub subject: String,
    /// Whose it is; `None` for what is everybody's.
    pub owner: Option<OwnerId>,
    /// What was different before, by field; empty for what is new.
    pub was: Map<String, Value>,
    /// What it became, or what was ordered.
    pub became: Map<String, Value>,
}

impl Entry {
    /// An order of which only this is to be told.
    #[must_use]
    pub fn order(action: &'static str, subject: impl Into<String>, owner: Option<OwnerId>, told: Value) -> Self {
        let became = if let Value::Object(told) = told { told } else { Map::new() };
        Self { action, subject: subject.into(), owner, was: Map::new(), became }
    }

    /// A change to an owner; `before` is `None` for a new one.
    #[must_use]
    pub fn owner(action: &'static str, before: Option<&Owner>, after: &Owner) -> Self {
        let told = |owner: &Owner| {
            let is_active = owner.standing == Standing::Active;
            json!({"name": owner.name, "role": owner.role.as_str(), "is_active": is_active})
        };
        let was = before.map_or(Value::Null, told);
        let entry = Self::order(action, format!("user:{}", after.id), Some(after.id), told(after));
        if let Value::Object(was) = was { Self { was, ..entry } } else { entry }
    }

    /// A change to a subscription; `before` is `None` for a new one. `None` when nothing is different.
    #[must_use]
    pub fn subscription(action: &'static str, before: Option<&Subscription>, after: &Subscription) -> Option<Self> {
        let (mut was, mut became) = (before.map(facts).unwrap_or_default(), facts(after));
        became.retain(|name, now| {
            let is_same = was.get(name) == Some(now);
            if is_same {
                was.shift_remove(name);
            }
            !is_same
        });
        if let Some(before) = before {
            add_hidden(&before.terms, &after.terms, &mut became);
        }
        let subject = format!("subscription:{}", after.id);
        (!became.is_empty()).then(|| Self { action, subject, owner: Some(after.owner), was, became })
    }
}

/// What of a subscription may be told.
fn facts(subscription: &Subscription) -> Map<String, Value> {
    let Subscription { terms, hold, ramp, .. } = subscription;
    let micros = |at: Timestamp| at.as_micros();
    let hold = hold.as_ref().map(|hold| {
        json!({"mode": hold.mode.as_str(), "reason": hold.reason, "by": hold.by, "until": hold.until.map(micros)})
    });
    let told = json!({
        "event_type": terms.event_type,
        // Without user and password.
        "endpoint": Endpoint::parse(&terms.target_url).map_or_else(|_| String::new(), |endpoint| endpoint.request_url()),
        "is_active": terms.is_active,
        "is_signed": terms.signing_secret().is_some(),
        "retry": terms.retry,
        "timeout_seconds": terms.config.timeout().as_secs_f64(),
        "has_basic_auth": terms.config.basic_auth().is_some(),
        "header_names": terms.additional_headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "max_in_flight": terms.flow.max_in_flight,
        "ordering": terms.flow.ordering.as_str(),
        "rate": terms.flow.rate.map(|rate| json!({"per_second": rate.per_second, "burst": rate.burst})),
        "max_age_seconds": terms.flow.max_age.map(|age| age.as_secs()),
        "hold": hold,
        "resume_per_second": ramp.map(|ramp| ramp.per_second),
    });
    if let Value::Object(told) = told { told } else { Map::new() }
}

/// Says that what may not be told is another.
fn add_hidden(before: &Terms, after: &Terms, became: &mut Map<String, Value>) {
    for (what, is_another) in [
        ("secret", before.signing_secret() != after.signing_secret()),
        ("header_values", before.additional_headers != after.additional_headers),
        ("config", before.config != after.config),
        ("endpoint_credentials", credentials(before) != credentials(after)),
        ("callback", before.callback != after.callback),
    ] {
        if is_another {
            became.insert(what.to_owned(), json!("(another)"));
        }
    }
}

fn credentials(terms: &Terms) -> Option<(String, String)> {
    terms.endpoint().ok()?.credentials()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        edits::{Edit, Edits},
        event_type::EventType,
        headers::AdditionalHeaders,
        id::SubscriptionId,
        subscription::BasicAuth,
    };

    fn subscription(edits: &[Edit]) -> Subscription {
        let mut all = vec![
            Edit::TargetUrl("https://user:hush@a.example/".to_owned()),
            Edit::EventType(EventType::parse("package.created").expect("a type")),
        ];
        all.extend(edits.iter().cloned());
        Subscription {
            id: SubscriptionId::from_raw(7),
            owner: OwnerId::from_raw(2),
            version: 1,
            terms: Edits::new(all).to_new_terms().expect("complete"),
            hold: None,
            ramp: None,
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let (before, after) = (subscription(&[]), subscription(&[Edit::MaxInFlight(5)]));
        let entry = Entry::subscription("subscription.change", Some(&before), &after).expect("a change");
        assert_eq!((entry.subject.as_str(), entry.owner), ("subscription:7", Some(OwnerId::from_raw(2))));
        assert_eq!(Value::Object(entry.was), json!({"max_in_flight": 32}));
        assert_eq!(Value::Object(entry.became), json!({"max_in_flight": 5}));
        assert_eq!(Entry::subscription("subscription.change", Some(&after), &after), None);
    }

    #[test]
    fn no_secret_is_told_but_that_it_is_another() {
        let headers = |value: &str| {
            let headers = vec![("X-Key".to_owned(), Some(value.to_owned()))];
            Edit::Headers(AdditionalHeaders::new(headers).expect("valid"))
        };
        let auth = BasicAuth::new("u", "hush").expect("valid");
        let secrets = [Edit::Secret(Some("hush".to_owned())), headers("hush"), Edit::BasicAuth(Some(auth))];
        let (before, after) = (subscription(&[headers("former")]), subscription(&secrets));
        for entry in [
            Entry::subscription("subscription.create", None, &after).expect("it is new"),
            Entry::subscription("subscription.change", Some(&before), &after).expect("a change"),
        ] {
            let told = format!("{:?}{:?}", entry.was, entry.became);
            assert!(!told.contains("hush") && !told.contains("former"), "{told}");
        }
        let entry = Entry::subscription("subscription.change", Some(&before), &after).expect("a change");
        let hidden: Vec<_> =
            entry.became.iter().filter(|(_, value)| **value == json!("(another)")).map(|(name, _)| name).collect();
        assert_eq!(hidden, ["secret", "header_values", "config"]);
    }
}
