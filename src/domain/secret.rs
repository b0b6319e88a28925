//! Texts that must never be seen: signing secrets and passwords.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// The prefix by which Standard Webhooks marks a base64 secret.
const WHSEC: &str = "whsec_";
/// The longest signing secret, in characters (contract, section 3).
pub const MAX_LENGTH: usize = 124;
/// Random bytes in a secret that we make: as many as the signature has.
pub const RANDOM_BYTES: usize = 32;
/// The most secrets of one subscription that retire at once; each costs a signature in every request.
pub const MAX_RETIRING: usize = 8;

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

    /// A new signing secret from random bytes, in the form of Standard Webhooks.
    #[must_use]
    pub fn whsec(random: &[u8; RANDOM_BYTES]) -> Self {
        Self(format!("{WHSEC}{}", STANDARD.encode(random)))
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

/// A secret that was replaced, and signs beside its successor until every receiver has learned of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// The secret of before.
    pub secret: Secret,
    /// From when on it signs no more.
    pub until: Timestamp,
}

/// The secrets that retire once `successor` has taken over from `present` at `now`. None of them, however long ago it was
/// replaced, signs after `until`: an overlap of nothing ends them all, which is what a secret that leaked needs. A successor
/// that was retiring comes back. Beyond [`MAX_RETIRING`] those that were replaced first stop signing.
#[must_use]
pub fn retire(
    present: Option<&Secret>,
    retiring: &[Retiring],
    successor: &Secret,
    until: Timestamp,
    now: Timestamp,
) -> Vec<Retiring> {
    let latest = present.map(|secret| Retiring { secret: secret.clone(), until });
    let earlier = retiring.iter().map(|earlier| Retiring { until: earlier.until.min(until), ..earlier.clone() });
    let still = latest.into_iter().chain(earlier).filter(|old| now < old.until && old.secret != *successor);
    still.take(MAX_RETIRING).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn retiring(text: &str, until: i64) -> Retiring {
        Retiring { secret: Secret::new(text), until: at(until) }
    }

    #[test]
    fn the_secret_of_before_retires_and_the_latest_comes_first() {
        let new = Secret::new("new");
        let retire = |earlier: &[Retiring], until| retire(Some(&Secret::new("old")), earlier, &new, at(until), at(10));
        assert_eq!(retire(&[], 20), [retiring("old", 20)]);
        let earlier = [retiring("older", 15), retiring("oldest", 30), retiring("gone", 10)];
        assert_eq!(retire(&earlier, 20), [retiring("old", 20), retiring("older", 15), retiring("oldest", 20)]);
        assert_eq!(retire(&earlier, 10), []);
    }

    #[test]
    fn a_secret_that_comes_back_no_longer_retires() {
        let kept = retire(Some(&Secret::new("b")), &[retiring("a", 90)], &Secret::new("a"), at(20), at(10));
        assert_eq!(kept, [retiring("b", 20)]);
        assert_eq!(retire(None, &[], &Secret::new("a"), at(20), at(10)), []);
    }

    #[test]
    fn the_number_of_retiring_secrets_is_bounded() {
        let many: Vec<_> = (0..20).map(|n| retiring(&n.to_string(), 90)).collect();
        let kept = retire(Some(&Secret::new("old")), &many, &Secret::new("new"), at(90), at(10));
        assert_eq!(kept.len(), MAX_RETIRING);
        assert_eq!(kept[0], retiring("old", 90));
    }

    #[test]
    fn a_secret_that_is_made_is_base64_of_32_bytes() {
        let secret = Secret::whsec(&[7; RANDOM_BYTES]);
        assert_eq!(secret.standard_key(), [7; RANDOM_BYTES]);
        assert!(secret.reveal().len() <= MAX_LENGTH);
    }

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
