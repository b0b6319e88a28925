//! A model of the store and of all that may happen around the queue.

mod acting;

use std::collections::{BTreeSet, HashSet};

use super::{
    super::{tests::keyed, *},
    Arrival, Fate, Happening, Which,
    store::{Held, Owing, page},
};

pub(super) const LIMITS: Limits = Limits { slots: 3, window: 8, rate: None, ordering: Ordering::None, max_age: None };
/// Waits that the model's time passes soon.
const BREAKER: BreakerSettings =
    BreakerSettings { threshold: 3, first_wait: Duration::from_micros(50), longest_wait: Duration::from_micros(200) };

/// How far away the instants are that endpoints reserve that fail.
const TRICKLE: Duration = Duration::from_micros(7);

/// How long nothing is tried again whose record was refused.
const REFUSED: Duration = Duration::from_micros(60);

/// The store and the world around the queue.
pub(super) struct World {
    pub(super) queue: Queue,
    ordering: Ordering,
    now: Timestamp,
    last_id: i64,
    owed: Owing,
    late: Vec<i64>,
    in_flight: Vec<i64>,
    /// Those of them that went to an endpoint of before.
    elsewhere: HashSet<i64>,
    records: Vec<(i64, Next)>,
    /// Settled in the store, which the queue was not told: nothing follows from it.
    left: Vec<i64>,
    /// In flight because a person ordered it.
    ordered: HashSet<i64>,
    /// Called off, and under way at that moment.
    called_off: HashSet<i64>,
    set_aside: BTreeSet<i64>,
    order: Option<ReadOrder>,
    page: Option<Page>,
    to_park: Option<Vec<(i64, KeyHash)>>,
    /// What is parked is to be put back.
    to_unpark: bool,
    /// Attempted before the ordering changed: they came first under the one before.
    tried_before: HashSet<i64>,
    /// Why the endpoint is not trusted.
    doubt: Option<Doubt>,
    /// For the next attempt at an endpoint that is not trusted.
    reserved: Option<Timestamp>,
    /// The attempt at it whose end has to be seen.
    asked: Option<i64>,
    /// The latest that failed there.
    failed: Option<i64>,
    pub(super) starts: Vec<i64>,
}

impl World {
    pub(super) fn new(ordering: Ordering) -> Self {
        Self {
            queue: Queue::new(Limits { ordering, ..LIMITS }, Gate::Open, BREAKER),
            ordering,
            now: Timestamp::from_micros(1),
            last_id: 0,
            owed: Owing::new(),
            late: Vec::new(),
            in_flight: Vec::new(),
            elsewhere: HashSet::new(),
            records: Vec::new(),
            left: Vec::new(),
            ordered: HashSet::new(),
            called_off: HashSet::new(),
            set_aside: BTreeSet::new(),
            order: None,
            page: None,
            to_park: None,
            to_unpark: false,
            tried_before: HashSet::new(),
            doubt: Some(Doubt::Unsure),
            reserved: None,
            asked: None,
            failed: None,
            starts: Vec::new(),
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Accept { count, offer } => self.accept(count, offer),
            Happening::LateOffers => {
                self.take_word();
                let late = std::mem::take(&mut self.late);
                self.queue.offer(late.into_iter().map(keyed));
            }
            Happening::Pass { micros } => self.now = Timestamp::from_micros(self.now.as_micros() + micros),
            Happening::Finish { place, retry_after } => self.finish(place, retry_after),
            Happening::Record => self.record(),
            Happening::Refuse => self.refuse(),
            Happening::Read => self.read(),
            Happening::Answer { fails } => self.answer(fails),
            Happening::Park { answer_is_lost } => self.park(answer_is_lost),
            Happening::Hold { for_micros } => {
                let until = for_micros.map(|micros| Timestamp::from_micros(self.now.as_micros() + micros));
                self.queue.set_gate(Gate::Held { until });
            }
            Happening::Open => self.queue.set_gate(Gate::Open),
            Happening::Order { made } => self.order(made),
            Happening::Withdraw { which, fate } => self.withdraw(which, fate),
            Happening::Release => self.release(),
            Happening::Reorder { ordering } => self.reorder(ordering),
            Happening::Unpark => self.unpark(),
            Happening::Move => self.move_away(),
            Happening::Restart => self.restart(),
        }
        if !matches!(happening, Happening::Record) {
            self.take_word();
        }
        self.act();
    }

    fn key(&self, id: i64) -> Option<KeyHash> {
        self.ordering.key_of(&keyed(id).event)
    }

    fn accept(&mut self, count: usize, offer: Arrival) {
        self.take_word();
        let ids: Vec<i64> = (0..count).map(|n| self.last_id + 1 + i64::try_from(n).expect("small")).collect();
        self.last_id = *ids.last().expect("count is at least 1");
        self.owed.extend(ids.iter().map(|id| (*id, Held::Not)));
        match offer {
            // The router speaks in order: an offer never overtakes a late one.
            Arrival::Now if self.late.is_empty() => self.queue.offer(ids.into_iter().map(keyed)),
            Arrival::Now | Arrival::Late => self.late.extend(ids),
            Arrival::Never => self.queue.look_again(),
        }
    }

    fn order(&mut self, made: bool) {
        self.take_word();
        // An order takes the same way as the offers, so it never overtakes one.
        let Some(id) = self.owed.keys().copied().find(|id| !self.late.contains(id)) else { return };
        if self.queue.claim(DeliveryId::from_raw(id)) == Claim::Busy {
            return;
        }
        assert!(!self.in_flight.contains(&id), "{id} runs twice");
        if made {
            self.queue.claim_started(keyed(id));
            self.in_flight.push(id);
            self.ordered.insert(id);
        } else {
            self.queue.claim_dropped(DeliveryId::from_raw(id));
        }
    }

    fn withdraw(&mut self, which: Which, fate: Fate) {
        self.take_word();
        let mut ids: Vec<i64> = match which {
            Which::Oldest => self.owed.keys().copied().take(1).collect(),
            Which::InFlight => self.in_flight.iter().copied().take(1).collect(),
            Which::Half => self.owed.keys().copied().take_while(|id| *id <= self.last_id / 2).collect(),
        };
        // A late offer would bring it once more; the router speaks in order.
        ids.retain(|id| self.owed.contains_key(id) && !self.late.contains(id));
        if matches!(fate, Fate::SetAside) {
            // What is put back before earlier ones of its key had their turn may overtake these.
            let first = |id: &i64| {
                self.owed.keys().take_while(|other| *other < id).all(|other| self.key(*other) != self.key(*id))
            };
            ids.retain(|id| self.ordering == Ordering::None || first(id));
        }
        for id in &ids {
            self.owed.remove(id);
            match fate {
                Fate::Settled => {}
                Fate::SetAside => _ = self.set_aside.insert(*id),
            }
        }
        let ids: HashSet<DeliveryId> = ids.into_iter().map(DeliveryId::from_raw).collect();
        let under_way = self.queue.withdraw(&Withdrawn::These(ids.clone()));
        let recording = self.records.iter().map(|(id, _)| *id);
        let busy: HashSet<i64> = self.in_flight.iter().copied().chain(recording).collect();
        let expected = ids.into_iter().filter(|id| busy.contains(&id.as_raw())).collect();
        assert_eq!(under_way, expected, "whoever waits for what is under way is told of all of it");
        self.called_off.extend(under_way.into_iter().map(DeliveryId::as_raw));
    }

    fn release(&mut self) {
        let released = std::mem::take(&mut self.set_aside);
        if released.is_empty() {
            return;
        }
        self.owed.extend(released.into_iter().map(|id| (id, Held::Until(self.now))));
        self.queue.look_again();
    }

    fn finish(&mut self, place: usize, retry_after: Option<i64>) {
        if self.in_flight.is_empty() {
            return;
        }
        let id = self.in_flight.remove(place.min(self.in_flight.len() - 1));
        let ended = match retry_after {
            None => Ended { sign: Sign::Success, ease: Ease::Took },
            Some(_) => Ended { sign: Sign::Failure, ease: Ease::Strained },
        };
        let (_, bearing) = self.queue.finished(DeliveryId::from_raw(id), ended, self.now, 0).expect("it was in flight");
        assert_eq!(bearing == Bearing::Past, self.elsewhere.remove(&id), "{id} went to the endpoint of then");
        if bearing != Bearing::Past {
            let doubt_before = self.doubt;
            self.doubt = retry_after.map(|_| doubt_before.map_or(Doubt::Unsure, |_| Doubt::Failing));
            if self.doubt != doubt_before {
                self.reserved = None;
            }
            if self.doubt.is_none() || doubt_before.is_none() {
                self.asked = None;
            }
            self.failed = retry_after.map(|_| id);
        }
        let due = retry_after.map(|wait| Timestamp::from_micros(self.now.as_micros() + wait));
        let next = match due {
            None => Next::Settled,
            Some(_) if self.ordered.contains(&id) || self.called_off.contains(&id) => Next::Unchanged,
            Some(due) => Next::DueAt(due),
        };
        self.ordered.remove(&id);
        self.records.push((id, next));
    }

    fn refuse(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let (id, _) = self.records.remove(0);
        let refused = Next::Refused(self.now.after(REFUSED));
        let next = if self.called_off.remove(&id) { Next::Unchanged } else { refused };
        self.queue.recorded(DeliveryId::from_raw(id), next);
    }

    fn record(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let (id, next) = self.records.remove(0);
        match next {
            // What was called off stays so.
            Next::DueAt(due) => _ = self.owed.get_mut(&id).map(|held| *held = Held::Until(due)),
            // An arrival is a fact.
            Next::Settled => {
                self.owed.remove(&id);
                self.set_aside.remove(&id);
            }
            Next::Unchanged | Next::Refused(_) => {}
        }
        let next = if self.called_off.remove(&id) { Next::Unchanged } else { next };
        let can_wait = next == Next::Settled && !self.queue.awaits_records();
        if can_wait && id % 2 == 0 {
            self.left.push(id);
            return;
        }
        self.queue.recorded(DeliveryId::from_raw(id), next);
        if can_wait {
            let follows = self.queue.next(self.now, usize::MAX);
            assert!(matches!(follows, Step::Wait(_) | Step::Idle), "{follows:?} follows from a record that can wait");
        }
    }

    /// Tells the queue what it was not told: before it is offered or asked for anything, else after what happens.
    fn take_word(&mut self) {
        for id in self.left.drain(..) {
            self.queue.recorded(DeliveryId::from_raw(id), Next::Settled);
        }
    }

    fn read(&mut self) {
        self.page = self.order.take().map(|order| page(&self.owed, &order, self.now)).or(self.page.take());
    }

    fn answer(&mut self, fails: bool) {
        let Some(page) = self.page.take() else { return };
        if fails {
            self.queue.read_failed(Timestamp::from_micros(self.now.as_micros() + 50));
        } else {
            self.queue.page_read(page);
        }
    }

    /// A write whose answer is lost is run again: the store shows it, and the queue does not hear of it yet.
    fn park(&mut self, answer_is_lost: bool) {
        let Some(to_park) = self.to_park.take() else { return };
        for (id, key) in &to_park {
            if let Some(held) = self.owed.get_mut(id) {
                *held = Held::Parked(*key);
            }
        }
        if answer_is_lost {
            self.to_park = Some(to_park);
        } else {
            self.queue.parked();
        }
    }

    /// Somebody changes the ordering. What was set aside under another one may overtake.
    fn reorder(&mut self, ordering: Ordering) {
        if self.set_aside.is_empty() && ordering != self.ordering {
            self.ordering = ordering;
            self.tried_before.extend(&self.starts);
            self.queue.set_limits(Limits { ordering, ..LIMITS });
        }
    }

    fn unpark(&mut self) {
        if std::mem::take(&mut self.to_unpark) {
            let parked = self.owed.values_mut().filter(|held| matches!(held, Held::Parked(_)));
            parked.for_each(|held| *held = Held::Not);
            self.queue.unparked();
        }
    }

    /// Nothing is known of another endpoint, whatever is known of the one before.
    fn move_away(&mut self) {
        self.queue.endpoint_moved();
        self.elsewhere = self.in_flight.iter().copied().collect();
        (self.doubt, self.reserved, self.asked, self.failed) = (Some(Doubt::Unsure), None, None, None);
    }

    /// The engine is killed and started again. What it had sent to the store is carried out or not, but not later.
    fn restart(&mut self) {
        let before = std::mem::replace(self, Self::new(self.ordering));
        let Self { now, last_id, owed, set_aside, tried_before, starts, .. } = before;
        *self = Self { now, last_id, owed, set_aside, tried_before, starts, ..Self::new(self.ordering) };
    }

    /// Lets everything succeed until the queue has nothing left to do.
    pub(super) fn settle(&mut self) {
        self.happen(Happening::LateOffers);
        self.happen(Happening::Release);
        self.happen(Happening::Open);
        for _ in 0..10_000 {
            self.happen(Happening::Read);
            self.happen(Happening::Answer { fails: false });
            self.happen(Happening::Park { answer_is_lost: false });
            self.happen(Happening::Unpark);
            self.happen(Happening::Finish { place: 0, retry_after: None });
            self.happen(Happening::Record);
            self.happen(Happening::Pass { micros: 20 });
            if self.owed.is_empty() && self.act() {
                return;
            }
        }
        panic!("still owed: {:?}, queue: {:?}", self.owed, self.queue);
    }
}
