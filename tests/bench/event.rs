//! The events of a measurement: sample payloads whose ids number them, as requests that are made beforehand.

use postrider::{domain::time::Timestamp, samples::sample};

use super::wire::find;
use crate::support::engine::TOKEN;

/// What all payloads are samples of, whatever the type of their event.
const SAMPLE: &str = "package.created";
/// The sample whose id is [`FIRST_ID`].
const SAMPLE_NUMBER: u32 = 30_000;
/// So that all ids have the same number of digits, and a request its length.
const FIRST_ID: usize = 100_000;
const DIGITS: usize = 6;
/// What stands before the digits; in a delivery as in the request its first place is the payload's own.
const MARK: &[u8] = b"\"id\": ";
/// How large every payload is made, in bytes: what an order in JSON has.
pub(crate) const PAYLOAD_BYTES: usize = 2_900;
/// Any time will do.
const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// The request that publishes an event of one type.
pub(crate) struct Template {
    request: Vec<u8>,
    /// Where its id stands.
    id_at: usize,
}

impl Template {
    pub(crate) fn new(event_type: &str) -> Self {
        let body = format!(r#"{{"event_type": "{event_type}", "payload": {}}}"#, payload());
        let request = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        let id_at = find(&request, MARK).expect("samples have an id") + MARK.len();
        Self { request, id_at }
    }

    /// Writes the request of event `number` over what is in `request`. The ids have room for 900,000 events.
    pub(crate) fn write(&self, number: usize, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.request);
        let id = (FIRST_ID + number).to_string();
        request[self.id_at..self.id_at + DIGITS].copy_from_slice(id.as_bytes());
    }
}

/// A body of the size of a delivery's.
pub(crate) fn envelope() -> String {
    format!(r#"{{"type": "{SAMPLE}", "payload": {}}}"#, payload())
}

/// The number of the event that a delivery with this body is about.
pub(crate) fn number_in(body: &[u8]) -> Option<usize> {
    let id_at = find(body, MARK)? + MARK.len();
    let id: usize = str::from_utf8(body.get(id_at..id_at + DIGITS)?).ok()?.parse().ok()?;
    id.checked_sub(FIRST_ID)
}

/// A sample with a remark that makes up for what it lacks.
fn payload() -> String {
    let sample = sample(SAMPLE, SAMPLE_NUMBER, AT).expect("the type is built in");
    let members = sample.get().strip_suffix('}').expect("it is an object");
    let (before, behind) = (r#", "remark": ""#, r#""}"#);
    let rest = PAYLOAD_BYTES.saturating_sub(members.len() + before.len() + behind.len());
    [members, before, &"x".repeat(rest), behind].concat()
}
