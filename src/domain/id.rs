//! Ids that we mint ourselves, before anything is stored.
//!
//! An id has 53 bits, so that it fits a `BIGINT`, a JSON number and the contract's integer `id`:
//!
//! ```text
//! | 41 bits: milliseconds since 2025-01-01T00:00:00Z | 5 bits: node | 7 bits: sequence |
//! ```
//!
//! Ids of one [`Minter`] only ever grow, also when the clock steps back; a burst of more than 128 ids a millisecond
//! borrows from the milliseconds ahead. Ids of different nodes are ordered by time only roughly, and an id is minted
//! *before* its commit: never conclude from "greater than the last one seen" that a row is new.
//!
//! Ids of one time lie together, so what is older than some date is a range of the primary key ([`EventId::before`]).
//! And the deliveries of an event are minted right behind it, so they are one too ([`EventId::owed_ids`]): neither needs an
//! index of its own.
//!
//! The public uuid of an event or a delivery is derived from its id ([`DeliveryId::uuid`]) and needs no column of its own.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// 2025-01-01T00:00:00Z in milliseconds since the Unix epoch. 41 bits of milliseconds last until 2094.
const EPOCH_MS: u64 = 1_735_689_600_000;
const NODE_BITS: u32 = 5;
const SEQUENCE_BITS: u32 = 7;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
const MAX_ID: u64 = (1 << 53) - 1;

/// The id of `node` at this place: milliseconds and sequence, the node's bits cut out.
fn id_at(place: u64, node: u64) -> i64 {
    let millis = place >> SEQUENCE_BITS;
    let id = (millis << (NODE_BITS + SEQUENCE_BITS)) | (node << SEQUENCE_BITS) | (place & SEQUENCE_MASK);
    i64::try_from(id & MAX_ID).unwrap_or(i64::MAX)
}

/// Milliseconds since the epoch of ids; 0 before it.
fn millis_of(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_sub(EPOCH_MS)
}

/// The number of a machine among those that share a database, 0 to 31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node(u8);

impl Node {
    /// `None` when `number` is greater than 31.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (u32::from(number) < 1 << NODE_BITS).then_some(Self(number))
    }
}

/// Mints ids that only grow.
#[derive(Debug)]
pub struct Minter {
    node: Node,
    /// Milliseconds and sequence of the last id, the node's bits cut out.
    last: u64,
}

impl Minter {
    /// A minter whose ids are all greater than `last_stored`, the greatest id in the store (0 when it is empty): after a
    /// restart with a clock that went back, ids still follow the order of acceptance.
    #[must_use]
    pub fn new(node: Node, last_stored: i64) -> Self {
        let stored = u64::try_from(last_stored).unwrap_or(0);
        let millis = stored >> (NODE_BITS + SEQUENCE_BITS);
        Self { node, last: (millis << SEQUENCE_BITS) | SEQUENCE_MASK }
    }

    /// The next id of an event.
    pub fn event(&mut self, now: Timestamp) -> EventId {
        EventId(self.next(now))
    }

    /// The next id of a delivery.
    pub fn delivery(&mut self, now: Timestamp) -> DeliveryId {
        DeliveryId(self.next(now))
    }

    fn next(&mut self, now: Timestamp) -> i64 {
        self.last = (self.last + 1).max(millis_of(now) << SEQUENCE_BITS);
        id_at(self.last, u64::from(self.node.0))
    }
}

/// What a uuid names; part of its check digits, so that the uuid of an event is never taken for that of a delivery.
#[derive(Clone, Copy)]
enum Kind {
    Event = 1,
    Delivery = 2,
}

/// A version 8 uuid (RFC 9562) that carries `id` in its first 53 bits, but for those of the version, and 69 check bits after
/// them: uuids are in the order of their ids.
fn uuid_of(id: i64, kind: Kind) -> Uuid {
    let id = id.unsigned_abs() & MAX_ID;
    let mut digest = Sha256::new();
    digest.update([kind as u8]);
    digest.update(id.to_be_bytes());
    let check = digest.finalize();

    let mut bytes = [0_u8; 16];
    bytes[..6].copy_from_slice(&(id >> 5).to_be_bytes()[2..]);
    bytes[7..].copy_from_slice(&check[..9]);
    let [.., low] = id.to_be_bytes();
    bytes[6] = (low >> 1) & 0b1111;
    bytes[7] = (low << 7) | (check[0] & 0b111_1111);
    Uuid::new_v8(bytes)
}

/// The id inside `uuid`, when it is one of ours and of this kind.
fn id_in(uuid: Uuid, kind: Kind) -> Option<i64> {
    let bytes = uuid.as_bytes();
    let mut high = [0_u8; 8];
    high[2..].copy_from_slice(&bytes[..6]);
    let low = (u64::from(bytes[6] & 0b1111) << 1) | u64::from(bytes[7] >> 7);
    let id = i64::try_from((u64::from_be_bytes(high) << 5) | low).ok()?;
    (uuid_of(id, kind) == uuid).then_some(id)
}

macro_rules! minted_id {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// From the number in a row or a request; any number may be asked for.
            #[must_use]
            pub const fn from_raw(id: i64) -> Self {
                Self(id)
            }

            /// The number that rows and answers carry.
            #[must_use]
            pub const fn as_raw(self) -> i64 {
                self.0
            }

            /// The greatest id that is minted before the millisecond of `at`. In a burst, ids run ahead of the clock: some
            /// that were minted shortly before are greater.
            #[must_use]
            pub fn before(at: Timestamp) -> Self {
                let millis = millis_of(at);
                let shift = NODE_BITS + SEQUENCE_BITS;
                let first = millis.min(MAX_ID >> shift) << shift;
                Self(i64::try_from(first).unwrap_or(i64::MAX) - 1)
            }

            /// When it was minted, to the millisecond; in a burst, ids run ahead of the clock.
            #[must_use]
            pub fn minted_at(self) -> Timestamp {
                let millis = (self.0.unsigned_abs() & MAX_ID) >> (NODE_BITS + SEQUENCE_BITS);
                Timestamp::EPOCH.after(Duration::from_millis(millis + EPOCH_MS))
            }

            /// The public uuid, always the same for this id.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                uuid_of(self.0, $kind)
            }

            /// The id that `uuid` was derived from; `None` when it was not derived from one of this kind.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Option<Self> {
                id_in(uuid, $kind).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

minted_id!(
    /// Names an event.
    EventId,
    Kind::Event
);
minted_id!(
    /// Names a delivery. Its uuid is what receivers see as `event.uuid` and `webhook-id`, the same on every attempt.
    DeliveryId,
    Kind::Delivery
);

impl DeliveryId {
    /// An id for a request that belongs to no delivery: of a time long before the first that was minted. `draw` is any random
    /// number.
    #[must_use]
    pub const fn of_no_delivery(draw: u64) -> Self {
        // 2⁴⁰, as milliseconds with a sequence behind them, lie within a few days of 1970.
        Self((draw & ((1 << 40) - 1)).cast_signed())
    }
}

impl EventId {
    /// Where the ids of an event's deliveries lie, given how many it owes. Ids of other nodes may lie between them.
    ///
    /// They are minted right behind the event and for the same `now`; whoever accepts events keeps to that.
    #[must_use]
    pub fn owed_ids(self, deliveries: u32) -> RangeInclusive<DeliveryId> {
        let id = self.0.unsigned_abs();
        let node = (id >> SEQUENCE_BITS) & ((1 << NODE_BITS) - 1);
        let place = ((id >> (NODE_BITS + SEQUENCE_BITS)) << SEQUENCE_BITS) | (id & SEQUENCE_MASK);
        DeliveryId(self.0.saturating_add(1))..=DeliveryId(id_at(place + u64::from(deliveries), node))
    }
}

macro_rules! serial_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i32);

        impl $name {
            /// From the number in a row or a request.
            #[must_use]
            pub const fn from_raw(id: i32) -> Self {
                Self(id)
            }

            /// The number that rows and answers carry.
            #[must_use]
            pub const fn as_raw(self) -> i32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

serial_id!(
    /// Names a subscription: a 32-bit serial of the database, as in the contract, section 3.
    SubscriptionId
);
serial_id!(
    /// Names an owner.
    OwnerId
);
serial_id!(
    /// Names a replay.
    ReplayId
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: i64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn ids_grow_though_the_clock_steps_back() {
        let mut minter = Minter::new(Node::default(), 0);
        let first = minter.event(at_ms(1_800_000_000_500));
        let second = minter.event(at_ms(1_800_000_000_000));
        assert!(second > first);
    }

    #[test]
    fn ids_grow_past_what_the_store_holds() {
        let mut before = Minter::new(Node(3), 0);
        let stored = before.delivery(at_ms(1_800_000_000_000));
        let mut after = Minter::new(Node(0), stored.as_raw());
        assert!(after.delivery(at_ms(1_700_000_000_000)) > stored);
    }

    #[test]
    fn nodes_never_mint_the_same_id() {
        let now = at_ms(1_800_000_000_000);
        let mut one = Minter::new(Node(1), 0);
        let mut two = Minter::new(Node(2), 0);
        let ones: std::collections::HashSet<_> = (0..1_000).map(|_| one.event(now)).collect();
        assert!((0..1_000).all(|_| !ones.contains(&two.event(now))));
    }

    #[test]
    fn ids_are_divided_by_the_millisecond_in_which_they_are_minted() {
        for node in [0, 31] {
            let mut minter = Minter::new(Node(node), 0);
            let early = minter.delivery(at_ms(1_800_000_000_000));
            let late = minter.delivery(at_ms(1_800_000_000_001));
            let border = DeliveryId::before(Timestamp::from_micros(1_800_000_000_001_999));
            assert!(early <= border && border < late);
        }
        assert!(DeliveryId::before(Timestamp::EPOCH).as_raw() < 0);
        assert!(DeliveryId::before(Timestamp::from_micros(i64::MAX)).as_raw().unsigned_abs() < MAX_ID);
    }

    #[test]
    fn a_node_is_at_most_31() {
        assert!(Node::new(31).is_some());
        assert!(Node::new(32).is_none());
    }

    #[test]
    fn the_uuid_of_an_event_is_not_that_of_a_delivery() {
        let uuid = EventId::from_raw(42).uuid();
        assert_eq!(EventId::from_uuid(uuid), Some(EventId::from_raw(42)));
        assert_eq!(DeliveryId::from_uuid(uuid), None);
    }

    proptest! {
        #[test]
        fn an_id_survives_its_uuid(id in 0..=i64::try_from(MAX_ID).expect("53 bits fit")) {
            let uuid = DeliveryId::from_raw(id).uuid();
            prop_assert_eq!(uuid.get_version_num(), 8);
            prop_assert_eq!(DeliveryId::from_uuid(uuid), Some(DeliveryId::from_raw(id)));
        }

        #[test]
        fn uuids_are_in_the_order_of_ids(
            id in 0..=i64::try_from(MAX_ID).expect("53 bits fit"),
            other in prop_oneof![-40..40_i64, any::<i64>()],
        ) {
            let other = id.wrapping_add(other) & i64::try_from(MAX_ID).expect("53 bits fit");
            let uuids = (DeliveryId::from_raw(id).uuid(), DeliveryId::from_raw(other).uuid());
            prop_assert_eq!(id.cmp(&other), uuids.0.cmp(&uuids.1));
        }

        #[test]
        fn what_an_event_owes_lies_right_behind_it(node in 0..32_u8, before in 0..300_usize, owed in 0..400_u32) {
            let now = at_ms(1_800_000_000_000);
            let mut minter = Minter::new(Node(node), 0);
            for _ in 0..before {
                minter.event(now);
            }
            let event = minter.event(now);
            let deliveries: Vec<_> = (0..owed).map(|_| minter.delivery(now)).collect();
            let next = DeliveryId::from_raw(minter.event(now).as_raw());
            let range = event.owed_ids(owed);
            prop_assert!(deliveries.iter().all(|id| range.contains(id)));
            prop_assert!(!range.contains(&next) && !range.contains(&DeliveryId::from_raw(event.as_raw())));
        }

        #[test]
        fn foreign_uuids_name_nothing(bits in any::<u128>()) {
            prop_assert_eq!(EventId::from_uuid(Uuid::from_u128(bits)), None);
        }

        #[test]
        fn ids_only_grow(steps in prop::collection::vec(-500_i64..500, 1..300)) {
            let mut minter = Minter::new(Node(7), 0);
            let mut now = 1_800_000_000_000_i64;
            let mut last = 0;
            for step in steps {
                now += step;
                let id = minter.delivery(at_ms(now)).as_raw();
                prop_assert!(id > last && id.unsigned_abs() <= MAX_ID);
                last = id;
            }
        }
    }
}
