//! What a person decided about one delivery that is in the way of others.
//!
//! With an order, a delivery that fails holds up all later ones of its key until its retry policy gives it up. Who cannot
//! wait for that *skips* it, which makes it dead at once, or *sets it aside*, which keeps it for later.

use super::{delivery::State, time::Timestamp};

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is given up.
    Skip,
    /// It waits for a person, and the others do not wait for it.
    SetAside,
}

impl Decision {
    /// Every one, for tables.
    pub const ALL: [Self; 2] = [Self::Skip, Self::SetAside];

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::SetAside => "set_aside",
        }
    }

    /// What the delivery is from then on.
    #[must_use]
    pub const fn leads_to(self) -> State {
        match self {
            Self::Skip => State::Dead,
            Self::SetAside => State::SetAside,
        }
    }

    /// In which states a delivery can be so decided about: what is settled stays so.
    #[must_use]
    pub const fn applies_to(self, state: State) -> bool {
        match (self, state) {
            (Self::Skip | Self::SetAside, State::Pending) | (Self::Skip, State::SetAside) => true,
            (Self::SetAside, State::SetAside)
            | (Self::Skip | Self::SetAside, State::Delivered | State::Dead | State::Expired | State::Cancelled) => {
                false
            }
        }
    }
}

/// A decision about a delivery: the latest, if there were several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// What was decided.
    pub decision: Decision,
    /// By the owner of this name.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_stays_so_and_what_is_set_aside_can_be_given_up() {
        for decision in Decision::ALL {
            for state in State::ALL {
                let may = state == State::Pending || (decision, state) == (Decision::Skip, State::SetAside);
                assert_eq!(decision.applies_to(state), may, "{decision:?} {state:?}");
            }
        }
    }
}
