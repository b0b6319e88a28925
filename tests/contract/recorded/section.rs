//! A file of `cases/`: what is asked, and what the contract answers.
//!
//! Texts may name variables: `{sink}` (the receiver's URL), `{base}` (the engine's), `{bob}` (a user's token), and what an
//! earlier step has saved. Bodies and payloads go out as they stand in the file, blank for blank.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny},
};
use serde_json::{Map, Value, value::RawValue};

use super::compare::{Expected, Match};
use crate::support::sink::{Answer, Behaviour};

/// What is played against one engine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    /// For the reader.
    #[serde(rename = "about")]
    _about: String,
    /// Of the engine, beside those of all tests.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
    pub(super) steps: Vec<Step>,
}

/// A line of the file; which kind it is, its first key beside `case` says.
pub(super) enum Step {
    Ask(Ask),
    Publish(Publish),
    Endpoint(Endpoint),
    Deliver(Deliver),
}

/// Who asks.
#[derive(Clone, Copy, Default, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    Admin,
    #[default]
    Alice,
    Bob,
    Inactive,
    Nobody,
}

/// A request, and the answer to it. Without `case` it prepares one and must succeed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) case: Option<String>,
    /// `METHOD /path`.
    #[serde(rename = "ask")]
    pub(super) request: String,
    #[serde(default)]
    pub(super) by: By,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// JSON, sent as such.
    #[serde(default, deserialize_with = "as_it_stands")]
    pub(super) body: Option<Box<RawValue>>,
    /// A body of any text, sent as JSON unless `headers` say otherwise.
    pub(super) raw: Option<String>,
    /// The same with one byte per character.
    pub(super) bytes: Option<String>,
    /// So often, with the number of the time, from 1, as `{n}`.
    pub(super) times: Option<u32>,
    /// Asks again until these places of the answer have these values.
    #[serde(default)]
    pub(super) until: BTreeMap<String, Value>,
    /// Variables from places of the answer.
    #[serde(default)]
    pub(super) save: BTreeMap<String, String>,
    #[serde(rename = "match", default)]
    pub(super) matching: Match,
    /// Objects of the answer may have more keys than are told here.
    #[serde(default)]
    pub(super) further_keys: bool,
    pub(super) expect: Option<Expected>,
    /// Other answers that will do.
    #[serde(default)]
    pub(super) or: Vec<Expected>,
    /// The decision of section 0 that made the answer another than the reference's.
    #[serde(rename = "decided")]
    _decided: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// An event that is accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    #[serde(rename = "publish")]
    pub(super) event_type: String,
    pub(super) payload: Box<RawValue>,
    pub(super) times: Option<u32>,
}

/// What the receiver does at a path, request by request; the last goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) endpoint: String,
    pub(super) answers: Vec<Told>,
}

/// A hook and an event for it: what arrives, and what is recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deliver {
    pub(super) case: String,
    /// The fields of the hook, beside those that all cases share.
    pub(super) hook: Map<String, Value>,
    pub(super) payload: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) answer: Told,
    pub(super) expect: Value,
    #[serde(default)]
    pub(super) or: Vec<Value>,
    #[serde(rename = "decided")]
    _decided: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// An answer of the receiver.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// 200 by default; none at all with 0: the receiver keeps silent.
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// `OK` by default.
    body: Option<String>,
    /// A body with one byte per character.
    bytes: Option<String>,
    /// A body that is compressed.
    gzip: Option<String>,
}

impl Section {
    /// # Panics
    /// When the file is not there, or not of this form.
    pub(super) fn read(name: &str) -> Self {
        read(name)
    }
}

/// A file of `cases/`, of any form.
///
/// # Panics
/// When it has another.
pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&text_of(name)).unwrap_or_else(|error| panic!("{name}.json: {error}"))
}

/// How many cases stand in a file, whatever its form.
pub(crate) fn number_of_cases(name: &str) -> usize {
    text_of(name).matches("\"case\":").count()
}

pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/contract/cases")
}

fn text_of(name: &str) -> String {
    let path = folder().join(format!("{name}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        // Bodies are kept as text, and only the text of the whole step can be looked at twice.
        let text = Box::<RawValue>::deserialize(source)?;
        let keys: BTreeMap<String, IgnoredAny> = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let step = if keys.contains_key("ask") {
            serde_json::from_str(text.get()).map(Self::Ask)
        } else if keys.contains_key("publish") {
            serde_json::from_str(text.get()).map(Self::Publish)
        } else if keys.contains_key("endpoint") {
            serde_json::from_str(text.get()).map(Self::Endpoint)
        } else {
            serde_json::from_str(text.get()).map(Self::Deliver)
        };
        step.map_err(|error| D::Error::custom(format!("{error} in {text}")))
    }
}

/// Also `null`, which serde takes for nothing.
fn as_it_stands<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(source).map(Some)
}

impl Told {
    /// What the receiver does.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let status = self.status.unwrap_or(200);
        if status == 0 {
            return Behaviour::Hang;
        }
        let mut answer = Answer::new(status).with_body(self.bytes());
        for (name, value) in &self.headers {
            answer = answer.with_header(name, value);
        }
        if self.gzip.is_some() {
            answer = answer.with_header("Content-Encoding", "gzip");
        }
        Behaviour::Answer(answer)
    }

    fn bytes(&self) -> Vec<u8> {
        match (&self.bytes, &self.gzip, &self.body) {
            (Some(text), ..) => one_byte_each(text),
            (None, Some(text), _) => zipped(text.as_bytes()),
            (None, None, body) => body.as_deref().unwrap_or("OK").into(),
        }
    }
}

/// # Panics
/// When a character is none of Latin-1.
pub(super) fn one_byte_each(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).expect("one byte per character")).collect()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
}
