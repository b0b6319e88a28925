//! What the store holds and what it answers.

use std::collections::BTreeMap;

use super::super::{tests::keyed, *};

/// The most parked deliveries of one key that a page brings.
const HEAD: usize = 2;

/// What holds a delivery back in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Not,
    Until(Timestamp),
    Parked(KeyHash),
}

impl Held {
    pub(super) fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(due) => Some(due),
            Self::Not | Self::Parked(_) => None,
        }
    }

    fn behind(self) -> Option<KeyHash> {
        match self {
            Self::Parked(key) => Some(key),
            Self::Not | Self::Until(_) => None,
        }
    }
}

/// What is owed.
pub(super) type Owing = BTreeMap<i64, Held>;

/// The page that `order` asks for at `now`.
pub(super) fn page(owing: &Owing, order: &ReadOrder, now: Timestamp) -> Page {
    let is_unknown = |id: i64| !order.known.contains(&DeliveryId::from_raw(id));
    let unknown: Owing = owing.iter().filter(|(id, _)| is_unknown(**id)).map(|(id, held)| (*id, *held)).collect();
    let fresh: Vec<i64> = unknown.iter().filter(|(_, held)| **held == Held::Not).map(|(id, _)| *id).collect();
    let mut retries: Vec<(Timestamp, i64)> =
        unknown.iter().filter_map(|(id, held)| Some((held.until()?, *id))).collect();
    retries.sort_unstable();
    let due: Vec<_> = retries.iter().take_while(|(at, _)| *at <= now).take(order.due).collect();
    Page {
        more_fresh: order.fresh > 0 && fresh.len() > order.fresh,
        next_due: retries.get(due.len()).map(|(at, _)| *at),
        due: due.iter().map(|(_, id)| keyed(*id)).collect(),
        fresh: fresh.into_iter().take(order.fresh).map(keyed).collect(),
        keys: order.keys.then(|| keys_found(owing, order.ordering)),
        heads: order.heads.iter().map(|key| head(*key, &unknown)).collect(),
    }
}

fn keys_found(owing: &Owing, ordering: Ordering) -> KeysFound {
    let mut found = KeysFound::default();
    let mut parked: BTreeMap<KeyHash, DeliveryId> = BTreeMap::new();
    for (id, held) in owing {
        let key = ordering.key_of(&keyed(*id).event);
        let id = DeliveryId::from_raw(*id);
        found.waiting.extend(held.until().and(key).map(|key| (key, id)));
        if let Some(key) = held.behind() {
            parked.entry(key).or_insert(id);
        }
    }
    found.parked.extend(parked);
    found
}

fn head(key: KeyHash, unknown: &Owing) -> Head {
    let mut ids = unknown.iter().filter(|(_, held)| held.behind() == Some(key)).map(|(id, _)| *id);
    let owed = ids.by_ref().take(HEAD).map(keyed).collect();
    Head { key, owed, more: ids.next().is_some() }
}
