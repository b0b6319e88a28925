//! What an answer or an error of awc means, in our own words.
//!
//! Pure. Messages are for the owner of the subscription: they name addresses, and no secrets, no query string, nothing that
//! the endpoint could have made up.

use std::{error::Error, io, time::Duration};

use awc::{
    ClientResponse,
    error::{ConnectError, PayloadError, SendRequestError},
    http::header::{CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;

use super::{
    dialler::NotReached,
    exhaustion::is_exhaustion,
    line::{Broken, Protocol},
};
use crate::domain::{
    attempt::{Answer, FailureClass, Outcome},
    time::Timestamp,
    trace::ResponseHeaders,
};

/// How much of `Content-Type` is kept, in bytes.
const MAX_CONTENT_TYPE: usize = 255;

/// What follows when a request had no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The attempt is over.
    Came(Outcome),
    /// The connection had ended while it was idle: another one may do.
    Stale,
    /// The endpoint speaks this protocol: ask in it.
    Speaks(Protocol),
}

/// An answer whose body is still to be read.
pub(super) struct AnswerHead(Answer);

impl AnswerHead {
    pub(super) fn with_body(self, body: Bytes) -> Answer {
        Answer { body, ..self.0 }
    }
}

/// The head of an answer; `now` is asked only when a date must be compared with it.
pub(super) fn answer(response: &ClientResponse, now: impl FnOnce() -> Timestamp) -> AnswerHead {
    let text = |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    AnswerHead(Answer {
        status: response.status().as_u16(),
        retry_after: text(RETRY_AFTER).and_then(|text| retry_after(&text, now)),
        content_type: text(CONTENT_TYPE).map(|text| cut(&text, MAX_CONTENT_TYPE).to_owned()),
        body: Bytes::new(),
    })
}

/// The headers of an answer that came over HTTP/2: awc keeps no order, so they are in that of their names.
pub(super) fn headers(response: &ClientResponse) -> ResponseHeaders {
    let mut headers: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    headers.sort_by_key(|(name, _)| *name);
    ResponseHeaders::new(headers)
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3), which is counted from `now`. One that has passed means no
/// wait.
fn retry_after(text: &str, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH.after(at).since(now()))
}

/// The beginning of `text`, at most `limit` bytes, in whole characters.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// What `error` means.
#[expect(clippy::wildcard_enum_match_arm, reason = "awc's enum is open, and the others belong to what we do not use")]
pub(super) fn fate(error: &SendRequestError) -> Fate {
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) | SendRequestError::Send(error) => io_fate(error),
        SendRequestError::Response(error) => {
            // awc does not name the type of this error; what it holds of the system tells enough.
            match Error::source(error).and_then(|source| source.downcast_ref::<io::Error>()) {
                Some(error) => io_fate(error),
                None => Fate::Came(Outcome::failed(FailureClass::Protocol, "the endpoint does not speak HTTP")),
            }
        }
        // HTTP/2 connections are shared and end at any moment; awc does not look before it uses one.
        SendRequestError::H2(_) | SendRequestError::Connect(ConnectError::H2(_)) => Fate::Stale,
        SendRequestError::Connect(ConnectError::Disconnected) => Fate::Came(unanswered()),
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            Fate::Came(Outcome::failed(FailureClass::Request, "the target URL cannot be sent over HTTP"))
        }
        other => {
            log::warn!(error:% = other; "an attempt failed in a way that is not known");
            Fate::Came(unanswered())
        }
    }
}

/// What an error on a connection means.
fn io_fate(error: &io::Error) -> Fate {
    if let Some(why) = error.get_ref().and_then(|inner| inner.downcast_ref::<NotReached>()) {
        return match why {
            NotReached::Failed(failure) => Fate::Came(Outcome::Failed(failure.clone())),
            NotReached::Exhausted => Fate::Came(Outcome::NotAttempted),
            NotReached::Speaks(protocol) => Fate::Speaks(*protocol),
        };
    }
    match Broken::inside(error) {
        Some(Broken::Stale) => Fate::Stale,
        Some(broken) => Fate::Came(Outcome::failed(FailureClass::Protocol, broken.to_string())),
        None if is_exhaustion(error) => Fate::Came(Outcome::NotAttempted),
        None => Fate::Came(Outcome::failed(FailureClass::Protocol, broken_message(error))),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open; what is not named here names itself")]
fn broken_message(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "the endpoint reset the connection".to_owned(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero | io::ErrorKind::UnexpectedEof => {
            "the endpoint closed the connection before it had the request".to_owned()
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "the endpoint does not speak HTTP".to_owned(),
        other => format!("the connection broke: {other}"),
    }
}

/// What it means that a body broke off.
#[expect(clippy::wildcard_enum_match_arm, reason = "awc's enum is open, and its ways to break off are all one to us")]
pub(super) fn broken_body(error: &PayloadError) -> Outcome {
    let message = match error {
        PayloadError::Io(error) | PayloadError::Incomplete(Some(error)) => {
            Broken::inside(error).map_or_else(|| "the body of the answer is not valid".to_owned(), |b| b.to_string())
        }
        _ => Broken::Midway.to_string(),
    };
    Outcome::failed(FailureClass::Protocol, message)
}

/// There was a connection, and no answer on it.
pub(super) fn unanswered() -> Outcome {
    Outcome::failed(FailureClass::Protocol, Broken::Unanswered.to_string())
}

/// The deadline of the attempt, `limit` after its start, has passed.
pub(super) fn late(limit: Duration) -> Outcome {
    Outcome::failed(FailureClass::Timeout, format!("no complete answer within {} s", limit.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_445_412_480_000_000);

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let wait = |text| retry_after(text, || NOW);
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Wed, 21 Oct 2015 07:29:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:27:00 GMT"), Some(Duration::ZERO), "it has passed");
        assert_eq!(wait("Wednesday, 21-Oct-15 07:29:00 GMT"), Some(Duration::from_mins(1)));
        for unreadable in ["", "soon", "-1", "1.5", "99999999999999999999", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wait(unreadable), None, "{unreadable:?}");
        }
    }

    #[test]
    fn a_content_type_is_cut_between_characters() {
        assert_eq!(cut("text/plain", 255), "text/plain");
        assert_eq!(cut("aé", 2), "a");
    }

    #[test]
    fn running_out_of_file_descriptors_is_not_the_endpoints_fault() {
        let error = SendRequestError::Send(io::Error::from_raw_os_error(24));
        assert_eq!(fate(&error), Fate::Came(Outcome::NotAttempted));
        let error = SendRequestError::Connect(ConnectError::Io(io::Error::other(NotReached::Exhausted)));
        assert_eq!(fate(&error), Fate::Came(Outcome::NotAttempted));
    }
}
