//! Event types: dotted names of what can happen in an order management system.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

/// The types that every installation knows, in the order of registration (`GET /whisperer/hooks/registry/` lists them so).
pub const OMS_EVENT_TYPES: [&str; 18] = [
    "package.created",
    "package.status.transitioned",
    "package.status.packed",
    "package.status.cancelled",
    "package.status.shipped",
    "package.status.packed_for_refund",
    "package.shipment.awb_number",
    "shipment.created",
    "shipment.status.updated",
    "shipment.cancelled",
    "transfer.status.created",
    "transfer.status.transitioned",
    "transfer.status.in_transit",
    "transfer.status.transferred",
    "transfer.status.cancelled",
    "transfer.status.ready_to_shipment",
    "stock_location.created",
    "stock_location.updated",
];

/// The engine's own types: what it tells of itself ([`super::announcement`]). They can be subscribed to, nobody can publish
/// them, and the contract's registry does not list them.
pub const OPERATIONAL_EVENT_TYPES: [&str; 4] = [
    "postrider.subscription.paused",
    "postrider.subscription.failing",
    "postrider.subscription.recovered",
    "postrider.delivery.dead",
];

/// The longest name, in characters (contract, section 3).
pub const MAX_LENGTH: usize = 124;

/// The name of an event type: dotted words of letters, digits, `_` and `-`, at most [`MAX_LENGTH`] characters.
///
/// Comparison is exact: `Package.created` is another type. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventType(Arc<str>);

/// The text is not the name of an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event type is dotted words of letters, digits, '_' and '-', at most {MAX_LENGTH} characters")]
pub struct BadEventType;

impl EventType {
    /// # Errors
    /// [`BadEventType`] when `name` breaks the rule above.
    pub fn parse(name: &str) -> Result<Self, BadEventType> {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if name.len() <= MAX_LENGTH && name.split('.').all(word) {
            Ok(Self(Arc::from(name)))
        } else {
            Err(BadEventType)
        }
    }

    /// The registered type of this name, compared exactly; `None` when there is none. Allocates nothing.
    #[must_use]
    pub fn registered(name: &str) -> Option<Self> {
        static REGISTERED: LazyLock<HashSet<EventType>> =
            LazyLock::new(|| OMS_EVENT_TYPES.iter().filter_map(|name| EventType::parse(name).ok()).collect());
        REGISTERED.get(name).cloned()
    }

    /// The type of this name that can be subscribed to: a registered one, or one of the engine's own.
    #[must_use]
    pub fn subscribable(name: &str) -> Option<Self> {
        Self::registered(name).or_else(|| Self::parse(name).ok().filter(Self::is_operational))
    }

    /// Whether it is one of the engine's own.
    #[must_use]
    pub fn is_operational(&self) -> bool {
        OPERATIONAL_EVENT_TYPES.contains(&self.as_str())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it happened to: the first word, `package` in `package.created`.
    #[must_use]
    pub fn object(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets maps keyed by type be asked with a plain text, without allocating.
impl std::borrow::Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oms_types_are_event_types() {
        for name in OMS_EVENT_TYPES {
            assert_eq!(EventType::registered(name).map(|t| t.to_string()), Some(name.to_owned()));
        }
        assert_eq!(EventType::registered("Package.created"), None);
    }

    #[test]
    fn the_engines_own_types_can_be_subscribed_to_and_are_not_registered() {
        for name in OPERATIONAL_EVENT_TYPES {
            assert_eq!(EventType::registered(name), None);
            assert!(EventType::subscribable(name).is_some_and(|own| own.is_operational()));
        }
        assert!(EventType::subscribable("package.created").is_some_and(|oms| !oms.is_operational()));
        assert_eq!(EventType::subscribable("postrider.delivery.born"), None);
    }

    #[test]
    fn the_object_is_the_first_word() {
        assert_eq!(EventType::parse("stock_location.updated").expect("a type").object(), "stock_location");
    }

    #[test]
    fn names_that_could_break_a_header_or_the_envelope_are_refused() {
        for name in ["", ".", "a.", "a..b", "a b", "a\"b", "a\r\nb", "paket.güncellendi", &"a".repeat(MAX_LENGTH + 1)]
        {
            assert_eq!(EventType::parse(name), Err(BadEventType), "{name:?}");
        }
    }
}
