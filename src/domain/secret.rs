//! Texts that must never be seen: signing secrets and passwords.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The prefix by which Standard Webhooks marks a base64 secret.
const WHSEC: &str = "whsec_";

/// A secret text. `Debug` hides it; only [`Secret::reveal`] and the signatures see it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes any text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the column that stores it, the owner who asks for it, and the wire.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The key of the contract's signature: the UTF-8 bytes of the text (contract, section 9).
    #[must_use]
    pub fn whisperer_key(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The key of the Standard Webhooks signature: the base64 behind `whsec_`, else the UTF-8 bytes of the text. A
    /// `whsec_` that is followed by no valid base64 counts as plain text.
    #[must_use]
    pub fn standard_key(&self) -> Vec<u8> {
        self.0
            .strip_prefix(WHSEC)
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .unwrap_or_else(|| self.0.clone().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_whsec_secret_is_base64_behind_its_prefix() {
        assert_eq!(Secret::new("whsec_AQID").standard_key(), [1, 2, 3]);
        assert_eq!(Secret::new("whsec_AQID").whisperer_key(), b"whsec_AQID");
        assert_eq!(Secret::new("plain").standard_key(), b"plain");
        assert_eq!(Secret::new("whsec_***").standard_key(), b"whsec_***");
    }
}
