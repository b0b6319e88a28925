//! The laws of the queue, against a model of the store: whatever happens in whatever order, nothing is forgotten, nothing
//! starts early, nothing runs twice at once, slots and window hold, and what is ordered stays in order.

mod store;
mod world;

use proptest::prelude::*;

use self::world::{LIMITS, World};
use super::{Limits, Ordering, RESERVATION_HOLDS_FOR};

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Events are accepted; the offer arrives at once, later, or never.
    Accept {
        count: usize,
        offer: Arrival,
    },
    /// Late offers arrive.
    LateOffers,
    /// Time passes.
    Pass {
        micros: i64,
    },
    /// An attempt in flight ends, `place` behind the oldest: delivered, or to be retried after a wait.
    Finish {
        place: usize,
        retry_after: Option<i64>,
    },
    /// The oldest record becomes durable.
    Record,
    /// The database refuses it for good.
    Refuse,
    /// The store is read for the page that was asked for.
    Read,
    /// The page arrives, or the read fails.
    Answer {
        fails: bool,
    },
    /// What was to be parked is parked; the queue hears of it, or not yet.
    Park {
        answer_is_lost: bool,
    },
    Hold {
        for_micros: Option<i64>,
    },
    Open,
    /// A person orders an attempt of the oldest delivery that is owed; it is read and made, or comes to nothing.
    Order {
        made: bool,
    },
    /// A person calls deliveries off: the store says so, then the queue hears of it. Those that are set aside are owed
    /// again later.
    Withdraw {
        which: Which,
        fate: Fate,
    },
    /// What was set aside is owed again, due now.
    Release,
    /// Somebody changes the ordering.
    Reorder {
        ordering: Ordering,
    },
    /// What was parked is put back.
    Unpark,
    /// The subscription moves to another endpoint.
    Move,
    /// The engine is killed and started again.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Which {
    /// The oldest that is owed: the one that holds up its key.
    Oldest,
    /// The oldest of those in flight.
    InFlight,
    /// All up to the middle.
    Half,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Settled,
    SetAside,
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Now,
    Late,
    Never,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let arrival = prop_oneof![4 => Just(Arrival::Now), 2 => Just(Arrival::Late), 1 => Just(Arrival::Never)];
    let holds = i64::try_from(RESERVATION_HOLDS_FOR.as_micros()).expect("some seconds");
    // Now and then longer than any reservation holds.
    let wait = prop_oneof![20 => 1_i64..400, 1 => 2 * holds..5 * holds];
    prop_oneof![
        4 => (1_usize..6, arrival).prop_map(|(count, offer)| Happening::Accept { count, offer }),
        1 => Just(Happening::LateOffers),
        2 => wait.prop_map(|micros| Happening::Pass { micros }),
        5 => (0_usize..3, prop::option::of(0_i64..300)).prop_map(|(place, retry_after)| Happening::Finish { place, retry_after }),
        5 => Just(Happening::Record),
        1 => Just(Happening::Refuse),
        3 => Just(Happening::Read),
        3 => prop::bool::weighted(0.1).prop_map(|fails| Happening::Answer { fails }),
        3 => prop::bool::weighted(0.2).prop_map(|answer_is_lost| Happening::Park { answer_is_lost }),
        1 => prop::option::of(1_i64..500).prop_map(|for_micros| Happening::Hold { for_micros }),
        1 => Just(Happening::Open),
        1 => prop::bool::ANY.prop_map(|made| Happening::Order { made }),
        2 => any_withdrawal().prop_map(|(which, fate)| Happening::Withdraw { which, fate }),
        1 => Just(Happening::Release),
        1 => any_ordering().prop_map(|ordering| Happening::Reorder { ordering }),
        2 => Just(Happening::Unpark),
        1 => Just(Happening::Move),
        1 => Just(Happening::Restart),
    ]
}

fn any_withdrawal() -> impl Strategy<Value = (Which, Fate)> {
    let which = prop_oneof![3 => Just(Which::Oldest), 2 => Just(Which::InFlight), 1 => Just(Which::Half)];
    (which, prop_oneof![Just(Fate::Settled), Just(Fate::SetAside)])
}

fn any_ordering() -> impl Strategy<Value = Ordering> {
    prop::sample::select(Ordering::ALL.to_vec())
}

proptest! {
    #[test]
    fn nothing_is_forgotten_early_or_out_of_order(ordering in any_ordering(), happenings in prop::collection::vec(any_happening(), 1..200)) {
        let mut world = World::new(ordering);
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
    }

    #[test]
    fn what_is_never_retried_starts_in_the_order_of_acceptance(batches in prop::collection::vec(1_usize..6, 1..40)) {
        let mut world = World::new(Ordering::None);
        world.queue.set_limits(Limits { slots: 1, ..LIMITS });
        for count in batches {
            world.happen(Happening::Accept { count, offer: Arrival::Now });
            let answer = Happening::Answer { fails: false };
            let finish = Happening::Finish { place: 0, retry_after: None };
            for happening in [Happening::Read, answer, finish, Happening::Record] {
                world.happen(happening);
            }
        }
        prop_assert!(world.starts.is_sorted(), "{:?}", world.starts);
    }
}
