//! What a receiver can rely on: its own verifier accepts every attempt, and every attempt is the same message.

use std::collections::HashSet;

use serde_json::json;
use standardwebhooks::Webhook;
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, on_both},
        sink::Request,
    },
};

on_both! { blocking: every_attempt_is_signed_and_the_same_message }

const PLAIN: &str = "şifre, in no particular form";
/// 24 bytes in base64.
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A payload that nobody who takes JSON apart would put together in the same way again.
const PAYLOAD: &str = "{ \"id\" : 1,\"şehir\":\"\\u0130stanbul İ\", \"n\": 1E400 ,\"big\":123456789012345678901234567890,\n\t\"a\":1,\"a\":2}";

fn every_attempt_is_signed_and_the_same_message(database: &Database) {
    let mut scene = Scene::new(database, &[]);
    let secrets = [("/plain", Some(PLAIN)), ("/standard", Some(STANDARD)), ("/unsigned", None), ("/empty", Some(""))];
    for (path, secret) in secrets {
        scene.sink.script(path, [500, 503, 500, 200]);
        let more =
            json!({"secret_key": secret, "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 1}}});
        scene.subscribe(path, more);
    }
    let body = format!(r#"{{"event_type": "{TYPE}", "payload": {PAYLOAD}}}"#);
    let headers = [("Content-Type", "application/json")];
    scene.api.send("POST", "/api/v1/events", &headers, body.as_bytes()).expect("an answer").expect(202);
    // The second attempt reads what the first had in memory, and so does the one after a crash.
    scene.sink.wait_for("/empty", 2, SOON);
    scene.crash();

    let mut uuids = HashSet::new();
    for (path, secret) in secrets {
        let requests = scene.sink.wait_for(path, 4, SOON);
        let uuid = requests[0].header("webhook-id").expect("an id").to_owned();
        let body = format!(r#"{{"event": {{"type": "{TYPE}", "uuid": "{uuid}"}}, "payload": {PAYLOAD}}}"#);
        for request in &requests {
            assert_eq!(String::from_utf8_lossy(&request.body), body, "{path}");
            assert_eq!(request.header("webhook-id"), Some(uuid.as_str()), "{path}");
            match secret.filter(|secret| !secret.is_empty()) {
                Some(secret) => verify(request, secret),
                None => assert_unsigned(request),
            }
        }
        uuids.insert(uuid);
    }
    assert_eq!(uuids.len(), secrets.len(), "each receiver has a uuid of its own");
}

/// By two implementations that know nothing of ours.
fn verify(request: &Request, secret: &str) {
    assert!(is_signed_with(request, secret), "the verifier of Standard Webhooks accepts it");
    assert_eq!(request.header("X-Whisperer-Signature"), Some(whisperer_signature(request, secret).as_str()));
}

/// Whether the verifier of Standard Webhooks accepts it under this secret.
pub(crate) fn is_signed_with(request: &Request, secret: &str) -> bool {
    let verifier = match secret.strip_prefix("whsec_") {
        Some(_) => Webhook::new(secret).expect("a secret of Standard Webhooks"),
        None => Webhook::from_bytes(secret.as_bytes().to_vec()).expect("any bytes will do"),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    verifier.verify(&request.body, &headers).is_ok()
}

/// The contract signs with the text of the secret, whatever it looks like.
pub(crate) fn whisperer_signature(request: &Request, secret: &str) -> String {
    let digest = hmac_sha256::HMAC::mac(&request.body, secret.as_bytes());
    digest.iter().fold("sha256=".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn assert_unsigned(request: &Request) {
    for name in ["X-Whisperer-Signature", "webhook-signature"] {
        assert_eq!(request.header(name), None);
    }
}
