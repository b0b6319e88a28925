//! One HTTP request made for a delivery, and what it came to.
//!
//! A failed attempt is an [`Outcome`], never an error: the engine did its work. What follows for the delivery is decided
//! in [`super::delivery`].

use std::time::Duration;

use bytes::Bytes;

use super::{
    breaker::Sign,
    id::DeliveryId,
    queue::{Ease, Ended},
    time::Timestamp,
    trace::Trace,
};

/// How much of an answer's body is kept with the attempt, in bytes.
pub const KEPT_BODY_BYTES: usize = 16 * 1024;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered, with whatever status.
    Answered(Answer),
    /// There was no complete answer; the endpoint, the way to it, or the order to go there is at fault.
    Failed(Failure),
    /// Nothing was sent, for a reason of ours (no file descriptor left, shutting down): the attempt does not count.
    NotAttempted,
}

/// The endpoint's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, 100 to 999.
    pub status: u16,
    /// `Retry-After`, as a wait from the end of the attempt. `None` when absent or unreadable.
    pub retry_after: Option<Duration>,
    /// `Content-Type`, cut to 255 bytes.
    pub content_type: Option<String>,
    /// The first [`KEPT_BODY_BYTES`] of the body.
    pub body: Bytes,
}

/// Why there was no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, for filters and metrics.
    pub class: FailureClass,
    /// What went wrong, for a person: no secrets, no query string.
    pub message: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The egress guard refused the address.
    Forbidden,
    /// The name could not be resolved.
    Dns,
    /// No connection: refused, unreachable.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The deadline of the attempt passed.
    Timeout,
    /// The connection broke or spoke no HTTP.
    Protocol,
    /// The request could not be built from the subscription.
    Request,
}

impl FailureClass {
    /// Every class, for tables and filters.
    pub const ALL: [Self; 7] =
        [Self::Forbidden, Self::Dns, Self::Connect, Self::Tls, Self::Timeout, Self::Protocol, Self::Request];

    /// The class of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The name in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Request => "request",
        }
    }
}

impl Outcome {
    /// A failure of `class`, told in `message`.
    #[must_use]
    pub fn failed(class: FailureClass, message: impl Into<String>) -> Self {
        Self::Failed(Failure { class, message: message.into() })
    }

    /// What was wrong, in a few words that hold nothing of the answer's body; `None` when nothing was.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        match self {
            outcome if outcome.is_success() => None,
            Self::Answered(answer) => Some(format!("HTTP {}", answer.status)),
            Self::Failed(failure) => Some(format!("{}: {}", failure.class.as_str(), failure.message)),
            Self::NotAttempted => None,
        }
    }

    /// Whether the endpoint accepted the delivery: any 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        match self {
            Self::Answered(answer) => 200 <= answer.status && answer.status < 300,
            Self::Failed(_) | Self::NotAttempted => false,
        }
    }
}

impl Outcome {
    /// What the outcome says about the endpoint, whatever it means for the delivery.
    #[must_use]
    pub const fn says(&self) -> Ended {
        match self {
            Self::Answered(Answer { status: 200..=299, .. }) => Ended { sign: Sign::Success, ease: Ease::Took },
            Self::Answered(Answer { status: 429 | 500..=599, .. }) => {
                Ended { sign: Sign::Failure, ease: Ease::Strained }
            }
            Self::Answered(_) => Ended { sign: Sign::Failure, ease: Ease::Refused },
            Self::Failed(_) => Ended { sign: Sign::Failure, ease: Ease::Strained },
            Self::NotAttempted => Ended { sign: Sign::None, ease: Ease::Unknown },
        }
    }
}

/// An attempt as it is recorded; immutable from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// For which delivery.
    pub delivery: DeliveryId,
    /// 1 for the first attempt of the delivery.
    pub number: u16,
    /// When the request was started.
    pub started_at: Timestamp,
    /// From the start to the outcome.
    pub duration: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// What it met on its way.
    pub trace: Trace,
}

impl Attempt {
    /// When the outcome was known.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        self.started_at.after(self.duration)
    }
}
