//! Whether a delivery is signed as it should be: what every receiver ought to check.

use crate::domain::{
    secret::Secret,
    signature::{Signer, is_timely},
    time::Timestamp,
};

/// What a look at a signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is ours.
    Valid,
    /// It is not.
    Invalid(Flaw),
    /// There is none.
    Unsigned,
    /// There is one, but no secret to check it with.
    Unchecked,
}

/// What is wrong with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Another secret, or another body.
    Mismatch,
    /// `webhook-timestamp` is too far from now.
    Time,
    /// Its id or its timestamp is missing or unreadable.
    Headers,
}

impl Check {
    /// For a table.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "✓",
            Self::Invalid(Flaw::Mismatch) => "✗ wrong",
            Self::Invalid(Flaw::Time) => "✗ time",
            Self::Invalid(Flaw::Headers) => "✗ header",
            Self::Unsigned => "unsigned",
            Self::Unchecked => "signed",
        }
    }
}

/// The contract's signature: `X-Whisperer-Signature` as received.
pub(crate) fn check_whisperer(secret: Option<&Secret>, signature: Option<&str>, body: &[u8]) -> Check {
    match (signature, secret) {
        (None, _) => Check::Unsigned,
        (Some(_), None) => Check::Unchecked,
        (Some(signature), Some(secret)) => matched(Signer::new(secret, &[]).made_whisperer(signature, body)),
    }
}

/// The headers of Standard Webhooks as received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StandardHeaders<'a> {
    pub(crate) id: Option<&'a str>,
    /// Seconds since 1970.
    pub(crate) timestamp: Option<&'a str>,
    /// One or several, separated by blanks: one match is enough.
    pub(crate) signature: Option<&'a str>,
}

/// The signature of Standard Webhooks, which also tells a repeat of an old request from a new one.
pub(crate) fn check_standard(
    secret: Option<&Secret>,
    headers: StandardHeaders<'_>,
    body: &[u8],
    now: Timestamp,
) -> Check {
    let Some(signatures) = headers.signature else { return Check::Unsigned };
    let Some(secret) = secret else { return Check::Unchecked };
    let timestamp = headers.timestamp.and_then(|text| text.parse::<i64>().ok());
    let (Some(id), Some(seconds)) = (headers.id, timestamp) else { return Check::Invalid(Flaw::Headers) };

    let signed_at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    if !is_timely(signed_at, now) {
        return Check::Invalid(Flaw::Time);
    }
    matched(Signer::new(secret, &[]).made_standard(signatures, id, signed_at, body))
}

const fn matched(is_same: bool) -> Check {
    if is_same { Check::Valid } else { Check::Invalid(Flaw::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"event": {"type": "package.created", "uuid": "u"}, "payload": {"city": "\u0130zmir"}}"#;
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_500_000);

    fn secret() -> Secret {
        Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    }

    #[test]
    fn the_contracts_signature_is_over_the_raw_body() {
        let signature = Signer::new(&secret(), &[]).whisperer(BODY);
        let check = |secret: Option<&Secret>, signature, body| check_whisperer(secret, signature, body);
        assert_eq!(check(Some(&secret()), Some(&signature), BODY), Check::Valid);
        assert_eq!(check(Some(&secret()), Some(&signature), b"{}"), Check::Invalid(Flaw::Mismatch));
        assert_eq!(check(Some(&Secret::new("other")), Some(&signature), BODY), Check::Invalid(Flaw::Mismatch));
        assert_eq!(check(Some(&secret()), None, BODY), Check::Unsigned);
        assert_eq!(check(None, Some(&signature), BODY), Check::Unchecked);
    }

    /// Signed by another implementation.
    fn standard(signed_at: i64) -> String {
        let signer = standardwebhooks::Webhook::new(secret().reveal()).expect("a secret");
        signer.sign("msg_1", signed_at, BODY).expect("a signature")
    }

    fn check(signature: Option<&str>, timestamp: Option<&str>, id: Option<&str>) -> Check {
        check_standard(Some(&secret()), StandardHeaders { id, timestamp, signature }, BODY, NOW)
    }

    #[test]
    fn a_standard_signature_is_over_id_time_and_body() {
        let signature = standard(1_800_000_000);
        let now = Some("1800000000");
        assert_eq!(check(Some(&signature), now, Some("msg_1")), Check::Valid);
        assert_eq!(check(Some(&format!("v1,AAAA {signature}")), now, Some("msg_1")), Check::Valid);
        assert_eq!(check(Some(&signature), now, Some("msg_2")), Check::Invalid(Flaw::Mismatch));
        assert_eq!(check(Some(&signature), Some("1800000001"), Some("msg_1")), Check::Invalid(Flaw::Mismatch));
        assert_eq!(check(Some("v1,AAAA"), now, Some("msg_1")), Check::Invalid(Flaw::Mismatch));
        assert_eq!(check(Some(&signature), Some("soon"), Some("msg_1")), Check::Invalid(Flaw::Headers));
        assert_eq!(check(Some(&signature), None, Some("msg_1")), Check::Invalid(Flaw::Headers));
        assert_eq!(check(Some(&signature), now, None), Check::Invalid(Flaw::Headers));
        assert_eq!(check(None, now, Some("msg_1")), Check::Unsigned);
    }

    #[test]
    fn a_signature_is_good_for_five_minutes() {
        for (seconds, expected) in [(-299, Check::Valid), (299, Check::Valid), (-301, Check::Invalid(Flaw::Time))] {
            let signed_at = 1_800_000_000 + seconds;
            let signature = standard(signed_at);
            assert_eq!(check(Some(&signature), Some(&signed_at.to_string()), Some("msg_1")), expected, "{seconds}");
        }
        assert_eq!(check(Some("v1,x"), Some(&i64::MAX.to_string()), Some("msg_1")), Check::Invalid(Flaw::Time));
        assert_eq!(check(Some("v1,x"), Some(&i64::MIN.to_string()), Some("msg_1")), Check::Invalid(Flaw::Time));
    }
}
