//! Why a subscription for an event's type got no delivery of it: as far as that can be told from what is stored now.
//!
//! Subscriptions change, and a row says how things are, not how they were. What cannot be known is said to be so.

use super::{hold::HoldMode, subscription::Subscription, time::Timestamp};

/// Why there is no delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// The subscription was made after the event was accepted.
    CreatedLater,
    /// A pause that drops what comes was in force.
    Dropped,
    /// It was inactive, and has not been changed since.
    Inactive,
    /// It is inactive now, and was changed after the event was accepted.
    InactiveNow,
    /// It was changed after the event was accepted: it may have been inactive, or for another event type.
    ChangedLater,
    /// Nothing speaks against a delivery: it was cleared away or erased since, or a pause that is over dropped it.
    NotKept,
}

impl WhyNot {
    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreatedLater => "created_later",
            Self::Dropped => "dropped",
            Self::Inactive => "inactive",
            Self::InactiveNow => "inactive_now",
            Self::ChangedLater => "changed_later",
            Self::NotKept => "not_kept",
        }
    }

    /// For people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::CreatedLater => "The subscription was made after the event was accepted.",
            Self::Dropped => "The subscription was paused in the mode drop, so the event was not owed to it.",
            Self::Inactive => "The subscription was inactive, so the event was not owed to it.",
            Self::InactiveNow => {
                "The subscription is inactive and was changed after the event was accepted; it may have been inactive \
                 or for another event type then, or what it was sent was cleared away."
            }
            Self::ChangedLater => {
                "The subscription was changed after the event was accepted; it may have been inactive or for another \
                 event type then, or what it was sent was cleared away. The audit log tells its changes."
            }
            Self::NotKept => {
                "Nothing stored speaks against a delivery: it may have been cleared away or erased since, or a pause \
                 in the mode drop that is over was in force."
            }
        }
    }
}

/// Why `subscription`, which is for the event's type now, has no delivery of an event that was accepted at `accepted_at`.
#[must_use]
pub fn why_not(subscription: &Subscription, accepted_at: Timestamp) -> WhyNot {
    if accepted_at < subscription.created_at {
        return WhyNot::CreatedLater;
    }
    let was_changed = accepted_at < subscription.modified_at;
    match (subscription.terms.is_active, was_changed) {
        (false, false) => return WhyNot::Inactive,
        (false, true) => return WhyNot::InactiveNow,
        (true, _) => {}
    }
    let dropped = subscription
        .hold
        .as_ref()
        .is_some_and(|hold| hold.mode == HoldMode::Drop && hold.since <= accepted_at && hold.holds(accepted_at));
    match (dropped, was_changed) {
        (true, _) => WhyNot::Dropped,
        (false, true) => WhyNot::ChangedLater,
        (false, false) => WhyNot::NotKept,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        edits::{Edit, Edits},
        event_type::EventType,
        hold::Hold,
        id::{OwnerId, SubscriptionId},
    };

    fn at(second: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(second))
    }

    /// Made at 10 and changed last at 20.
    fn subscription(is_active: bool) -> Subscription {
        let edits = Edits::new(vec![
            Edit::TargetUrl("https://a.example/".to_owned()),
            Edit::EventType(EventType::parse("package.created").expect("a type")),
            Edit::IsActive(is_active),
        ]);
        Subscription {
            id: SubscriptionId::from_raw(1),
            owner: OwnerId::from_raw(1),
            version: 1,
            terms: edits.to_new_terms().expect("complete"),
            hold: None,
            ramp: None,
            created_at: at(10),
            modified_at: at(20),
        }
    }

    #[test]
    fn what_is_known_is_told_and_what_is_not_is_not_made_up() {
        for (is_active, accepted, why) in [
            (true, 9, WhyNot::CreatedLater),
            (false, 9, WhyNot::CreatedLater),
            (true, 10, WhyNot::ChangedLater),
            (false, 19, WhyNot::InactiveNow),
            (false, 20, WhyNot::Inactive),
            (true, 20, WhyNot::NotKept),
        ] {
            assert_eq!(why_not(&subscription(is_active), at(accepted)), why, "{is_active}, {accepted}");
        }
    }

    #[test]
    fn a_pause_explains_only_what_came_while_it_dropped() {
        let hold = |mode| Hold { since: at(30), until: Some(at(40)), mode, reason: None, by: "ops".to_owned() };
        let paused = |mode| Subscription { hold: Some(hold(mode)), ..subscription(true) };
        for (second, why) in
            [(29, WhyNot::NotKept), (30, WhyNot::Dropped), (39, WhyNot::Dropped), (40, WhyNot::NotKept)]
        {
            assert_eq!(why_not(&paused(HoldMode::Drop), at(second)), why, "{second}");
        }
        assert_eq!(why_not(&paused(HoldMode::Keep), at(35)), WhyNot::NotKept);
    }
}
