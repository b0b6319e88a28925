//! The contract's `config` of a subscription.

use std::{fmt, time::Duration};

use indexmap::IndexMap;
use serde_json::{Map, Value, json, value::RawValue};

use super::DEFAULT_TIMEOUT;
use crate::domain::{headers::latin_1, secret::Secret};

/// The members of a `config`, each in the JSON that was written: no number loses a digit.
pub type Members = IndexMap<String, Box<RawValue>>;

/// The contract's `config`: an object of which we read `auth` and `timeout` and keep the rest.
#[derive(Clone, Default)]
pub struct Config {
    raw: Members,
    basic_auth: Option<BasicAuth>,
    timeout: Option<Duration>,
}

/// User and password of basic auth, both in Latin-1.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user. One with a colon is sent as it is, though receivers will read its end as part of the password.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What is wrong with a `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// `auth` is no object.
    #[error("\"auth\" must be an object with \"auth_type\", \"username\" and \"password\".")]
    Auth,
    /// `username` or `password` is no text.
    #[error("\"auth.{0}\" must be a string.")]
    Credential(&'static str),
    /// `username` or `password` has characters that basic auth cannot carry.
    #[error("\"auth.{0}\" must be Latin-1.")]
    Characters(&'static str),
    /// `timeout` is not from 1 to 60.
    #[error("\"timeout\" must be a number of seconds from 1 to 60.")]
    Timeout,
}

impl Config {
    /// Reads `raw`: `auth` as in the contract, section 9 (an `auth_type` other than `basic` is ignored, a missing password
    /// is the text `None`, as the reference sends it), and `timeout`, 1 to 60 seconds.
    ///
    /// # Errors
    /// The first [`BadConfig`].
    pub fn new(raw: Members) -> Result<Self, BadConfig> {
        let auth = raw.get("auth").map(|auth| serde_json::from_str(auth.get()));
        let basic_auth = match auth.transpose().map_err(|_| BadConfig::Auth)? {
            None | Some(Value::Null) => None,
            Some(Value::Object(auth)) => basic_auth(&auth)?,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(BadConfig::Auth);
            }
        };
        let seconds = raw.get("timeout").map(|seconds| serde_json::from_str::<Option<f64>>(seconds.get()));
        let timeout = match seconds.transpose().map_err(|_| BadConfig::Timeout)?.flatten() {
            None => None,
            Some(seconds) if (1.0..=60.0).contains(&seconds) => Some(Duration::from_secs_f64(seconds)),
            Some(_) => return Err(BadConfig::Timeout),
        };
        Ok(Self { raw, basic_auth, timeout })
    }

    /// The object as given.
    #[must_use]
    pub const fn raw(&self) -> &Members {
        &self.raw
    }

    /// Credentials for basic auth.
    #[must_use]
    pub const fn basic_auth(&self) -> Option<&BasicAuth> {
        self.basic_auth.as_ref()
    }

    /// How long one attempt may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Another time-out, 1 to 60 seconds, or the default. The rest of the object stays.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        match timeout {
            Some(timeout) => self.raw.insert("timeout".to_owned(), written(&timeout.as_secs_f64().into())),
            None => self.raw.shift_remove("timeout"),
        };
    }

    /// Other credentials, or none. The rest of the object stays.
    pub fn set_basic_auth(&mut self, basic_auth: Option<BasicAuth>) {
        match &basic_auth {
            Some(BasicAuth { username, password }) => self.raw.insert(
                "auth".to_owned(),
                written(&json!({"auth_type": "basic", "username": username, "password": password.reveal()})),
            ),
            None => self.raw.shift_remove("auth"),
        };
        self.basic_auth = basic_auth;
    }
}

/// A value in JSON.
fn written(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("a value is written as JSON")
}

fn texts(members: &Members) -> impl Iterator<Item = (&str, &str)> {
    members.iter().map(|(name, value)| (name.as_str(), value.get()))
}

/// Two are the same when they are written the same.
impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        texts(&self.raw).eq(texts(&other.raw))
    }
}

impl BasicAuth {
    /// Checked credentials.
    ///
    /// # Errors
    /// [`BadConfig::Characters`] for what basic auth cannot carry.
    pub fn new(username: &str, password: &str) -> Result<Self, BadConfig> {
        for (name, text) in [("username", username), ("password", password)] {
            if latin_1(text).is_none() {
                return Err(BadConfig::Characters(name));
            }
        }
        Ok(Self { username: username.to_owned(), password: Secret::new(password) })
    }
}

fn basic_auth(auth: &Map<String, Value>) -> Result<Option<BasicAuth>, BadConfig> {
    if auth.get("auth_type").and_then(Value::as_str) != Some("basic") {
        return Ok(None);
    }
    let text = |name| match auth.get(name) {
        None | Some(Value::Null) => Ok("None"),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(BadConfig::Credential(name))
        }
    };
    BasicAuth::new(text("username")?, text("password")?).map(Some)
}

/// `raw` may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("keys", &self.raw.keys()).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicAuth(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: &Value) -> Result<Config, BadConfig> {
        Config::new(serde_json::from_value(value.clone()).expect("an object"))
    }

    #[test]
    fn basic_auth_is_read_as_the_contract_says() {
        let auth = |value| {
            config(&json!({ "auth": value }))
                .map(|c| c.basic_auth().map(|a| (a.username.clone(), a.password.reveal().to_owned())))
        };
        assert_eq!(
            auth(json!({"auth_type": "basic", "username": "u", "password": "p:é"})),
            Ok(Some(("u".into(), "p:é".into())))
        );
        assert_eq!(auth(json!({"auth_type": "basic", "username": "u"})), Ok(Some(("u".into(), "None".into()))));
        assert_eq!(auth(json!({"auth_type": "bearer", "token": "t"})), Ok(None));
        assert_eq!(auth(Value::Null), Ok(None));
        assert_eq!(auth(json!("x")), Err(BadConfig::Auth));
        assert_eq!(auth(json!({"auth_type": "basic", "username": 5})), Err(BadConfig::Credential("username")));
        assert_eq!(
            auth(json!({"auth_type": "basic", "username": "u", "password": "ş"})),
            Err(BadConfig::Characters("password"))
        );
        // Whatever the encoding can carry, though the standard of basic auth forbids it.
        assert_eq!(
            auth(json!({"auth_type": "basic", "username": "a:b", "password": "\n"})),
            Ok(Some(("a:b".into(), "\n".into())))
        );
    }

    #[test]
    fn a_timeout_is_1_to_60_seconds() {
        assert_eq!(config(&json!({})).expect("valid").timeout(), DEFAULT_TIMEOUT);
        assert_eq!(config(&json!({"timeout": 2.5})).expect("valid").timeout(), Duration::from_millis(2_500));
        for value in [json!(0), json!(61), json!("5"), json!([]), json!(-1)] {
            assert_eq!(config(&json!({ "timeout": value })), Err(BadConfig::Timeout));
        }
    }

    #[test]
    fn debug_hides_passwords() {
        let config =
            config(&json!({"auth": {"auth_type": "basic", "username": "u", "password": "hunter2"}})).expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
