//! What a row says is owed, before it is known to whom.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer,
    columns::{Instant, Instants},
};
use crate::domain::{
    attempt::Outcome,
    event::MAX_PAYLOAD_BYTES,
    event_type::EventType,
    retry::{MAX_ATTEMPTS, RetryPolicy},
    time::Timestamp,
};

/// Something that is owed to a subscription.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owed {
    /// To which, by its id.
    pub(super) subscription: i64,
    /// The uuid that the row has.
    pub(super) uuid: String,
    /// What happened; `None` for the type of the subscription.
    pub(super) event_type: Option<EventType>,
    /// To what.
    pub(super) payload: Bytes,
    /// When the row was written.
    pub(super) created_at: Timestamp,
    /// What was attempted so far; `None` for nothing.
    pub(super) attempted: Option<Attempted>,
}

/// The attempts so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempted {
    /// How many, from 1 to one below [`MAX_ATTEMPTS`].
    pub(super) count: u16,
    /// When the latest was started.
    pub(super) started_at: Timestamp,
    /// How long it took.
    pub(super) duration: Duration,
    /// When it was recorded.
    pub(super) recorded_at: Timestamp,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// Why nothing is owed by a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotOwed {
    /// It arrived.
    Delivered,
    /// It was attempted as often as it may be.
    GivenUp,
    /// It would be owed, but cannot be delivered.
    Impossible(String),
}

impl Attempted {
    /// When the next attempt is due, if the first was recorded at `first_recorded_at`; `None` for never.
    pub(super) fn due(&self, policy: &RetryPolicy, first_recorded_at: Timestamp, draw: u64) -> Option<Timestamp> {
        use crate::domain::retry::Retry;
        match policy.after_failure(self.count, first_recorded_at, self.recorded_at, draw) {
            Retry::At(due) => Some(due),
            Retry::Never => None,
        }
    }
}

fn impossible(reason: impl Into<String>) -> NotOwed {
    NotOwed::Impossible(reason.into())
}

fn read<'a, T: Deserialize<'a>>(columns: &'a str) -> Result<T, NotOwed> {
    serde_json::from_str(columns).map_err(|error| impossible(error.to_string()))
}

#[derive(Deserialize)]
struct WaitingColumns {
    uuid: String,
    #[serde(rename = "hook_id", alias = "hook", alias = "webhook")]
    subscription: i64,
    event_type: String,
    model_name: Option<String>,
    object_id: Option<String>,
    instance_dict: Option<Box<RawValue>>,
    created_date: Instant,
}

/// Reads a row that waits for its first attempt (contract, section 8).
pub(super) fn read_waiting(columns: &str) -> Result<Owed, NotOwed> {
    let columns: WaitingColumns = read(columns)?;
    let payload = columns.instance_dict.map(|payload| unwrap_text(&payload)).transpose()?;
    let Some(payload) = payload.filter(|payload| !is_empty(payload)) else {
        return Err(impossible(match columns.model_name {
            Some(model) => format!(
                "it names the {model} {}, whose content is only in the host project",
                columns.object_id.unwrap_or_default()
            ),
            None => "its payload is empty, which was never sent".to_owned(),
        }));
    };
    Ok(Owed {
        subscription: columns.subscription,
        uuid: columns.uuid,
        event_type: Some(event_type(&columns.event_type)?),
        payload: checked(&payload)?,
        created_at: columns.created_date.0,
        attempted: None,
    })
}

#[derive(Deserialize)]
struct AttemptedColumns {
    uuid: String,
    #[serde(rename = "webhook", alias = "webhook_id", alias = "hook")]
    subscription: i64,
    request_payload: Option<Box<RawValue>>,
    #[serde(default)]
    response_content: Option<String>,
    #[serde(default)]
    response_http_status: Option<i64>,
    #[serde(default)]
    response_time: Option<String>,
    #[serde(default)]
    delivered: bool,
    #[serde(default)]
    request_datetimes: Instants,
    retry_count: Option<u32>,
    created_date: Instant,
    modified_date: Instant,
}

#[derive(Deserialize)]
struct Body {
    event: Option<Head>,
    payload: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Head {
    r#type: Option<String>,
}

/// Reads a row that was attempted (contract, section 7).
pub(super) fn read_attempted(columns: &str) -> Result<Owed, NotOwed> {
    let columns: AttemptedColumns = read(columns)?;
    if columns.delivered {
        return Err(NotOwed::Delivered);
    }
    let known = columns.request_datetimes.0.len();
    let count = columns.retry_count.map_or_else(|| u16::try_from(known), u16::try_from).unwrap_or(u16::MAX).max(1);
    if count >= MAX_ATTEMPTS {
        return Err(NotOwed::GivenUp);
    }
    let body = columns.request_payload.ok_or_else(|| impossible("it has no request_payload"))?;
    let body: Body = read(unwrap_text(&body)?.get())?;
    let payload = body.payload.ok_or_else(|| impossible("its request_payload has no payload"))?;
    let duration = columns.response_time.as_deref().and_then(duration).unwrap_or_default();
    let recorded_at = columns.modified_date.0;
    // The newest comes first.
    let started_at = columns.request_datetimes.0.first().copied().unwrap_or_else(|| recorded_at.before(duration));
    let status = columns.response_http_status.and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let outcome = answer::outcome(status, columns.response_content.as_deref().unwrap_or_default());
    Ok(Owed {
        subscription: columns.subscription,
        uuid: columns.uuid,
        event_type: body.event.and_then(|head| head.r#type).map(|name| event_type(&name)).transpose()?,
        payload: checked(&payload)?,
        created_at: columns.created_date.0,
        attempted: Some(Attempted { count, started_at, duration, recorded_at, outcome }),
    })
}

fn event_type(name: &str) -> Result<EventType, NotOwed> {
    EventType::parse(name).map_err(|_| impossible(format!("{name:?} is no event type")))
}

/// A JSON column may have been dumped as the text of its JSON.
fn unwrap_text(value: &RawValue) -> Result<Box<RawValue>, NotOwed> {
    if value.get().starts_with('"') {
        let inside: String = read(value.get())?;
        RawValue::from_string(inside).map_err(|error| impossible(error.to_string()))
    } else {
        Ok(value.to_owned())
    }
}

fn is_empty(payload: &RawValue) -> bool {
    let dense: String = payload.get().chars().filter(|c| !c.is_ascii_whitespace()).take(5).collect();
    ["{}", "[]", "null"].contains(&dense.as_str())
}

fn checked(payload: &RawValue) -> Result<Bytes, NotOwed> {
    let bytes = payload.get().len();
    if bytes > MAX_PAYLOAD_BYTES {
        return Err(impossible(format!(
            "its payload has {bytes} bytes, more than the {MAX_PAYLOAD_BYTES} there may be"
        )));
    }
    Ok(Bytes::copy_from_slice(payload.get().as_bytes()))
}

/// `[days ]hours:minutes:seconds[.fraction]`, as Django writes it.
fn duration(text: &str) -> Option<Duration> {
    let (days, rest) = text.split_once(' ').unwrap_or(("0", text));
    let mut parts = rest.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let whole =
        days.parse::<u64>().ok()? * 86_400 + hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
    Some(Duration::from_secs(whole) + Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(mut columns: Value, more: &Value) -> String {
        if let (Value::Object(columns), Value::Object(more)) = (&mut columns, more) {
            columns.extend(more.clone());
        }
        columns.to_string()
    }

    fn waiting(more: &Value) -> Result<Owed, NotOwed> {
        let columns = json!({
            "created_date": "2026-11-18T11:06:40.123Z", "modified_date": "2026-11-18T11:06:40.123Z",
            "uuid": "da81e851-3982-4c61-87dd-1e58a7d3f971", "hook_id": 7, "event_type": "package.created",
            "app_label": null, "model_name": null, "object_id": null, "instance_dict": {"id": 73},
        });
        read_waiting(&with(columns, more))
    }

    fn attempted(more: &Value) -> Result<Owed, NotOwed> {
        let columns = json!({
            "created_date": "2026-11-18T11:06:40.123Z", "modified_date": "2026-11-18T11:07:00Z",
            "uuid": "da81e851-3982-4c61-87dd-1e58a7d3f971", "webhook": 7, "delivered": false, "retry_count": 3,
            "request_payload": {"event": {"type": "package.created", "uuid": "x"}, "payload": {"id": 73}},
            "response_content": "b'busy'", "response_http_status": 503, "response_time": "00:00:01.500000",
            "request_datetimes": "[\"2026-11-18T11:06:58+00:00\", \"2026-11-18T11:06:40+00:00\"]",
            "content_type": null, "object_id": null,
        });
        read_attempted(&with(columns, more))
    }

    #[test]
    fn a_payload_is_taken_as_it_stands() {
        let text = r#"{"uuid":"u","hook_id":7,"event_type":"package.created","model_name":null,"object_id":null,
            "instance_dict": {"n": 1.50, "city": "\u0130stanbul"},"created_date":"2026-11-18T11:06:40Z"}"#;
        let owed = read_waiting(text).expect("it is owed");
        assert_eq!(owed.payload, r#"{"n": 1.50, "city": "\u0130stanbul"}"#.as_bytes());
        assert_eq!((owed.subscription, owed.attempted), (7, None));
    }

    #[test]
    fn what_cannot_be_delivered_says_why() {
        let why = |owed: Result<Owed, NotOwed>| match owed {
            Err(NotOwed::Impossible(reason)) => reason,
            owed => panic!("{owed:?}"),
        };
        let instance = json!({"instance_dict": {}, "app_label": "oms", "model_name": "package", "object_id": "73"});
        assert_eq!(why(waiting(&instance)), "it names the package 73, whose content is only in the host project");
        assert!(why(waiting(&json!({"instance_dict": {}}))).contains("empty"));
        assert!(why(waiting(&json!({"event_type": "a b"}))).contains("no event type"));
        assert!(why(waiting(&json!({"created_date": "x"}))).contains("no date"));
        assert!(why(attempted(&json!({"request_payload": {}}))).contains("no payload"));
        let large = json!({"instance_dict": {"a": "x".repeat(MAX_PAYLOAD_BYTES)}});
        assert!(why(waiting(&large)).contains("more than the 1048576"));
    }

    #[test]
    fn attempts_go_on_where_they_stood() {
        let owed = attempted(&json!({})).expect("it is owed");
        let so_far = owed.attempted.expect("it was attempted");
        assert_eq!((so_far.count, so_far.duration), (3, Duration::from_millis(1_500)));
        let second = |text: &str| Timestamp::from_micros(text.parse::<jiff::Timestamp>().expect(text).as_microsecond());
        assert_eq!(so_far.started_at, second("2026-11-18T11:06:58Z"));
        let due = so_far.due(&RetryPolicy::Fixed { seconds: 30 }, owed.created_at, 0);
        assert_eq!(due, Some(second("2026-11-18T11:07:30Z")));
        assert!(matches!(so_far.outcome, Outcome::Answered(answer) if answer.status == 503));
    }

    #[test]
    fn what_is_settled_is_not_owed() {
        assert_eq!(attempted(&json!({"delivered": true})), Err(NotOwed::Delivered));
        assert_eq!(attempted(&json!({"retry_count": 19})), Err(NotOwed::GivenUp));
        assert!(attempted(&json!({"retry_count": 18})).is_ok());
        let uncounted = attempted(&json!({"retry_count": null})).expect("it is owed");
        assert_eq!(uncounted.attempted.map(|so_far| so_far.count), Some(2));
    }

    #[test]
    fn durations_are_djangos() {
        assert_eq!(duration("00:00:00.012345"), Some(Duration::from_micros(12_345)));
        assert_eq!(duration("1 02:03:04"), Some(Duration::from_secs(93_784)));
        assert_eq!(duration("soon"), None);
    }
}
