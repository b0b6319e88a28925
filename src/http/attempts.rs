//! Attempts as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use super::{time::rfc3339, traces::TraceView};
use crate::domain::{
    attempt::{Attempt, KEPT_BODY_BYTES, Outcome},
    id::DeliveryId,
};

/// An attempt: answered by the endpoint, or failed without a complete answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptView {
    #[schema(value_type = i64)]
    delivery: DeliveryId,
    number: u16,
    #[schema(format = DateTime)]
    started_at: String,
    duration_ms: f64,
    success: bool,
    #[serde(flatten)]
    outcome: OutcomeView,
    #[serde(flatten)]
    #[schema(value_type = TraceView)]
    trace: TraceView,
}

/// What an attempt came to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Outcome)]
enum OutcomeView {
    /// The endpoint answered.
    Answered {
        status: u16,
        content_type: Option<String>,
        /// The first 16 KiB, as text.
        body: String,
        /// Whether 16 KiB were kept, so that there may have been more.
        body_cut: bool,
    },
    /// It did not.
    Failed { error: ErrorView },
}

/// Why there was no complete answer.
#[derive(Serialize, ToSchema)]
#[schema(as = AttemptError)]
struct ErrorView {
    /// `forbidden`, `dns`, `connect`, `tls`, `timeout`, `protocol`, `request` or `not_attempted`.
    class: &'static str,
    message: String,
}

impl AttemptView {
    pub(super) fn new(attempt: &Attempt) -> Self {
        let outcome = match &attempt.outcome {
            Outcome::Answered(answer) => OutcomeView::Answered {
                status: answer.status,
                content_type: answer.content_type.clone(),
                body: String::from_utf8_lossy(&answer.body).into_owned(),
                body_cut: answer.body.len() >= KEPT_BODY_BYTES,
            },
            Outcome::Failed(failure) => OutcomeView::Failed {
                error: ErrorView { class: failure.class.as_str(), message: failure.message.clone() },
            },
            Outcome::NotAttempted => OutcomeView::Failed {
                error: ErrorView { class: "not_attempted", message: "the attempt was put off".to_owned() },
            },
        };
        Self {
            delivery: attempt.delivery,
            number: attempt.number,
            started_at: rfc3339(attempt.started_at),
            duration_ms: attempt.duration.as_secs_f64() * 1_000.0,
            success: attempt.outcome.is_success(),
            outcome,
            trace: TraceView::new(attempt),
        }
    }
}

/// What came of a trial.
#[derive(Serialize, ToSchema)]
#[schema(as = Trial)]
pub(super) struct TrialView {
    /// What the receiver saw as `event.uuid` and `webhook-id`; of no delivery.
    uuid: uuid::Uuid,
    #[schema(format = DateTime)]
    started_at: String,
    duration_ms: f64,
    success: bool,
    #[serde(flatten)]
    outcome: OutcomeView,
    #[serde(flatten)]
    #[schema(value_type = TraceView)]
    trace: TraceView,
}

impl TrialView {
    pub(super) fn new(attempt: &Attempt) -> Self {
        let AttemptView { delivery, started_at, duration_ms, success, outcome, trace, .. } = AttemptView::new(attempt);
        Self { uuid: delivery.uuid(), started_at, duration_ms, success, outcome, trace }
    }
}
