//! Whether signatures are what a secret makes of a body.

use super::form::Form;
use crate::domain::{
    secret::Secret,
    signature::{Signer, is_timely},
    time::Timestamp,
};

/// What was found out about one signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The header.
    pub(super) what: &'static str,
    /// Whether a receiver would take it.
    pub(super) is_good: bool,
    /// In words.
    pub(super) sentence: String,
}

/// Looks at each signature that was filled in.
///
/// # Errors
/// The field that lacks something, and what.
pub(super) fn verify(form: &Form, now: Timestamp) -> Result<Vec<Finding>, (&'static str, &'static str)> {
    let secret = form.raw("secret").ok_or(("secret", "A secret is needed."))?;
    let signer = Signer::new(&Secret::new(secret), &[]);
    // A browser turns each line break of a field into two characters.
    let given = form.raw("body").unwrap_or_default();
    let bodies = [given.to_owned(), given.replace("\r\n", "\n")];
    let mut findings = Vec::new();
    if let Some(signature) = form.text("whisperer") {
        findings.push(whisperer(&signer, &bodies, signature));
    }
    if let Some(signatures) = form.text("signature") {
        let id = form.text("id").ok_or(("id", "webhook-id is signed, too."))?;
        let seconds = form.text("timestamp").ok_or(("timestamp", "webhook-timestamp is signed, too."))?;
        let seconds = seconds.parse().map_err(|_| ("timestamp", "It is a number of seconds since 1970."))?;
        findings.push(standard(&signer, &bodies, id, seconds, signatures, now));
    }
    if findings.is_empty() {
        Err(("signature", "A signature is needed, this one or the one below."))
    } else {
        Ok(findings)
    }
}

fn whisperer(signer: &Signer, bodies: &[String; 2], signature: &str) -> Finding {
    let is_good = bodies.iter().any(|body| signer.made_whisperer(signature, body.as_bytes()));
    let sentence = if is_good { "is valid." } else { "is not what this secret makes of this body." };
    Finding { what: "x-whisperer-signature", is_good, sentence: sentence.to_owned() }
}

fn standard(
    signer: &Signer,
    bodies: &[String; 2],
    id: &str,
    seconds: i64,
    signatures: &str,
    now: Timestamp,
) -> Finding {
    let at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
    let is_valid = bodies.iter().any(|body| signer.made_standard(signatures, id, at, body.as_bytes()));
    let sentence = match (is_valid, is_timely(at, now)) {
        (true, true) => "is valid.",
        (true, false) => "is valid, but more than five minutes from now: a receiver refuses it as old.",
        (false, _) => "is not what this secret makes of this id, time and body.",
    };
    Finding { what: "webhook-signature", is_good: is_valid, sentence: sentence.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signature::TOLERANCE;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::read(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes())
    }

    #[test]
    fn what_the_secret_signed_is_valid_and_nothing_else() {
        let signer = Signer::new(&Secret::new("hush"), &[]);
        let (body, seconds) = ("{\"a\":\n1}", "1800000000");
        let (ours, theirs) = (signer.standard("w1", NOW, body.as_bytes()), signer.whisperer(body.as_bytes()));
        let sent = body.replace('\n', "\r\n");
        let all = [("secret", "hush"), ("body", &sent), ("id", "w1"), ("timestamp", seconds), ("whisperer", &theirs)];
        let signatures = format!("v1,other {ours}");
        let good = [&all[..], &[("signature", &signatures)]].concat();
        let found = verify(&form(&good), NOW).expect("it can be verified");
        assert!(found.len() == 2 && found.iter().all(|finding| finding.is_good), "{found:?}");
        let late = verify(&form(&good), NOW.after(TOLERANCE * 2)).expect("it can be verified");
        assert!(late[1].sentence.contains("old"), "{late:?}");
        let bad = verify(&form(&[&all[..], &[("signature", "v1,AAAA")]].concat()), NOW).expect("it can be verified");
        assert!(bad[0].is_good && !bad[1].is_good, "{bad:?}");
    }

    #[test]
    fn what_is_missing_is_told_at_its_field() {
        let field = |pairs: &[(&str, &str)]| verify(&form(pairs), NOW).map_err(|(field, _)| field);
        assert_eq!(field(&[]), Err("secret"));
        assert_eq!(field(&[("secret", "s")]), Err("signature"));
        assert_eq!(field(&[("secret", "s"), ("signature", "v1,x")]), Err("id"));
        assert_eq!(
            field(&[("secret", "s"), ("signature", "v1,x"), ("id", "a"), ("timestamp", "now")]),
            Err("timestamp")
        );
    }
}
