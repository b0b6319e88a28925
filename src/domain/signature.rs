//! The two signatures that a receiver may check.
//!
//! * The contract's: `X-Whisperer-Signature: sha256=<hex>` over the body (contract, section 9).
//! * Standard Webhooks: `webhook-signature: v1,<base64>` over `id.timestamp.body`, one for each secret that is in force,
//!   separated by spaces, so that a secret can be rotated without a gap.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{secret::Secret, time::Timestamp};

/// HMAC-SHA256 of the concatenated `parts`.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

/// The value of `X-Whisperer-Signature`.
#[must_use]
pub fn whisperer_signature(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex(&hmac_sha256(secret.whisperer_key(), &[body])))
}

/// The value of `webhook-signature`: one signature for each of `secrets`, in their order.
#[must_use]
pub fn standard_signature(secrets: &[&Secret], webhook_id: &str, timestamp: Timestamp, body: &[u8]) -> String {
    let seconds = timestamp.as_secs().to_string();
    let sign = |secret: &&Secret| {
        let parts: [&[u8]; 5] = [webhook_id.as_bytes(), b".", seconds.as_bytes(), b".", body];
        format!("v1,{}", STANDARD.encode(hmac_sha256(&secret.standard_key(), &parts)))
    };
    secrets.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let signature = whisperer_signature(&Secret::new("Jefe"), b"what do ya want for nothing?");
        assert_eq!(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn an_independent_verifier_accepts_what_we_sign() {
        let secret = Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = r#"{"event": {"type": "package.created"}, "payload": {"city": "İstanbul"}}"#;
        let now = Timestamp::from_micros(1_800_000_000_123_456);
        let signature = standard_signature(&[&secret], "msg_1", now, body.as_bytes());
        let theirs = standardwebhooks::Webhook::new(secret.reveal()).expect("a valid secret").sign(
            "msg_1",
            now.as_secs(),
            body.as_bytes(),
        );
        assert_eq!(signature, theirs.expect("a signature"));
    }

    #[test]
    fn while_a_secret_is_rotated_both_sign() {
        let (new, old) = (Secret::new("new"), Secret::new("old"));
        let both = standard_signature(&[&new, &old], "id", Timestamp::EPOCH, b"{}");
        let alone = standard_signature(&[&old], "id", Timestamp::EPOCH, b"{}");
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(&alone));
    }
}
