//! How secrets stand in their columns: sealed when there is a key, else in plain text.
//!
//! ```text
//! sealed:1:KEY ID:BASE64 of nonce, ciphertext and tag     XChaCha20-Poly1305
//! sealed:plain:TEXT                                       plain text that begins like a sealed value
//! TEXT                                                    plain text
//! ```
//!
//! What is sealed is bound to its [`Place`]: to the column, to the row, and to the owner of the row, who is shown what is in
//! it. A value that was copied into another row, or whose row was given to another owner, does not open. It does not keep
//! anybody who can write to the database from putting plain text there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::keyring::{Keyring, NONCE_BYTES};
use crate::domain::id::{OwnerId, SubscriptionId};

/// Begins everything that is not plain text as it was given.
const PREFIX: &str = "sealed:";
/// Follows the prefix in plain text that would begin with it.
const PLAIN: &str = "plain:";
/// Follows the prefix in what was sealed this way.
const VERSION: &str = "1:";

/// A column with secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    SecretKey,
    RetiringSecrets,
    AdditionalHeaders,
    Config,
}

impl Column {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::SecretKey => "secret_key",
            Self::RetiringSecrets => "retiring_secrets",
            Self::AdditionalHeaders => "additional_headers",
            Self::Config => "config",
        }
    }
}

/// Which row of the subscriptions, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) owner: OwnerId,
    pub(super) id: SubscriptionId,
}

impl Place {
    fn name(self, column: Column) -> String {
        format!("subscriptions.{}/{}/{}", column.as_str(), self.owner.as_raw(), self.id.as_raw())
    }
}

/// Why a value cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column} of subscription {id} {why}", column = column.as_str(), id = id.as_raw())]
pub(super) struct Unopened {
    column: Column,
    id: SubscriptionId,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("is sealed with the key {0:?}, which is not among the keys that were given")]
    KeyMissing(String),
    #[error("is not opened by the key {0:?}: another key of this name sealed it, or it was changed")]
    KeyWrong(String),
    #[error("is sealed in a way that this version does not know")]
    Unknown,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    Plain(&'a str),
    Sealed { key: &'a str, bytes: &'a str },
    Unknown,
}

impl<'a> Stored<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let Some(rest) = text.strip_prefix(PREFIX) else { return Self::Plain(text) };
        if let Some(plain) = rest.strip_prefix(PLAIN) {
            return Self::Plain(plain);
        }
        let sealed = rest.strip_prefix(VERSION).and_then(|rest| rest.split_once(':'));
        sealed.map_or(Self::Unknown, |(key, bytes)| Self::Sealed { key, bytes })
    }
}

impl Keyring {
    /// `text` as it is to be stored in a column of a row.
    pub(super) fn seal(&self, place: Place, column: Column, text: &str) -> String {
        let Some(key) = self.sealing() else {
            let escape = if text.starts_with(PREFIX) { [PREFIX, PLAIN].concat() } else { String::new() };
            return escape + text;
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let mut bytes = nonce.to_vec();
        bytes.extend(key.encrypt(&nonce, &place.name(column), text));
        format!("{PREFIX}{VERSION}{}:{}", key.id(), URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The text that was given to [`Keyring::seal`] for the same column of the same row.
    pub(super) fn open(&self, place: Place, column: Column, stored: &str) -> Result<String, Unopened> {
        let unopened = |why| Unopened { column, id: place.id, why };
        let (id, bytes) = match Stored::read(stored) {
            Stored::Plain(text) => return Ok(text.to_owned()),
            Stored::Unknown => return Err(unopened(Why::Unknown)),
            Stored::Sealed { key, bytes } => (key, bytes),
        };
        let key = self.find(id).ok_or_else(|| unopened(Why::KeyMissing(id.to_owned())))?;
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok();
        bytes
            .as_ref()
            .and_then(|bytes| bytes.split_first_chunk::<NONCE_BYTES>())
            .and_then(|(nonce, sealed)| key.decrypt(nonce, &place.name(column), sealed))
            .ok_or_else(|| unopened(Why::KeyWrong(id.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { owner: OwnerId::from_raw(7), id: SubscriptionId::from_raw(73) };

    /// A keyring of keys with these ids; the same id is always the same key.
    fn keyring(ids: &[&str]) -> Keyring {
        let key =
            |id: &&str| format!("{id}:{}", format!("{:02x}", id.len() * 17 + usize::from(id.as_bytes()[0])).repeat(32));
        ids.iter().map(key).collect::<Vec<_>>().join(",").parse().expect("keys")
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let keys = keyring(&["a"]);
        for text in ["", "hunter2", "şifre 🔑", "sealed:1:a:b", "sealed:plain:x", "{\"auth\": {}}"] {
            let sealed = keys.seal(PLACE, Column::SecretKey, text);
            assert!(sealed.starts_with("sealed:1:a:") && (text.is_empty() || !sealed[11..].contains(text)), "{sealed}");
            assert_eq!(keys.open(PLACE, Column::SecretKey, &sealed), Ok(text.to_owned()));
            assert_ne!(keys.seal(PLACE, Column::SecretKey, text), sealed, "every nonce is new");
        }
    }

    #[test]
    fn without_a_key_texts_stay_as_they_are_and_are_never_taken_for_sealed() {
        let none = Keyring::default();
        assert_eq!(none.seal(PLACE, Column::Config, "{}"), "{}");
        for text in ["", "hunter2", "sealed:", "sealed:1:a:b", "sealed:plain:x", "sealed:plain:sealed:plain:x"] {
            let stored = none.seal(PLACE, Column::SecretKey, text);
            for keys in [&none, &keyring(&["a"])] {
                assert_eq!(keys.open(PLACE, Column::SecretKey, &stored), Ok(text.to_owned()));
            }
        }
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let keys = keyring(&["a"]);
        let sealed = keys.seal(PLACE, Column::SecretKey, "hunter2");
        let elsewhere = Place { id: SubscriptionId::from_raw(74), ..PLACE };
        let of_another = Place { owner: OwnerId::from_raw(8), ..PLACE };
        for (place, column) in
            [(PLACE, Column::Config), (elsewhere, Column::SecretKey), (of_another, Column::SecretKey)]
        {
            assert!(keys.open(place, column, &sealed).is_err(), "{place:?} {column:?}");
        }
        let mut changed = sealed.clone().into_bytes();
        let middle = changed.len() - 8;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        for text in [changed.as_str(), &sealed[..sealed.len() - 8], "sealed:1:a:", "sealed:1:a:AAAA", "sealed:1:a:?"] {
            let error = keys.open(PLACE, Column::SecretKey, text).expect_err("it was changed");
            assert_eq!(error.why, Why::KeyWrong("a".to_owned()));
        }
    }

    #[test]
    fn an_error_names_the_key_and_the_row_and_no_secret() {
        let sealed = keyring(&["old"]).seal(PLACE, Column::SecretKey, "hunter2");
        let told =
            |keys: &Keyring, text: &str| keys.open(PLACE, Column::SecretKey, text).expect_err("it cannot").to_string();
        let missing = told(&Keyring::default(), &sealed);
        assert_eq!(
            missing,
            "secret_key of subscription 73 is sealed with the key \"old\", which is not among the keys that were given"
        );
        let wrong: Keyring = format!("old:{}", "ab".repeat(32)).parse().expect("a key");
        assert!(told(&wrong, &sealed).contains("is not opened by the key \"old\""));
        assert!(told(&wrong, "sealed:2:old:AAAA").contains("does not know"));
    }

    #[test]
    fn several_keys_open_and_the_first_seals() {
        let sealed = keyring(&["old"]).seal(PLACE, Column::Config, "{}");
        let both = keyring(&["new", "old"]);
        assert_eq!(both.open(PLACE, Column::Config, &sealed).as_deref(), Ok("{}"));
        assert!(both.seal(PLACE, Column::Config, "{}").starts_with("sealed:1:new:"));
    }
}
