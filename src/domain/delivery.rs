//! One event owed to one subscription, and what an outcome means for it.

use std::time::Duration;

use super::{
    attempt::{Answer, Attempt, Outcome},
    id::{DeliveryId, EventId, SubscriptionId},
    retry::{Retry, RetryPolicy},
    time::Timestamp,
};

/// The longest wait that an endpoint's `Retry-After` may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
/// How long an attempt that could not be made for a reason of ours is put off.
pub const POSTPONEMENT: Duration = Duration::from_secs(1);

/// Where a delivery stands. Everything but [`State::Pending`] and [`State::SetAside`] is settled, and a settled delivery never
/// moves again, but for two cases: an attempt that arrives is a fact, whatever the delivery was before (one in flight while
/// its delivery is cancelled, or one that a person ordered); and a person may have it replayed ([`super::replay`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Owed: not attempted yet, or to be attempted again.
    Pending,
    /// The endpoint accepted it.
    Delivered,
    /// Given up by policy.
    Dead,
    /// Too old to be attempted.
    Expired,
    /// Called off, by a person or by the end of its subscription.
    Cancelled,
    /// Owed, and out of the way by a person's order: nothing happens to it, and it keeps nobody waiting, until a person
    /// releases, redelivers, skips or cancels it, or its subscription ends. It never expires.
    SetAside,
}

impl State {
    /// Every state, for tables and filters.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Delivered, Self::Dead, Self::Expired, Self::Cancelled, Self::SetAside];
    /// Those in which something is owed still.
    pub const UNFINISHED: [Self; 2] = [Self::Pending, Self::SetAside];

    /// The name in answers and filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::SetAside => "set_aside",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing is owed any more.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Pending | Self::SetAside => false,
            Self::Delivered | Self::Dead | Self::Expired | Self::Cancelled => true,
        }
    }
}

/// What its retry policy knows of a delivery. Attempts are numbered through for ever; the policy counts only those that it
/// asked for, since the latest replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// When the first attempt of all was recorded.
    pub first_recorded_at: Option<Timestamp>,
    /// Attempts that the policy does not count: all before the latest replay, and those that a person ordered.
    pub uncounted: u16,
    /// When the latest replay put the delivery back; `None` when none did.
    pub replayed_at: Option<Timestamp>,
}

impl Course {
    /// The number of an attempt as the policy counts: 1 for the first, also after a replay.
    #[must_use]
    pub fn counted(&self, number: u16) -> u16 {
        number.saturating_sub(self.uncounted).max(1)
    }

    /// From when the policy counts longer waits; `None` before the first attempt.
    #[must_use]
    pub fn began_at(&self) -> Option<Timestamp> {
        self.replayed_at.or(self.first_recorded_at)
    }

    /// Since when the delivery of an event that was accepted at `accepted_at` is owed.
    #[must_use]
    pub fn owed_since(&self, accepted_at: Timestamp) -> Timestamp {
        self.replayed_at.map_or(accepted_at, |replayed_at| replayed_at.max(accepted_at))
    }
}

/// Whether what is owed since `owed_since` ([`Course::owed_since`]) is too old to be attempted; never without `max_age`.
#[must_use]
pub fn is_expired(owed_since: Timestamp, max_age: Option<Duration>, now: Timestamp) -> bool {
    max_age.is_some_and(|max_age| owed_since.after(max_age) <= now)
}

/// A delivery as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub id: DeliveryId,
    /// What is delivered.
    pub event: EventId,
    /// To whom.
    pub subscription: SubscriptionId,
    /// Where it stands.
    pub state: State,
    /// Attempts recorded so far.
    pub attempts: u16,
    /// Not to be attempted before this instant; `None` when nothing holds it back.
    pub due_at: Option<Timestamp>,
    /// What the retry policy knows of its attempts.
    pub course: Course,
    /// When its latest attempt was recorded, or it was settled without one.
    pub recorded_at: Option<Timestamp>,
}

impl Delivery {
    /// Its attempts to come, by number, if each of them fails at once: what `policy` owes it, and nothing that a person may
    /// order. None when it is not pending.
    pub fn planned(&self, policy: &RetryPolicy, now: Timestamp) -> impl Iterator<Item = (u16, Timestamp)> {
        let (number, due) = (self.attempts.saturating_add(1), self.due_at.unwrap_or(now));
        let began_at = self.course.began_at().unwrap_or(now);
        let further = policy.forecast(self.course.counted(number), began_at, due.max(now));
        let planned = std::iter::once((number, due)).chain((number.saturating_add(1)..).zip(further));
        planned.take_while(|_| self.state == State::Pending)
    }
}

/// What follows from an outcome for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// Attempt it again, not before this instant.
    RetryAt(Timestamp),
    /// Give it up.
    Dead,
    /// It was not attempted after all; try from this instant on. No attempt is counted.
    Postponed(Timestamp),
    /// Its subscription ended while the attempt was in flight.
    Cancelled,
    /// It was too old to be attempted; no attempt is counted.
    Expired,
    /// A person ordered the attempt, and it failed: the delivery stays what it was, and due when it was.
    Kept,
}

/// What follows for the delivery in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is settled.
    Settled,
    /// It is attempted again from this instant on.
    DueAt(Timestamp),
    /// What it was before.
    Unchanged,
    /// The same, because the attempt could not be recorded; it is attempted again from this instant on.
    Refused(Timestamp),
}

impl Verdict {
    /// What follows for the delivery.
    #[must_use]
    pub const fn next(self) -> Next {
        match self {
            Self::RetryAt(at) | Self::Postponed(at) => Next::DueAt(at),
            Self::Delivered | Self::Dead | Self::Cancelled | Self::Expired => Next::Settled,
            Self::Kept => Next::Unchanged,
        }
    }
}

/// Whether the subscription still wants what it is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It does.
    Standing,
    /// It was deactivated or deleted.
    Ended,
}

/// What follows from `attempt`, given the `course` of its delivery before it. `draw` is any random number.
#[must_use]
pub fn judge(attempt: &Attempt, policy: &RetryPolicy, demand: Demand, course: Course, draw: u64) -> Verdict {
    let ended_at = attempt.ended_at();
    let asked_wait = match &attempt.outcome {
        outcome if outcome.is_success() => return Verdict::Delivered,
        Outcome::NotAttempted => return Verdict::Postponed(ended_at.after(POSTPONEMENT)),
        Outcome::Answered(answer) => wait_asked_for(answer),
        Outcome::Failed(_) => Duration::ZERO,
    };
    if demand == Demand::Ended {
        return Verdict::Cancelled;
    }
    let began_at = course.began_at().unwrap_or(ended_at);
    match policy.after_failure(course.counted(attempt.number), began_at, ended_at, draw) {
        Retry::At(due) => Verdict::RetryAt(due.max(ended_at.after(asked_wait))),
        Retry::Never => Verdict::Dead,
    }
}

/// What follows from an attempt that a person ordered: it neither cancels nor resets what the policy still owes.
#[must_use]
pub const fn judge_by_hand(outcome: &Outcome) -> Verdict {
    if outcome.is_success() { Verdict::Delivered } else { Verdict::Kept }
}

/// `Retry-After` counts on 429 and 503 only, and only up to [`MAX_RETRY_AFTER`].
fn wait_asked_for(answer: &Answer) -> Duration {
    match answer.status {
        429 | 503 => answer.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER),
        _ => Duration::ZERO,
    }
}

/// Whether the endpoint said that it is gone for good: the subscription is paused then, and nothing is dropped.
#[must_use]
pub const fn is_gone(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered(answer) => answer.status == 410,
        Outcome::Failed(_) | Outcome::NotAttempted => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::{attempt::FailureClass, retry::Limit, trace::Trace};

    const POLICY: RetryPolicy = RetryPolicy::Fixed { seconds: 5 };

    fn attempt(number: u16, outcome: Outcome) -> Attempt {
        Attempt {
            delivery: DeliveryId::from_raw(1),
            number,
            started_at: Timestamp::from_micros(1_000_000),
            duration: Duration::from_secs(1),
            outcome,
            trace: Trace::default(),
        }
    }

    fn answered(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Answered(Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            content_type: None,
            body: Bytes::new(),
        })
    }

    fn verdict(number: u16, outcome: Outcome) -> Verdict {
        judge(&attempt(number, outcome), &POLICY, Demand::Standing, Course::default(), 0)
    }

    fn due_in(seconds: u64) -> Verdict {
        Verdict::RetryAt(Timestamp::from_micros(2_000_000).after(Duration::from_secs(seconds)))
    }

    #[test]
    fn only_2xx_is_delivered() {
        for status in [200, 201, 204, 299] {
            assert_eq!(verdict(1, answered(status, None)), Verdict::Delivered);
        }
        for status in [100, 199, 300, 301, 304, 399, 400, 410, 429, 500, 600, 999] {
            assert_eq!(verdict(1, answered(status, None)), due_in(5), "{status}");
        }
        assert_eq!(verdict(1, Outcome::failed(FailureClass::Timeout, "late")), due_in(5));
    }

    #[test]
    fn the_nineteenth_failure_is_the_last() {
        assert_eq!(verdict(19, answered(500, None)), Verdict::Dead);
        assert_eq!(verdict(19, answered(200, None)), Verdict::Delivered);
    }

    #[test]
    fn after_a_replay_the_policy_begins_again_and_numbers_go_on() {
        let replayed_at = Timestamp::from_micros(500_000);
        let course =
            Course { first_recorded_at: Some(Timestamp::EPOCH), uncounted: 19, replayed_at: Some(replayed_at) };
        let policy = RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Null };
        let judged =
            |number, course| judge(&attempt(number, answered(500, None)), &policy, Demand::Standing, course, 0);
        // The waits of the first and the second attempt, and the last of all.
        assert_eq!(judged(20, course), due_in(1));
        assert_eq!(judged(21, course), due_in(2));
        assert_eq!(judged(37, course), Verdict::RetryAt(replayed_at.after(Duration::from_secs(1 << 18))));
        assert_eq!(judged(38, course), Verdict::Dead);
        assert_eq!(judged(20, Course::default()), Verdict::Dead);
    }

    #[test]
    fn what_a_person_ordered_takes_nothing_from_what_the_policy_owes() {
        let course = Course { uncounted: 3, ..Course::default() };
        let judged = |number| judge(&attempt(number, answered(500, None)), &POLICY, Demand::Standing, course, 0);
        assert_eq!(judged(21), due_in(3_600));
        assert_eq!(judged(22), Verdict::Dead);
    }

    #[test]
    fn what_is_planned_begins_with_what_is_due_and_ends_with_the_policy() {
        let due = Timestamp::EPOCH.after(Duration::from_secs(7));
        let pending = |attempts, uncounted| Delivery {
            id: DeliveryId::from_raw(2),
            event: EventId::from_raw(1),
            subscription: SubscriptionId::from_raw(1),
            state: State::Pending,
            attempts,
            due_at: Some(due),
            course: Course { uncounted, ..Course::default() },
            recorded_at: None,
        };
        let planned = |delivery: &Delivery| delivery.planned(&POLICY, Timestamp::EPOCH).collect::<Vec<_>>();
        let plan = planned(&pending(1, 0));
        assert_eq!((plan.len(), plan[0], plan[1]), (18, (2, due), (3, due.after(Duration::from_secs(5)))));
        assert_eq!(planned(&pending(18, 0)), [(19, due)]);
        let ordered = planned(&pending(20, 2));
        assert_eq!(ordered, [(21, due)], "two of them were ordered by a person");
        assert_eq!(planned(&Delivery { state: State::Dead, ..pending(19, 0) }), []);
    }

    #[test]
    fn age_counts_from_the_acceptance_or_the_latest_replay() {
        let at = |seconds: u64| Timestamp::EPOCH.after(Duration::from_secs(seconds));
        let hour = Some(Duration::from_hours(1));
        let never = Course::default();
        let replayed = Course { replayed_at: Some(at(5_000)), ..never };
        assert!(!is_expired(never.owed_since(at(10)), hour, at(3_609)));
        assert!(is_expired(never.owed_since(at(10)), hour, at(3_610)));
        assert!(!is_expired(replayed.owed_since(at(10)), hour, at(8_599)));
        assert!(is_expired(replayed.owed_since(at(10)), hour, at(8_600)));
        assert!(!is_expired(at(0), None, at(u64::MAX)));
    }

    #[test]
    fn retry_after_delays_and_never_hastens() {
        assert_eq!(verdict(1, answered(429, Some(60))), due_in(60));
        assert_eq!(verdict(1, answered(503, Some(1))), due_in(5));
        assert_eq!(verdict(1, answered(500, Some(60))), due_in(5));
        assert_eq!(verdict(1, answered(503, Some(u64::MAX))), due_in(MAX_RETRY_AFTER.as_secs()));
    }

    #[test]
    fn what_was_not_attempted_is_not_counted_against_the_delivery() {
        assert_eq!(verdict(19, Outcome::NotAttempted), Verdict::Postponed(Timestamp::from_micros(3_000_000)));
    }

    #[test]
    fn an_attempt_in_flight_at_the_end_of_its_subscription_finishes() {
        let judged = |outcome| judge(&attempt(1, outcome), &POLICY, Demand::Ended, Course::default(), 0);
        assert_eq!(judged(answered(200, None)), Verdict::Delivered);
        assert_eq!(judged(answered(500, None)), Verdict::Cancelled);
    }
}
