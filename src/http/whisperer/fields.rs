//! The fields of a hook that a client may write, described in one table and read by one function (contract, section 3).
//!
//! [`read`] looks at a body without touching the store; what it gives are the [`Edits`] of a subscription, or everything that is
//! wrong, in the order of the table.

use super::{
    errors::{Fault, Faults},
    json::Json,
    objects,
    retry_config::{self, dictionary},
    rules::{Blank, NULL, REQUIRED, boolean, no_choice, text},
};
use crate::domain::{
    edits::{Edit, Edits},
    endpoint::{self, Endpoint},
    event_type::{self, EventType},
    headers::{AdditionalHeaders, latin_1},
    subscription::Config,
};

/// What a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// POST: a new hook.
    Create,
    /// PUT: the fields that must be there, and what else is given.
    Replace,
    /// PATCH: what is given.
    Patch,
}

/// A field and its rules.
struct Field {
    name: &'static str,
    required: Required,
    null: Null,
    kind: Kind,
}

/// When a field must be there.
#[derive(Clone, Copy)]
enum Required {
    Never,
    /// On PUT only.
    ToReplace,
    /// On POST and PUT.
    Always,
}

/// What null means.
enum Null {
    Refused,
    Means(fn() -> Edit),
}

/// How a value is read.
enum Kind {
    /// Trimmed and coerced text of at most `max` characters; `then` makes the edit or says what is wrong.
    Text { max: usize, blank: Blank, then: fn(String) -> Result<Edit, Fault> },
    /// Anything else.
    Other(fn(&Json) -> Result<Edit, Fault>),
}

/// The order is that of the representation, and so of the errors.
static FIELDS: [Field; 8] = [
    Field {
        name: "retry_countdown_config",
        // Optional on POST, though the reference demands it (contract, section 0).
        required: Required::ToReplace,
        null: Null::Refused,
        kind: Kind::Other(|value| retry_config::read(value).map(Edit::Retry).map_err(Fault::Nested)),
    },
    Field {
        name: TARGET_URL,
        required: Required::Always,
        null: Null::Refused,
        kind: Kind::Text { max: endpoint::MAX_LENGTH, blank: Blank::Refused, then: target_url },
    },
    Field {
        name: "is_active",
        required: Required::Never,
        null: Null::Refused,
        kind: Kind::Other(|value| boolean(value).map(Edit::IsActive)),
    },
    Field {
        name: "secret_key",
        required: Required::Never,
        null: Null::Means(|| Edit::Secret(None)),
        kind: Kind::Text { max: 124, blank: Blank::Accepted, then: |text| Ok(Edit::Secret(Some(text))) },
    },
    Field {
        name: "event_type",
        required: Required::Always,
        null: Null::Refused,
        kind: Kind::Text { max: event_type::MAX_LENGTH, blank: Blank::Refused, then: subscribable },
    },
    Field {
        name: "callback",
        required: Required::Never,
        null: Null::Means(|| Edit::Callback(None)),
        kind: Kind::Text { max: 64, blank: Blank::Accepted, then: |text| Ok(Edit::Callback(Some(text))) },
    },
    Field {
        name: "additional_headers",
        required: Required::Never,
        null: Null::Means(|| Edit::Headers(AdditionalHeaders::default())),
        kind: Kind::Other(|value| objects::headers(value).map(Edit::Headers)),
    },
    Field {
        name: "config",
        required: Required::Never,
        null: Null::Means(|| Edit::Config(Config::default())),
        kind: Kind::Other(|value| objects::config(value).map(Edit::Config)),
    },
];

const TARGET_URL: &str = "target_url";

/// What a body says: the fields that are right, and everything that is wrong with the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    edits: Vec<Edit>,
    faults: Faults,
}

/// Reads `body`. Unknown and read-only fields are ignored.
pub(super) fn read(body: &Json, purpose: Purpose) -> Reading {
    let mut reading = Reading::default();
    if *body == Json::Null {
        reading.faults = Faults::of_the_whole("No data provided");
        return reading;
    }
    let object = match dictionary(body) {
        Ok(object) => object,
        Err(faults) => return Reading { faults, ..reading },
    };
    for field in &FIELDS {
        let read = match object.get(field.name) {
            None if field.required.by(purpose) => Err(Fault::text(REQUIRED)),
            None => continue,
            Some(value) => field.read(value),
        };
        match read {
            Ok(edit) => reading.edits.push(edit),
            Err(fault) => reading.faults.add(field.name, fault),
        }
    }
    reading
}

impl Required {
    const fn by(self, purpose: Purpose) -> bool {
        match (self, purpose) {
            (Self::Always, Purpose::Create | Purpose::Replace) | (Self::ToReplace, Purpose::Replace) => true,
            (Self::Always | Self::ToReplace | Self::Never, _) => false,
        }
    }
}

impl Field {
    fn read(&self, value: &Json) -> Result<Edit, Fault> {
        match (value, &self.null, &self.kind) {
            (Json::Null, Null::Refused, _) => Err(Fault::text(NULL)),
            (Json::Null, Null::Means(edit), _) => Ok(edit()),
            (value, _, Kind::Text { max, blank, then }) => text(value, Some(*max), *blank).and_then(then),
            (value, _, Kind::Other(read)) => read(value),
        }
    }
}

fn target_url(text: String) -> Result<Edit, Fault> {
    match Endpoint::parse(&text) {
        Ok(endpoint) if endpoint.credentials().is_some_and(|(user, password)| !fits_basic_auth(&user, &password)) => {
            Err(Fault::text("The user and the password in the URL must be Latin-1."))
        }
        Ok(_) => Ok(Edit::TargetUrl(text)),
        Err(_) => Err(Fault::text("Enter a valid URL.")),
    }
}

/// Basic auth beyond Latin-1 is refused when it is written (contract, section 0).
fn fits_basic_auth(user: &str, password: &str) -> bool {
    [user, password].iter().all(|text| latin_1(text).is_some())
}

/// The engine's own types, too: they are events like others once somebody has asked for them.
fn subscribable(name: String) -> Result<Edit, Fault> {
    EventType::subscribable(&name).map(Edit::EventType).ok_or_else(|| no_choice(name))
}

impl Reading {
    /// The URL that is to be delivered to, when one is given and nothing is wrong with it so far.
    pub(super) fn target_url(&self) -> Option<&str> {
        self.edits.iter().find_map(|edit| if let Edit::TargetUrl(url) = edit { Some(url.as_str()) } else { None })
    }

    /// Notes why the URL may not be delivered to.
    pub(super) fn refuse_target_url(&mut self, reason: impl Into<String>) {
        self.faults.add(TARGET_URL, Fault::text(reason));
        self.faults.sort_by(|name| FIELDS.iter().position(|field| field.name == name).unwrap_or(FIELDS.len()));
    }

    /// The change, when nothing is wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn edits(self) -> Result<Edits, Faults> {
        if self.faults.is_empty() { Ok(Edits::new(self.edits)) } else { Err(self.faults) }
    }
}

#[cfg(test)]
mod tests;
