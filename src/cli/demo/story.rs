//! What happens in the demo: who subscribes to what, and which events an order management system would tell of.

use std::time::Duration;

use crate::{
    cli::listen::behaviour::Behaviour,
    domain::retry::{Limit, RetryPolicy},
};

/// A receiver, at its path, and one type that it subscribes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) path: &'static str,
    pub(super) event_type: &'static str,
}

/// Who subscribes to what.
pub(super) const STANDING: [Standing; 7] = [
    Standing { path: "/crm", event_type: "package.created" },
    Standing { path: FLAKY, event_type: "package.created" },
    Standing { path: "/warehouse", event_type: "package.status.packed" },
    Standing { path: "/carrier", event_type: "shipment.created" },
    Standing { path: "/customer", event_type: "package.status.shipped" },
    Standing { path: "/warehouse", event_type: "transfer.status.in_transit" },
    Standing { path: "/shop", event_type: "stock_location.updated" },
];

/// The receiver that refuses before it accepts, so that retries are seen.
pub(super) const FLAKY: &str = "/erp";
/// How many attempts of each delivery it refuses.
pub(super) const REFUSED_FIRST: u32 = 2;

/// Waits of 1 s, then 2 s, then always 2 s: short enough to watch.
pub(super) const POLICY: RetryPolicy = RetryPolicy::Exponential { base: 2, factor: 1, limit: Limit::Seconds(2) };

/// A day in the life of an order, over and over.
const SCRIPT: [&str; 6] = [
    "package.created",
    "package.status.packed",
    "shipment.created",
    "package.status.shipped",
    "transfer.status.in_transit",
    "stock_location.updated",
];
/// The number of the first package.
const FIRST_NUMBER: u32 = 1_001;

/// The type of event `index`, and the number of the thing that it is about.
pub(super) fn happening(index: u32) -> (&'static str, u32) {
    let length = u32::try_from(SCRIPT.len()).unwrap_or(1);
    (SCRIPT[(index % length) as usize], FIRST_NUMBER.saturating_add(index / length))
}

/// How the receiver at `path` answers.
pub(super) fn behaviour(path: &str) -> Behaviour {
    let fail_first = if path == FLAKY { REFUSED_FIRST } else { 0 };
    Behaviour { fail_first, ..Behaviour::default() }
}

/// How long the engine waits after failed attempt number `attempt`.
pub(super) fn wait_after(attempt: u32) -> Duration {
    POLICY.countdown(attempt.saturating_sub(1), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::time::Timestamp, samples::sample};

    #[test]
    fn every_event_of_the_story_has_a_payload_and_somebody_who_wants_it() {
        for index in 0..12 {
            let (event_type, number) = happening(index);
            assert!(sample(event_type, number, Timestamp::EPOCH).is_some(), "{event_type}");
            assert!(STANDING.iter().any(|standing| standing.event_type == event_type), "{event_type}");
        }
        assert_eq!((happening(0), happening(3)), (("package.created", 1_001), ("package.status.shipped", 1_001)));
        assert_eq!(happening(6), ("package.created", 1_002));
    }
}
