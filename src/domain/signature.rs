//! The two signatures that a receiver may check.
//!
//! * The contract's: `X-Whisperer-Signature: sha256=<hex>` over the body (contract, section 9).
//! * Standard Webhooks: `webhook-signature: v1,<base64>` over `id.timestamp.body`, one for each secret that is in force,
//!   separated by spaces, so that a secret can be rotated without a gap.
//!
//! The contract's header has room for one signature, so it carries that of the newest secret from the rotation on: a
//! receiver that checks only this one learns the new secret first and accepts both for a moment.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    secret::{Retiring, Secret},
    time::Timestamp,
};

/// How far `webhook-timestamp` may be from now, in either direction (Standard Webhooks, "Verifying webhook authenticity").
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// Signs bodies. The keys are worked in once, so that each signature costs the hashing of its message only.
#[derive(Clone)]
pub struct Signer {
    whisperer: Hmac<Sha256>,
    standard: Hmac<Sha256>,
    /// The key of each secret that retires, and until when it signs.
    retiring: Vec<(Hmac<Sha256>, Timestamp)>,
}

impl Signer {
    /// Signs with `secret`, and for Standard Webhooks also with each of `retiring` until its time is over.
    #[must_use]
    pub fn new(secret: &Secret, retiring: &[Retiring]) -> Self {
        let key = |secret: &Secret| hmac_sha256(&secret.standard_key());
        Self {
            whisperer: hmac_sha256(secret.whisperer_key()),
            standard: key(secret),
            retiring: retiring.iter().map(|old| (key(&old.secret), old.until)).collect(),
        }
    }

    /// The value of `X-Whisperer-Signature`.
    #[must_use]
    pub fn whisperer(&self, body: &[u8]) -> String {
        format!("sha256={}", hex(&sign(&self.whisperer, &[body])))
    }

    /// The value of `webhook-signature` for an attempt at `timestamp`: one signature for each secret that is in force then,
    /// the newest first.
    #[must_use]
    pub fn standard(&self, webhook_id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let seconds = timestamp.as_secs().to_string();
        let parts: [&[u8]; 5] = [webhook_id.as_bytes(), b".", seconds.as_bytes(), b".", body];
        let retiring = self.retiring.iter().filter(|(_, until)| timestamp < *until).map(|(key, _)| key);
        let mut value = String::with_capacity((1 + self.retiring.len()) * 48);
        for key in std::iter::once(&self.standard).chain(retiring) {
            value.push_str(if value.is_empty() { "v1," } else { " v1," });
            STANDARD.encode_string(sign(key, &parts), &mut value);
        }
        value
    }
}

/// What every receiver ought to check, over the raw body, in constant time.
impl Signer {
    /// Whether `signature` is the contract's for `body`.
    #[must_use]
    pub fn made_whisperer(&self, signature: &str, body: &[u8]) -> bool {
        is_same(signature, &self.whisperer(body))
    }

    /// Whether one of `signatures`, divided by blanks, is that of Standard Webhooks for `body`.
    #[must_use]
    pub fn made_standard(&self, signatures: &str, webhook_id: &str, timestamp: Timestamp, body: &[u8]) -> bool {
        let expected = self.standard(webhook_id, timestamp, body);
        signatures.split_ascii_whitespace().any(|signature| is_same(signature, &expected))
    }
}

/// Whether what was signed at `timestamp` is neither a repeat of something old nor ahead of `now`, within [`TOLERANCE`].
#[must_use]
pub fn is_timely(timestamp: Timestamp, now: Timestamp) -> bool {
    now.since(timestamp).max(timestamp.since(now)) <= TOLERANCE
}

fn is_same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// Shows no key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} secrets)", 1 + self.retiring.len())
    }
}

fn hmac_sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The signature of the concatenated `parts`.
fn sign(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let signature = Signer::new(&Secret::new("Jefe"), &[]).whisperer(b"what do ya want for nothing?");
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn an_independent_verifier_accepts_what_we_sign() {
        let secret = Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = r#"{"event": {"type": "package.created"}, "payload": {"city": "İstanbul"}}"#;
        let now = Timestamp::from_micros(1_800_000_000_123_456);
        let signature = Signer::new(&secret, &[]).standard("msg_1", now, body.as_bytes());
        let theirs = standardwebhooks::Webhook::new(secret.reveal()).expect("a valid secret").sign(
            "msg_1",
            now.as_secs(),
            body.as_bytes(),
        );
        assert_eq!(signature, theirs.expect("a signature"));
    }

    #[test]
    fn a_retiring_secret_signs_beside_the_new_one_until_its_time_is_over() {
        let (new, old) = (Secret::new("new"), Secret::new("old"));
        let until = Timestamp::from_micros(10_000_000);
        let alone = |secret, at| Signer::new(secret, &[]).standard("id", at, b"{}");
        let signer = Signer::new(&new, &[Retiring { secret: old.clone(), until }]);
        let before = Timestamp::from_micros(9_999_999);
        assert_eq!(signer.standard("id", before, b"{}"), format!("{} {}", alone(&new, before), alone(&old, before)));
        assert_eq!(signer.standard("id", until, b"{}"), alone(&new, until));
        assert_eq!(signer.whisperer(b"{}"), Signer::new(&new, &[]).whisperer(b"{}"));
    }
}
