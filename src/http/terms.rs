//! The fields of a subscription that the native API writes, described in one table and read by one function.
//!
//! What is read becomes [`Edits`] of the domain, as what the contract's resource reads does; the names and the sentences
//! differ. Everything that is wrong is told at once.

mod schema;

use std::time::Duration;

use serde_json::{Map, Value};

pub(super) use self::schema::{NewSubscription, RetrySchema, SubscriptionFields};
use super::problem::{FieldFault, Problem};
use crate::domain::{
    edits::{Edit, Edits},
    endpoint::{self, Endpoint},
    event_type::EventType,
    headers::AdditionalHeaders,
    ordering::Ordering,
    queue::Rate,
    retry::RetryPolicy,
    secret,
    subscription::{BasicAuth, DEFAULT_MAX_IN_FLIGHT, MAX_MAX_AGE, MAX_MAX_IN_FLIGHT, MAX_RATE},
};

/// A field: its name, what null means (`None`: it is refused), and how a value is read.
struct Field {
    name: &'static str,
    null: Option<fn() -> Edit>,
    read: fn(&Value) -> Result<Edit, String>,
}

/// Which events; whether there are any of this type is asked of the catalogue.
pub(super) const EVENT_TYPE: &str = "event_type";
/// Where to.
pub(super) const ENDPOINT: &str = "endpoint";

/// In the order of the representation, and so of the errors.
static FIELDS: [Field; 12] = [
    Field { name: EVENT_TYPE, null: None, read: event_type },
    Field { name: ENDPOINT, null: None, read: target_url },
    Field { name: "is_active", null: None, read: is_active },
    Field { name: "secret", null: Some(|| Edit::Secret(None)), read: signing_secret },
    Field { name: "retry", null: Some(|| Edit::Retry(RetryPolicy::default())), read: retry },
    Field { name: "timeout_seconds", null: Some(|| Edit::Timeout(None)), read: timeout },
    Field { name: "basic_auth", null: Some(|| Edit::BasicAuth(None)), read: basic_auth },
    Field { name: "headers", null: Some(|| Edit::Headers(AdditionalHeaders::default())), read: headers },
    Field { name: "max_in_flight", null: Some(|| Edit::MaxInFlight(DEFAULT_MAX_IN_FLIGHT)), read: max_in_flight },
    Field { name: "ordering", null: Some(|| Edit::Ordering(Ordering::None)), read: ordering },
    Field { name: "rate", null: Some(|| Edit::Rate(None)), read: rate },
    Field { name: "max_age_seconds", null: Some(|| Edit::MaxAge(None)), read: max_age },
];

/// What a body says: the fields that are right, and everything that is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Reading {
    edits: Vec<Edit>,
    faults: Vec<FieldFault>,
}

impl Reading {
    /// Reads `members`; unknown ones are faults, so that a slip of the pen does not pass for a change.
    pub(super) fn of(members: &Map<String, Value>) -> Self {
        let mut reading = Self::default();
        for field in &FIELDS {
            let Some(value) = members.get(field.name) else { continue };
            let read = match (value, field.null) {
                (Value::Null, Some(edit)) => Ok(edit()),
                (Value::Null, None) => Err("must not be null".to_owned()),
                (value, _) => (field.read)(value),
            };
            match read {
                Ok(edit) => reading.edits.push(edit),
                Err(what) => reading.refuse(field.name, format!("\"{}\" {what}.", field.name)),
            }
        }
        for name in members.keys().filter(|name| FIELDS.iter().all(|field| field.name != *name)) {
            reading.refuse(name, format!("There is no field {name:?} to write."));
        }
        reading
    }

    /// Demands what a new subscription cannot be without.
    pub(super) fn demand(&mut self, members: &Map<String, Value>) {
        for name in [EVENT_TYPE, ENDPOINT].into_iter().filter(|name| !members.contains_key(*name)) {
            self.refuse(name, format!("\"{name}\" is required."));
        }
    }

    /// Notes a fault.
    pub(super) fn refuse(&mut self, name: &str, detail: String) {
        self.faults.push(FieldFault { field: name.to_owned(), detail });
    }

    /// The endpoint that is to be delivered to, when one is given and nothing is wrong with it so far.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let url = self.edits.iter().find_map(|edit| if let Edit::TargetUrl(url) = edit { Some(url) } else { None })?;
        Endpoint::parse(url).ok()
    }

    /// The event type, when one is given and nothing is wrong with its form.
    pub(super) fn event_type(&self) -> Option<&EventType> {
        self.edits.iter().find_map(|edit| if let Edit::EventType(event_type) = edit { Some(event_type) } else { None })
    }

    /// Whether what was over is to go on.
    pub(super) fn activates(&self) -> bool {
        self.edits.contains(&Edit::IsActive(true))
    }

    /// Leaves the endpoint as it is.
    pub(super) fn keep_endpoint(&mut self) {
        self.edits.retain(|edit| !matches!(edit, Edit::TargetUrl(_)));
    }

    /// The change, when nothing is wrong.
    ///
    /// # Errors
    /// 422 with all that is wrong.
    pub(super) fn edits(self) -> Result<Edits, Problem> {
        if self.faults.is_empty() { Ok(Edits::new(self.edits)) } else { Err(Problem::fields(&self.faults)) }
    }
}

type Read = Result<Edit, String>;

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".to_owned())
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "must be an object".to_owned())
}

/// A whole number in a range.
fn whole(value: Option<&Value>, least: u64, most: u64) -> Option<u64> {
    value?.as_u64().filter(|number| (least..=most).contains(number))
}

/// Refuses members that mean nothing.
fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(format!("has no member {unknown:?}")),
    }
}

fn event_type(value: &Value) -> Read {
    EventType::parse(text(value)?).map(Edit::EventType).map_err(|error| format!("is refused: {error}"))
}

fn target_url(value: &Value) -> Read {
    let url = text(value)?.trim();
    if url.chars().count() > endpoint::MAX_LENGTH {
        return Err(format!("must have at most {} characters", endpoint::MAX_LENGTH));
    }
    let endpoint = Endpoint::parse(url).map_err(|_| "must be an absolute http or https URL with a host".to_owned())?;
    if endpoint.credentials().is_some() {
        return Err("must not have a user or a password in it: give them as \"basic_auth\"".to_owned());
    }
    Ok(Edit::TargetUrl(url.to_owned()))
}

fn is_active(value: &Value) -> Read {
    value.as_bool().map(Edit::IsActive).ok_or_else(|| "must be true or false".to_owned())
}

fn signing_secret(value: &Value) -> Read {
    match text(value)? {
        text if (1..=secret::MAX_LENGTH).contains(&text.chars().count()) => Ok(Edit::Secret(Some(text.to_owned()))),
        _ => Err(format!("must have 1 to {} characters, or be null for no signature", secret::MAX_LENGTH)),
    }
}

fn retry(value: &Value) -> Read {
    let shape = |error: serde_json::Error| format!("needs a \"choice\" and its \"kwargs\": {error}");
    let policy: RetryPolicy = serde_json::from_value(value.clone()).map_err(shape)?;
    // serde passes over what it does not know.
    let understood = serde_json::to_value(&policy).expect("policies serialise");
    only(object(value)?, &["choice", "kwargs"])?;
    let known: Vec<&str> =
        understood["kwargs"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    value["kwargs"].as_object().map_or(Ok(()), |kwargs| only(kwargs, &known))?;
    policy.check().map(|()| Edit::Retry(policy)).map_err(|error| format!("is not possible: {error}"))
}

fn timeout(value: &Value) -> Read {
    let seconds = value.as_f64().filter(|seconds| (1.0..=60.0).contains(seconds));
    seconds
        .map(|seconds| Edit::Timeout(Some(Duration::from_secs_f64(seconds))))
        .ok_or_else(|| "must be a number of seconds from 1 to 60, or null".to_owned())
}

fn basic_auth(value: &Value) -> Read {
    let members = object(value)?;
    only(members, &["username", "password"])?;
    let credential = |name| members.get(name).and_then(Value::as_str).ok_or(format!("needs a string {name:?}"));
    let refused = || "must be Latin-1 without control characters, and a user name has no colon".to_owned();
    let (username, password) = (credential("username")?, credential("password")?);
    // The contract takes these, and receivers misread them.
    if username.contains(':') || [username, password].iter().any(|text| text.contains(char::is_control)) {
        return Err(refused());
    }
    BasicAuth::new(username, password).map(|auth| Edit::BasicAuth(Some(auth))).map_err(|_| refused())
}

fn headers(value: &Value) -> Read {
    let mut headers = Vec::new();
    for (name, value) in object(value)? {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(format!("must have strings or null as values, {name:?} has another"));
            }
        };
        headers.push((name.clone(), value));
    }
    AdditionalHeaders::new(headers)
        .map(Edit::Headers)
        .map_err(|error| format!("cannot be sent: {}", error.to_string().trim_end_matches('.')))
}

fn max_in_flight(value: &Value) -> Read {
    let number = whole(Some(value), 1, MAX_MAX_IN_FLIGHT.into()).and_then(|number| u16::try_from(number).ok());
    number.map(Edit::MaxInFlight).ok_or_else(|| format!("must be from 1 to {MAX_MAX_IN_FLIGHT}"))
}

fn ordering(value: &Value) -> Read {
    let name = text(value)?;
    let found = Ordering::ALL.into_iter().find(|ordering| ordering.as_str() == name);
    found
        .map(Edit::Ordering)
        .ok_or_else(|| format!("must be one of {}", Ordering::ALL.map(Ordering::as_str).join(", ")))
}

fn rate(value: &Value) -> Read {
    let members = object(value)?;
    only(members, &["per_second", "burst"])?;
    let number = |name| whole(members.get(name), 1, MAX_RATE.into()).and_then(|number| u32::try_from(number).ok());
    let per_second = number("per_second");
    let burst = if members.contains_key("burst") { number("burst") } else { per_second };
    match (per_second, burst) {
        (Some(per_second), Some(burst)) => Ok(Edit::Rate(Some(Rate { per_second, burst }))),
        (Some(_) | None, _) => Err(format!("needs \"per_second\", and may have \"burst\", both from 1 to {MAX_RATE}")),
    }
}

fn max_age(value: &Value) -> Read {
    let most = MAX_MAX_AGE.as_secs();
    let seconds = whole(Some(value), 1, most).map(Duration::from_secs);
    seconds.map(|age| Edit::MaxAge(Some(age))).ok_or_else(|| format!("must be from 1 to {most}, or null"))
}

#[cfg(test)]
mod tests;
