//! The keys that seal secrets at rest.
//!
//! One of them seals what is written; all of them open what was written before, so that a key can be replaced while the
//! engine runs. How a sealed value looks in a column is the business of [`super::sealed`].

use std::{fmt, str::FromStr, sync::Arc};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce: long enough to be drawn at random for every value that is ever sealed.
pub(super) const NONCE_BYTES: usize = 24;
/// The longest id of a key, in characters. It stands before every value that the key sealed.
const MAX_ID_LENGTH: usize = 32;
/// The most keys at once.
const MAX_KEYS: usize = 16;
/// Hex digits of the id of a key that was given none.
const DERIVED_ID_LENGTH: usize = 8;

/// Keys by their ids; the first one seals. Cloning shares them. Without a key everything stays in plain text.
#[derive(Clone, Default)]
pub struct Keyring(Arc<[Key]>);

/// One key under its id.
pub(super) struct Key {
    id: String,
    /// Overwritten in memory when it is dropped.
    cipher: XChaCha20Poly1305,
}

/// Why a text is no list of keys. Says nothing of what was in it but ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Nothing between two commas, or nothing at all.
    #[error("a key is missing: expected KEY or ID:KEY, several of them separated by commas")]
    Empty,
    /// The id is too long or has other characters.
    #[error("key number {0} has no usable id: 1 to {MAX_ID_LENGTH} letters, digits, - and _")]
    Id(usize),
    /// Not 32 bytes in base64 or hex.
    #[error("key number {0} is not {KEY_BYTES} bytes in base64 or hex: openssl rand -base64 {KEY_BYTES} makes one")]
    Key(usize),
    /// Two keys have one id.
    #[error("two keys have the id {0:?}")]
    Twice(String),
    /// More than anyone needs.
    #[error("there are more than {MAX_KEYS} keys")]
    TooMany,
}

impl Keyring {
    /// The key that seals; `None` when values are written in plain text.
    pub(super) fn sealing(&self) -> Option<&Key> {
        self.0.first()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The ids, that of the key that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Key {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts `text` for one `place`, with a nonce that is used this once.
    pub(super) fn encrypt(&self, nonce: &[u8; NONCE_BYTES], place: &str, text: &str) -> Vec<u8> {
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        self.cipher
            .encrypt(nonce.into(), payload)
            .expect("columns are far below the 256 GiB that one nonce is good for")
    }

    /// `None` when it was sealed by another key or for another place, or was changed.
    pub(super) fn decrypt(&self, nonce: &[u8; NONCE_BYTES], place: &str, sealed: &[u8]) -> Option<String> {
        let text = self.cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: place.as_bytes() }).ok()?;
        String::from_utf8(text).ok()
    }

    fn parse(number: usize, text: &str) -> Result<Self, BadKeys> {
        let (id, key) = text.split_once(':').map_or((None, text), |(id, key)| (Some(id), key));
        let bytes = key_bytes(key).ok_or(BadKeys::Key(number))?;
        let id = id.map_or_else(|| derived_id(&bytes), str::to_owned);
        let is_usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > MAX_ID_LENGTH || !id.chars().all(is_usable) {
            return Err(BadKeys::Id(number));
        }
        Ok(Self { id, cipher: XChaCha20Poly1305::new(&bytes.into()) })
    }
}

/// Always the same for the same key, and tells nothing of it.
fn derived_id(key: &[u8; KEY_BYTES]) -> String {
    let digest = Sha256::new().chain_update(b"postrider key id").chain_update(key).finalize();
    let mut id = crate::domain::signature::hex(&digest);
    id.truncate(DERIVED_ID_LENGTH);
    id
}

fn key_bytes(text: &str) -> Option<[u8; KEY_BYTES]> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = |alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok();
    let bytes = hex_bytes(text).or_else(|| base64(&STANDARD)).or_else(|| base64(&URL_SAFE))?;
    bytes.try_into().ok()
}

/// 64 hex digits; base64 of as many characters would have 48 bytes, so the two cannot be taken for each other.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..KEY_BYTES).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

impl FromStr for Keyring {
    type Err = BadKeys;

    /// Reads `KEY` or `ID:KEY`, several of them separated by commas; blanks around them are dropped.
    fn from_str(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<Key> = Vec::new();
        for (number, text) in (1..).zip(text.split(',').map(str::trim)) {
            if text.is_empty() {
                return Err(BadKeys::Empty);
            }
            let key = Key::parse(number, text)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(BadKeys::Twice(key.id));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS {
            return Err(BadKeys::TooMany);
        }
        Ok(Self(keys.into()))
    }
}

/// The ids only.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8=";

    fn ids(text: &str) -> Result<Vec<String>, BadKeys> {
        text.parse().map(|keyring: Keyring| keyring.ids().map(str::to_owned).collect())
    }

    #[test]
    fn a_key_is_the_same_in_every_spelling() {
        let derived = ids(HEX).expect("hex");
        assert_eq!(derived[0].len(), DERIVED_ID_LENGTH);
        for text in [BASE64, BASE64.trim_end_matches('='), &HEX.to_uppercase(), &BASE64.replace('/', "_")] {
            assert_eq!(ids(text), Ok(derived.clone()), "{text}");
        }
        assert_ne!(ids(&HEX.replace("ff", "fe")), Ok(derived));
    }

    #[test]
    fn several_keys_have_ids_and_the_first_seals() {
        let text = format!("2026-11:{BASE64}, old_1:{HEX}");
        assert_eq!(ids(&text), Ok(vec!["2026-11".to_owned(), "old_1".to_owned()]));
        let keyring: Keyring = text.parse().expect("keys");
        assert_eq!(keyring.sealing().map(Key::id), Some("2026-11"));
        assert!(Keyring::default().sealing().is_none());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for (text, error) in [
            (String::new(), BadKeys::Empty),
            (format!("{HEX},"), BadKeys::Empty),
            (format!("a:{HEX},b:hunter2"), BadKeys::Key(2)),
            (format!("a:{}", &HEX[2..]), BadKeys::Key(1)),
            (format!(":{HEX}"), BadKeys::Id(1)),
            (format!("a b:{HEX}"), BadKeys::Id(1)),
            (format!("{}:{HEX}", "a".repeat(33)), BadKeys::Id(1)),
            (format!("a:{HEX},a:{BASE64}"), BadKeys::Twice("a".to_owned())),
            ((0..17).map(|n| format!("k{n}:{HEX}")).collect::<Vec<_>>().join(","), BadKeys::TooMany),
        ] {
            assert_eq!(ids(&text), Err(error.clone()), "{text}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains(HEX), "{error}");
        }
    }

    #[test]
    fn debug_shows_ids_only() {
        let keyring: Keyring = format!("a:{HEX}").parse().expect("a key");
        assert_eq!(format!("{keyring:?}"), r#"Keyring["a"]"#);
    }
}
