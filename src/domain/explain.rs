//! Why a delivery is what it is, and what happens next, in words.
//!
//! Pure: what is known of the delivery, its subscription and of the queue at work comes in, sentences go out. The order of
//! the questions is that of what holds a delivery back first.

use std::time::Duration;

use super::{
    breaker::Open,
    delivery::{Delivery, State, is_expired},
    id::DeliveryId,
    queue::Place,
    retry::MAX_ATTEMPTS,
    subscription::Subscription,
    time::Timestamp,
};

/// What is known.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its subscription.
    pub subscription: &'a Subscription,
    /// When its event was accepted.
    pub accepted_at: Timestamp,
    /// How its latest attempt ended: `status 503`, or the message of a failure.
    pub latest: Option<String>,
    /// What the subscription at work says; `None` while it has nothing to do.
    pub live: Option<Live>,
    /// Now.
    pub now: Timestamp,
}

/// What a subscription at work knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where the delivery is in the window.
    pub place: Option<Place>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts that may be in flight now.
    pub slots: usize,
    /// When the rate lets the next attempt start.
    pub next_start: Timestamp,
    /// Since when the endpoint fails, and when it is tried next.
    pub breaker: Option<Open>,
    /// The delivery that holds the ordering key, and when it is due.
    pub holder: Option<(DeliveryId, Option<Timestamp>)>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub why: String,
    /// What happens next; `None` when nothing does by itself.
    pub next: Option<Next>,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// When; `None` when nobody knows.
    pub at: Option<Timestamp>,
    /// What.
    pub what: &'static str,
}

/// Why a delivery is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It arrived.
    Delivered,
    /// The retry policy gave it up.
    GivenUp,
    /// It became too old.
    TooOld,
    /// It was called off.
    CalledOff,
    /// A person took it out of the way.
    SetAside,
    /// Its attempt is in flight.
    InFlight,
    /// Its attempt has just ended.
    Recording,
    /// Its subscription ended.
    Ended,
    /// Its subscription is paused.
    Hold,
    /// Another delivery of its ordering key comes first.
    OrderKey,
    /// It waits for its retry.
    Backoff,
    /// Its endpoint fails and is only probed.
    Breaker,
    /// As many attempts as may are in flight.
    Slots,
    /// The rate is used up.
    Pace,
    /// Its turn comes.
    InLine,
}

impl Reason {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::TooOld => "too_old",
            Self::CalledOff => "called_off",
            Self::SetAside => "set_aside",
            Self::InFlight => "in_flight",
            Self::Recording => "recording",
            Self::Ended => "ended",
            Self::Hold => "hold",
            Self::OrderKey => "order_key",
            Self::Backoff => "backoff",
            Self::Breaker => "breaker",
            Self::Slots => "slots",
            Self::Pace => "pace",
            Self::InLine => "in_line",
        }
    }
}

/// Explains a delivery.
#[must_use]
pub fn explain(facts: &Facts<'_>) -> Explanation {
    let latest = facts.latest.as_deref().unwrap_or("no answer");
    let attempts = counted(facts.delivery.attempts);
    match facts.delivery.state {
        State::Pending => waiting(facts),
        State::Delivered => settled(Reason::Delivered, format!("The endpoint accepted it: {latest}, after {attempts}.")),
        State::Dead => settled(Reason::GivenUp, given_up(&attempts, latest)),
        State::Expired => settled(Reason::TooOld, too_old(facts.subscription.terms.flow.max_age)),
        State::SetAside => found(
            Reason::SetAside,
            "A person set it aside, so that others could go on without it.",
            None,
            "Somebody releases it, and it is owed again.",
        ),
        State::Cancelled => settled(
            Reason::CalledOff,
            "It was called off while it was owed: by a person, by the end of its subscription, or because a resumption \
             skipped what was old."
                .to_owned(),
        ),
    }
}

fn counted(attempts: u16) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

fn given_up(attempts: &str, latest: &str) -> String {
    format!(
        "It was given up after {attempts}, the latest with {latest}: the retry policy ends with {MAX_ATTEMPTS} of its own."
    )
}

fn too_old(max_age: Option<Duration>) -> String {
    match max_age {
        Some(age) => format!("It became older than the {} s that the subscription allows.", age.as_secs()),
        None => "It became older than the subscription allowed then.".to_owned(),
    }
}

/// Only a person moves it any more.
fn settled(reason: Reason, why: String) -> Explanation {
    Explanation { reason, why, next: None }
}

fn found(reason: Reason, why: impl Into<String>, at: Option<Timestamp>, what: &'static str) -> Explanation {
    Explanation { reason, why: why.into(), next: Some(Next { at, what }) }
}

/// What holds a pending delivery back.
fn waiting(facts: &Facts<'_>) -> Explanation {
    let at_work = match facts.live.and_then(|live| live.place) {
        Some(Place::InFlight) => Some(found(
            Reason::InFlight,
            "An attempt is in flight.",
            None,
            "The endpoint answers, or the attempt times out.",
        )),
        Some(Place::Recording) => {
            Some(found(Reason::Recording, "An attempt has just ended.", None, "What came of it is written down."))
        }
        Some(Place::InLine) | None => None,
    };
    at_work
        .or_else(|| by_subscription(facts))
        .or_else(|| by_order(facts))
        .or_else(|| by_backoff(facts))
        .or_else(|| by_endpoint(facts))
        .unwrap_or_else(|| {
            found(Reason::InLine, "Nothing holds it back.", None, "It is attempted when its turn comes.")
        })
}

fn by_subscription(facts: &Facts<'_>) -> Option<Explanation> {
    let Facts { delivery, subscription, accepted_at, now, .. } = facts;
    if !subscription.terms.is_active {
        return Some(found(Reason::Ended, "Its subscription is inactive.", None, "It is cancelled."));
    }
    let owed_since = delivery.course.owed_since(*accepted_at);
    if is_expired(owed_since, subscription.terms.flow.max_age, *now) {
        let why = "It is older than the subscription allows.";
        return Some(found(Reason::TooOld, why, None, "It expires, within minutes."));
    }
    let hold = subscription.hold_at(*now)?;
    let reason = hold.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let why = format!("Its subscription is paused by {}{reason}.", hold.by);
    let what = match hold.until {
        Some(_) => "The pause ends by itself, and what is owed is delivered, oldest first.",
        None => "Somebody resumes the subscription; then what is owed is delivered, oldest first.",
    };
    Some(found(Reason::Hold, why, hold.until, what))
}

fn by_order(facts: &Facts<'_>) -> Option<Explanation> {
    let (holder, due_at) = facts.live?.holder.filter(|(holder, _)| *holder != facts.delivery.id)?;
    let why = format!("Delivery {holder} has the same ordering key and comes first.");
    let what = "That one is attempted; once it is settled, the next of the key follows.";
    Some(found(Reason::OrderKey, why, due_at, what))
}

fn by_backoff(facts: &Facts<'_>) -> Option<Explanation> {
    let due_at = facts.delivery.due_at.filter(|due_at| facts.now < *due_at)?;
    let why = match (&facts.latest, facts.delivery.attempts) {
        (Some(latest), attempts) if attempts > 0 => {
            format!("Attempt {attempts} ended with {latest}; the retry policy waits before the next.")
        }
        (Some(_) | None, _) => "It was put off.".to_owned(),
    };
    let breaker = facts.live.and_then(|live| live.breaker).filter(|open| due_at < open.probe_at);
    match breaker {
        None => Some(found(Reason::Backoff, why, Some(due_at), "It is attempted again.")),
        Some(open) => {
            let why = format!("{why} Its endpoint fails besides, and is only probed.");
            Some(found(Reason::Backoff, why, Some(open.probe_at), "The endpoint is tried with one delivery."))
        }
    }
}

fn by_endpoint(facts: &Facts<'_>) -> Option<Explanation> {
    let live = facts.live?;
    if let Some(open) = live.breaker {
        let why = "Its endpoint fails whatever it is sent, and is only probed with one delivery at a time.";
        let what = "The endpoint is tried with one delivery; the first success lets all others follow.";
        return Some(found(Reason::Breaker, why, Some(open.probe_at.max(facts.now)), what));
    }
    if live.slots <= live.in_flight {
        let why = format!("{} attempts are in flight, as many as the endpoint is given now.", live.in_flight);
        return Some(found(Reason::Slots, why, None, "It is attempted when one of them has ended and its turn comes."));
    }
    if facts.now < live.next_start {
        let per_second = facts.subscription.rate().map_or(0, |rate| rate.per_second);
        let why = format!("No more than {per_second} attempts a second may start.");
        return Some(found(Reason::Pace, why, Some(live.next_start), "The next of those in line is attempted."));
    }
    None
}

#[cfg(test)]
mod tests;
