//! `POST /whisperer/hook_events/<id>/retry/`: one attempt now, waited for (contract, section 7).

use std::time::Duration;

use actix_web::{HttpRequest, http::StatusCode, web::Payload};
use serde::Serialize;

use super::{
    Asked,
    answer::{Answer, Served},
    body, charset,
    errors::Faults,
    format::seconds,
    hook_events,
    json::Json,
    retry_config::dictionary,
    route::Id,
    text::strip,
};
use crate::{
    actors::{router::Order, subscription::NotMade},
    domain::{
        attempt::{Attempt, Outcome},
        delivery::State,
    },
    http::by_hand,
    store::lists::attempted::{Attempted, UNANSWERED_STATUS},
};

/// Below so many attempts only a forced retry is made: the chain is still at work.
const CHAIN_ATTEMPTS: u16 = 11;
/// How long to wait for the end of an attempt that is under way: longer than one may take.
const PATIENCE: Duration = Duration::from_secs(70);
/// How often to look whether it has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of the attempt, its keys in order.
#[derive(Serialize)]
struct Retried {
    detail: &'static str,
    response_status: u16,
    response_content: String,
    response_time: String,
    delivered: bool,
}

/// Attempts a delivery once more and tells what came of it.
pub(super) async fn retry(asked: &Asked<'_>, id: Id, request: &HttpRequest, payload: Payload) -> Served {
    let mut attempted = hook_events::find(asked, id).await?;
    let force = is_forced(&body::read(request, payload).await?).map_err(|faults| Answer::faults(&faults))?;
    let patience = asked.state.clock.now().after(PATIENCE);
    loop {
        if let Some(refusal) = refusal(&attempted, force) {
            return Err(refusal);
        }
        let order = Order { subscription: attempted.subscription.id, delivery: attempted.id };
        match by_hand::attempt(asked.state, &asked.owner, order).await {
            Ok(attempt) => return Ok(answer(&attempt)),
            Err(NotMade::NotFound | NotMade::Erased) => return Err(Answer::not_found()),
            Err(NotMade::Busy) if asked.state.clock.now() < patience => {}
            Err(NotMade::Busy | NotMade::Unavailable(_)) => return Err(Answer::unavailable()),
        }
        // As the reference waits for its row lock; the attempt under way may deliver it.
        tokio::time::sleep(PAUSE).await;
        attempted = hook_events::find(asked, id).await?;
    }
}

/// Python's truth of `force`.
fn is_forced(body: &Json) -> Result<bool, Faults> {
    if *body == Json::Null {
        return Err(Faults::of_the_whole("No data provided"));
    }
    Ok(dictionary(body)?.get("force").is_some_and(Json::is_truthy))
}

/// Why no attempt is made.
fn refusal(attempted: &Attempted, force: bool) -> Option<Answer> {
    if attempted.state == State::Delivered {
        Some(Answer::code("event_100_3", "Event already delivered"))
    } else if !force && attempted.latest.number < CHAIN_ATTEMPTS {
        Some(Answer::code("event_100_6", "Event is still in retry process"))
    } else {
        None
    }
}

fn answer(attempt: &Attempt) -> Answer {
    let retried = Retried::from(attempt);
    let status = if retried.delivered { StatusCode::OK } else { StatusCode::NOT_ACCEPTABLE };
    Answer::json(status, &retried)
}

impl From<&Attempt> for Retried {
    fn from(attempt: &Attempt) -> Self {
        let (response_status, content) = match &attempt.outcome {
            Outcome::Answered(answer) => (answer.status, charset::decode(&answer.body, answer.content_type.as_deref())),
            Outcome::Failed(failure) => (UNANSWERED_STATUS.unsigned_abs(), failure.message.clone()),
            Outcome::NotAttempted => (UNANSWERED_STATUS.unsigned_abs(), "The attempt was not made.".to_owned()),
        };
        let delivered = attempt.outcome.is_success();
        Self {
            detail: if delivered { "Webhook event delivered successfully" } else { "Webhook event delivery failed" },
            response_status,
            response_content: strip(&content).to_owned(),
            response_time: seconds(attempt.duration),
            delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        attempt::{Answer as Answered, FailureClass},
        id::DeliveryId,
        time::Timestamp,
        trace::Trace,
    };

    fn told(outcome: Outcome) -> String {
        let attempt = Attempt {
            delivery: DeliveryId::from_raw(1),
            number: 2,
            started_at: Timestamp::EPOCH,
            duration: Duration::from_micros(12_345),
            outcome,
            trace: Trace::default(),
        };
        serde_json::to_string(&Retried::from(&attempt)).expect("it serialises")
    }

    fn answered(status: u16, content_type: Option<&str>, body: &'static [u8]) -> Outcome {
        Outcome::Answered(Answered {
            status,
            retry_after: None,
            content_type: content_type.map(str::to_owned),
            body: body.into(),
        })
    }

    #[test]
    fn force_is_what_python_takes_for_true() {
        let forced = |body: &str| is_forced(&Json::parse(body.as_bytes()).expect(body)).ok();
        for body in [r#"{"force":true}"#, r#"{"force":1}"#, r#"{"force":"false"}"#, r#"{"force":[0]}"#] {
            assert_eq!(forced(body), Some(true), "{body}");
        }
        for body in ["{}", r#"{"force":false}"#, r#"{"force":0}"#, r#"{"force":""}"#, r#"{"force":null}"#] {
            assert_eq!(forced(body), Some(false), "{body}");
        }
        for body in ["[]", "null", "\"force\"", "1"] {
            assert_eq!(forced(body), None, "{body}");
        }
    }

    #[test]
    fn an_arrival_is_told_with_its_trimmed_text() {
        assert_eq!(
            told(answered(200, Some("text/plain; charset=utf-8"), b" OK\n")),
            concat!(
                r#"{"detail":"Webhook event delivered successfully","response_status":200,"#,
                r#""response_content":"OK","response_time":"0.012345","delivered":true}"#
            )
        );
    }

    #[test]
    fn everything_else_is_a_failure() {
        for status in [300, 304, 404, 500, 600] {
            let text = told(answered(status, None, b""));
            assert!(text.contains(r#""response_content":"""#) && text.ends_with(r#""delivered":false}"#), "{text}");
            assert!(text.contains(&format!(r#""response_status":{status}"#)), "{text}");
        }
        let text = told(Outcome::failed(FailureClass::Connect, "Connection refused"));
        assert!(text.contains(r#""response_status":500,"response_content":"Connection refused""#), "{text}");
    }
}
