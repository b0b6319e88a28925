//! Order where it matters: which deliveries of a subscription may not overtake each other.

use sha2::{Digest, Sha256};

use super::event::Event;

/// Bits of a [`KeyHash`]: with them a key fits beside other meanings into one column (`crate::store`).
const HASH_BITS: u32 = 61;

/// What a subscription asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// Every delivery for itself (the contract's way).
    #[default]
    None,
    /// Deliveries of one ordering key one after the other; different keys, and events without one, flow past each other.
    Key,
    /// All deliveries one after the other.
    Subscription,
}

impl Ordering {
    /// Every one, for tables and settings.
    pub const ALL: [Self; 3] = [Self::None, Self::Key, Self::Subscription];

    /// The name in answers and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
            Self::Subscription => "subscription",
        }
    }

    /// What `event` may not overtake and must not be overtaken in; `None` when it may go at any time.
    #[must_use]
    pub fn key_of(self, event: &Event) -> Option<KeyHash> {
        self.key(event.ordering_key.as_deref())
    }

    /// The same, for an event of which only the ordering key is at hand.
    #[must_use]
    pub fn key(self, ordering_key: Option<&str>) -> Option<KeyHash> {
        match self {
            Self::None => None,
            Self::Key => ordering_key.map(KeyHash::of),
            Self::Subscription => Some(KeyHash::ALL),
        }
    }

    /// Whether deliveries may wait in line behind `key`: it is one that this ordering gives.
    #[must_use]
    pub fn has_lines_of(self, key: KeyHash) -> bool {
        match self {
            Self::None => false,
            // One of 2^61 keys has the hash of all: its line is put back at each start, and nothing worse.
            Self::Key => key != KeyHash::ALL,
            Self::Subscription => key == KeyHash::ALL,
        }
    }
}

/// An ordering key, shortened. Two keys that fall together wait for each other without need, and nothing worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(u64);

impl KeyHash {
    /// Of all deliveries of a subscription.
    const ALL: Self = Self(0);

    /// The hash of `key`; stored, so it is the same for ever.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first) >> (u64::BITS - HASH_BITS))
    }

    /// From a number below 2⁶¹; higher bits are cut.
    #[must_use]
    pub const fn from_raw(number: u64) -> Self {
        Self(number & ((1 << HASH_BITS) - 1))
    }

    /// The number, below 2⁶¹.
    #[must_use]
    pub const fn as_raw(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stays_what_it_is() {
        assert_eq!(KeyHash::of("package:73"), KeyHash::of("package:73"));
        assert_ne!(KeyHash::of("package:73"), KeyHash::of("package:74"));
        // SHA-256("abc") begins with ba7816bf8f01cfea.
        assert_eq!(KeyHash::of("abc").as_raw(), 0xba78_16bf_8f01_cfea >> 3);
        assert_eq!(KeyHash::from_raw(KeyHash::of("abc").as_raw()), KeyHash::of("abc"));
    }
}
