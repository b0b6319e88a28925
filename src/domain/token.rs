//! Tokens: texts that prove who asks. Only their digest is stored.

use sha2::{Digest as _, Sha256};

use super::signature::hex;

/// SHA-256 of a token.
pub type Digest = [u8; 32];

/// What is stored of `token`.
#[must_use]
pub fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token: 40 hexadecimal digits of `random`, which must come from the operating system or something as good.
#[must_use]
pub fn from_random(random: [u8; 20]) -> String {
    hex(&random)
}
