//! Tokens: texts that prove who asks. Only their digest is stored.
//!
//! They are looked up by their digest, so the time that a look-up takes tells nothing about the token itself.

use sha2::{Digest as _, Sha256};

use super::signature::hex;

/// The longest token, in characters.
pub const MAX_LENGTH: usize = 255;
/// Random bytes in a token that we make.
pub const RANDOM_BYTES: usize = 20;

/// SHA-256 of a token.
pub type Digest = [u8; 32];

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
pub fn check(text: &str) -> Result<(), BadToken> {
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

/// What is stored of `token`.
#[must_use]
pub fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token: 40 hexadecimal digits of `random`, which must come from the operating system or something as good.
#[must_use]
pub fn from_random(random: [u8; RANDOM_BYTES]) -> String {
    hex(&random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(hex(&digest("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_new_token_is_40_hex_digits_and_a_token() {
        let token = from_random([0xab; RANDOM_BYTES]);
        assert_eq!(token, "ab".repeat(20));
        assert_eq!(check(&token), Ok(()));
    }

    #[test]
    fn what_a_header_cannot_carry_is_no_token() {
        assert_eq!(check(""), Err(BadToken::Empty));
        for text in ["a b", " a", "a\n", "a\tb", "a\u{7f}", "şifre"] {
            assert_eq!(check(text), Err(BadToken::Characters), "{text:?}");
        }
        assert_eq!(check(&"a".repeat(MAX_LENGTH + 1)), Err(BadToken::TooLong));
        assert_eq!(check(&"a".repeat(MAX_LENGTH)), Ok(()));
    }
}
