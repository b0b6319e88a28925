//! The laws of the queue, against a model of the store: whatever happens in whatever order, nothing is forgotten, nothing
//! starts early, nothing runs twice at once, and slots and window hold.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::{tests::owed, *};

const LIMITS: Limits = Limits { slots: 3, window: 8 };

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
    /// The oldest attempt in flight ends: delivered, or to be retried after a wait.
    Finish {
        retry_after: Option<i64>,
    },
    /// The oldest record becomes durable.
    Record,
    /// The store is read for the page that was asked for.
    Read,
    /// The page arrives, or the read fails.
    Answer {
        fails: bool,
    },
    Hold {
        for_micros: Option<i64>,
    },
    Open,
    /// A person orders an attempt of the oldest delivery that is owed; it is read and made, or comes to nothing.
    Order {
        made: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Now,
    Late,
    Never,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let arrival = prop_oneof![4 => Just(Arrival::Now), 2 => Just(Arrival::Late), 1 => Just(Arrival::Never)];
    prop_oneof![
        4 => (1_usize..6, arrival).prop_map(|(count, offer)| Happening::Accept { count, offer }),
        1 => Just(Happening::LateOffers),
        2 => (1_i64..400).prop_map(|micros| Happening::Pass { micros }),
        5 => prop::option::of(0_i64..300).prop_map(|retry_after| Happening::Finish { retry_after }),
        5 => Just(Happening::Record),
        3 => Just(Happening::Read),
        3 => prop::bool::weighted(0.1).prop_map(|fails| Happening::Answer { fails }),
        1 => prop::option::of(1_i64..500).prop_map(|for_micros| Happening::Hold { for_micros }),
        1 => Just(Happening::Open),
        1 => prop::bool::ANY.prop_map(|made| Happening::Order { made }),
    ]
}

/// The store and the world around the queue.
struct World {
    queue: Queue,
    now: Timestamp,
    last_id: i64,
    /// Owed deliveries and when they are due; `EPOCH` for those never attempted.
    owed: BTreeMap<i64, Timestamp>,
    late: Vec<i64>,
    in_flight: Vec<i64>,
    records: Vec<(i64, Next)>,
    /// In flight because a person ordered it.
    ordered: HashSet<i64>,
    order: Option<ReadOrder>,
    page: Option<Page>,
}

impl World {
    fn new() -> Self {
        Self {
            queue: Queue::new(LIMITS, Gate::Open),
            now: Timestamp::from_micros(1),
            last_id: 0,
            owed: BTreeMap::new(),
            late: Vec::new(),
            in_flight: Vec::new(),
            records: Vec::new(),
            ordered: HashSet::new(),
            order: None,
            page: None,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Accept { count, offer } => self.accept(count, offer),
            Happening::LateOffers => {
                let late = std::mem::take(&mut self.late);
                self.queue.offer(late.into_iter().map(owed));
            }
            Happening::Pass { micros } => self.now = Timestamp::from_micros(self.now.as_micros() + micros),
            Happening::Finish { retry_after } => self.finish(retry_after),
            Happening::Record => self.record(),
            Happening::Read => self.read(),
            Happening::Answer { fails } => self.answer(fails),
            Happening::Hold { for_micros } => {
                let until = for_micros.map(|micros| Timestamp::from_micros(self.now.as_micros() + micros));
                self.queue.set_gate(Gate::Held { until });
            }
            Happening::Open => self.queue.set_gate(Gate::Open),
            Happening::Order { made } => self.order(made),
        }
        self.act();
    }

    fn accept(&mut self, count: usize, offer: Arrival) {
        let ids: Vec<i64> = (0..count).map(|n| self.last_id + 1 + i64::try_from(n).expect("small")).collect();
        self.last_id = *ids.last().expect("count is at least 1");
        self.owed.extend(ids.iter().map(|id| (*id, Timestamp::EPOCH)));
        match offer {
            // The router speaks in order: an offer never overtakes a late one.
            Arrival::Now if self.late.is_empty() => self.queue.offer(ids.into_iter().map(owed)),
            Arrival::Now | Arrival::Late => self.late.extend(ids),
            Arrival::Never => self.queue.look_again(),
        }
    }

    fn order(&mut self, made: bool) {
        // An order takes the same way as the offers, so it never overtakes one.
        let Some(id) = self.owed.keys().copied().find(|id| !self.late.contains(id)) else { return };
        if self.queue.claim(DeliveryId::from_raw(id)) == Claim::Busy {
            return;
        }
        assert!(!self.in_flight.contains(&id), "{id} runs twice");
        if made {
            self.queue.claim_started(owed(id));
            self.in_flight.push(id);
            self.ordered.insert(id);
        } else {
            self.queue.claim_dropped(DeliveryId::from_raw(id));
        }
    }

    fn finish(&mut self, retry_after: Option<i64>) {
        if self.in_flight.is_empty() {
            return;
        }
        let id = self.in_flight.remove(0);
        self.queue.finished(DeliveryId::from_raw(id)).expect("it was in flight");
        let due = retry_after.map(|wait| Timestamp::from_micros(self.now.as_micros() + wait));
        let next = match due {
            None => Next::Settled,
            Some(_) if self.ordered.contains(&id) => Next::Unchanged,
            Some(due) => Next::DueAt(due),
        };
        self.ordered.remove(&id);
        self.records.push((id, next));
    }

    fn record(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let (id, next) = self.records.remove(0);
        match next {
            Next::DueAt(due) => self.owed.insert(id, due),
            Next::Settled => self.owed.remove(&id),
            Next::Unchanged => None,
        };
        self.queue.recorded(DeliveryId::from_raw(id), next);
    }

    fn read(&mut self) {
        let Some(order) = self.order.take() else { return };
        let unknown = |id: &i64| !order.known.contains(&DeliveryId::from_raw(*id));
        let of = |fresh: bool| self.owed.iter().filter(move |(_, due)| (**due == Timestamp::EPOCH) == fresh);
        let fresh: Vec<i64> = of(true).map(|(id, _)| *id).filter(unknown).collect();
        let mut retries: Vec<(Timestamp, i64)> =
            of(false).map(|(id, due)| (*due, *id)).filter(|r| unknown(&r.1)).collect();
        retries.sort_unstable();
        let due: Vec<_> = retries.iter().take_while(|(at, _)| *at <= self.now).take(order.due).collect();
        self.page = Some(Page {
            more_fresh: fresh.len() > order.fresh,
            next_due: retries.get(due.len()).map(|(at, _)| *at),
            due: due.iter().map(|(_, id)| owed(*id)).collect(),
            fresh: fresh.into_iter().take(order.fresh).map(owed).collect(),
        });
    }

    fn answer(&mut self, fails: bool) {
        let Some(page) = self.page.take() else { return };
        if fails {
            self.queue.read_failed(Timestamp::from_micros(self.now.as_micros() + 50));
        } else {
            self.queue.page_read(page);
        }
    }

    /// Does what the queue says, and checks what must hold.
    fn act(&mut self) -> bool {
        loop {
            match self.queue.next(self.now) {
                Step::Start(started) => self.start(started.id.as_raw()),
                Step::Read(order) => {
                    assert!(self.order.is_none() && self.page.is_none(), "one read at a time");
                    self.order = Some(order);
                }
                Step::Wait(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "a wait that is over would spin");
                    break false;
                }
                Step::Idle => break true,
            }
        }
    }

    fn start(&mut self, id: i64) {
        let due = self.owed.get(&id).copied().expect("only what is owed is attempted");
        assert!(due <= self.now, "{id} starts early");
        assert!(
            !self.records.iter().any(|(recording, _)| *recording == id),
            "{id} starts before its record is durable"
        );
        assert!(!self.in_flight.contains(&id), "{id} runs twice");
        assert!(!matches!(self.queue.gate, Gate::Held { .. }), "{id} starts while held");
        self.in_flight.push(id);
        let beyond = self.ordered.len();
        assert!(self.in_flight.len() <= LIMITS.slots + beyond, "slots hold");
        assert!(self.queue.held_in_memory() <= LIMITS.window + beyond, "the window holds");
    }

    /// Lets everything succeed until the queue has nothing left to do.
    fn settle(&mut self) {
        self.happen(Happening::LateOffers);
        self.happen(Happening::Open);
        for _ in 0..10_000 {
            self.happen(Happening::Read);
            self.happen(Happening::Answer { fails: false });
            self.happen(Happening::Finish { retry_after: None });
            self.happen(Happening::Record);
            self.happen(Happening::Pass { micros: 20 });
            if self.owed.is_empty() && self.act() {
                return;
            }
        }
        panic!("still owed: {:?}, queue: {:?}", self.owed.keys().collect::<HashSet<_>>(), self.queue);
    }
}

proptest! {
    #[test]
    fn nothing_is_forgotten_and_nothing_is_early(happenings in prop::collection::vec(any_happening(), 1..200)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
    }

    #[test]
    fn what_is_never_retried_starts_in_the_order_of_acceptance(batches in prop::collection::vec(1_usize..6, 1..40)) {
        let mut world = World::new();
        world.queue.set_limits(Limits { slots: 1, window: 8 });
        let mut seen = Vec::new();
        for count in batches {
            world.happen(Happening::Accept { count, offer: Arrival::Now });
            for happening in [Happening::Read, Happening::Answer { fails: false }, Happening::Finish { retry_after: None }, Happening::Record] {
                world.happen(happening);
                seen.extend(world.in_flight.iter().copied().filter(|id| seen.last() != Some(id)).collect::<Vec<_>>());
            }
        }
        prop_assert!(seen.is_sorted(), "{seen:?}");
    }
}
