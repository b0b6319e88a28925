//! What opens the HTTP API: a text that its owner keeps and we forget. Only its SHA-256 is stored.
//!
//! Tokens are compared by their digests, so the time that a look-up takes tells nothing about the token itself. Where the
//! random bytes of a new one come from is the caller's business.

use sha2::{Digest, Sha256};

use super::{secret::Secret, signature::hex};

/// The longest token, in characters.
pub const MAX_LENGTH: usize = 255;
/// Random bytes in a token that we make: twice as many hex digits, as integrators know their tokens.
pub const RANDOM_BYTES: usize = 20;

/// SHA-256 of a token.
pub type TokenDigest = [u8; 32];

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Nothing in it.
    #[error("a token cannot be empty")]
    Empty,
    /// More than [`MAX_LENGTH`] characters.
    #[error("a token has at most {MAX_LENGTH} characters")]
    TooLong,
    /// `Authorization: Token <token>` ends at a blank (contract, section 2), and a header carries visible ASCII.
    #[error("a token has letters, digits and punctuation of ASCII only: no spaces, no control characters")]
    Characters,
}

/// Checks a token that an operator brings along.
///
/// # Errors
/// The first [`BadToken`].
pub fn check_token(text: &str) -> Result<(), BadToken> {
    if text.is_empty() {
        Err(BadToken::Empty)
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(BadToken::Characters)
    } else if text.len() > MAX_LENGTH {
        Err(BadToken::TooLong)
    } else {
        Ok(())
    }
}

/// A new token from random bytes: 40 hex digits.
#[must_use]
pub fn token_from(random: &[u8; RANDOM_BYTES]) -> Secret {
    Secret::new(hex(random))
}

/// What is stored of a token, and what it is found by.
#[must_use]
pub fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(hex(&token_digest("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_new_token_is_40_hex_digits_and_a_token() {
        let token = token_from(&[0xab; RANDOM_BYTES]);
        assert_eq!(token.reveal(), "ab".repeat(20));
        assert_eq!(check_token(token.reveal()), Ok(()));
    }

    #[test]
    fn what_a_header_cannot_carry_is_no_token() {
        assert_eq!(check_token(""), Err(BadToken::Empty));
        for text in ["a b", " a", "a\n", "a\tb", "a\u{7f}", "şifre"] {
            assert_eq!(check_token(text), Err(BadToken::Characters), "{text:?}");
        }
        assert_eq!(check_token(&"a".repeat(MAX_LENGTH + 1)), Err(BadToken::TooLong));
        assert_eq!(check_token(&"a".repeat(MAX_LENGTH)), Ok(()));
    }
}
