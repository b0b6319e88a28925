//! Which subscription actors run, and where.
//!
//! An actor is started when there is something for it, found dead when it is spoken to or at a regular look, and let go
//! when it has nothing to do and nothing is on the way to it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Recipient, dev::Request};

use super::{
    colleagues::Colleagues,
    deliverer::{Attempt, Deliverer, Deliverers},
    mail::tell,
    recorder::Recorder,
    scribe::Scribe,
    subscription::{
        AttemptNow, GetStatus, LookAgain, Offer, Quiesce, SetSubscription, Stop, SubscriptionActor, Withdraw,
    },
};
use crate::{
    clock::Clock,
    domain::{
        id::{DeliveryId, SubscriptionId},
        queue::Owed,
        subscription::Subscription,
    },
    egress::{Client, Guard},
    metrics::Presence,
};

/// Starts somebody who makes attempts on an arbiter.
type StartDeliverer = Box<dyn Fn(&ArbiterHandle) -> Recipient<Attempt>>;

/// A thread that runs subscription actors, with whoever makes their attempts.
pub struct Bench {
    arbiter: ArbiterHandle,
    background: ArbiterHandle,
    start_deliverer: StartDeliverer,
    deliverers: Deliverers,
    scribe: Option<Addr<Scribe>>,
}

impl Bench {
    /// Starts a [`Deliverer`] on `arbiter` and one on `background`, whose connections are counted in `connections`.
    #[must_use]
    pub fn new(
        arbiter: ArbiterHandle,
        background: ArbiterHandle,
        guard: Guard,
        clock: Clock,
        connections: Presence,
    ) -> Self {
        Self::with(arbiter, background, move |arbiter| {
            let (guard, clock, connections) = (guard.clone(), clock.clone(), connections.clone());
            let start = |_: &mut _| Deliverer::new(Client::new(guard).counted_in(connections), clock);
            Deliverer::start_in_arbiter(arbiter, start).recipient()
        })
    }

    /// The same with attempts made by whom `start_deliverer` starts.
    #[must_use]
    pub fn with(
        arbiter: ArbiterHandle,
        background: ArbiterHandle,
        start_deliverer: impl Fn(&ArbiterHandle) -> Recipient<Attempt> + 'static,
    ) -> Self {
        let deliverers = Deliverers { proven: start_deliverer(&arbiter), unproven: start_deliverer(&background) };
        Self { arbiter, background, start_deliverer: Box::new(start_deliverer), deliverers, scribe: None }
    }

    /// The deliverers; a new one for each that died.
    fn deliverers(&mut self) -> Deliverers {
        let Deliverers { proven, unproven } = &mut self.deliverers;
        for (deliverer, arbiter) in [(proven, &self.arbiter), (unproven, &self.background)] {
            if !deliverer.connected() {
                log::error!("a deliverer died, starting a new one");
                *deliverer = (self.start_deliverer)(arbiter);
            }
        }
        self.deliverers.clone()
    }

    /// The scribe who writes for `recorder`; the first who asks has it started.
    fn scribe(&mut self, recorder: &Addr<Recorder>) -> Addr<Scribe> {
        let start = || {
            let recorder = recorder.clone();
            Scribe::start_in_arbiter(&self.arbiter, move |_| Scribe::new(recorder))
        };
        self.scribe.get_or_insert_with(start).clone()
    }
}

/// A subscription actor that was started.
struct Running {
    addr: Addr<SubscriptionActor>,
    /// How many messages about new deliveries it was sent.
    offers: u64,
}

/// See the module.
pub(super) struct Roster {
    running: HashMap<SubscriptionId, Running>,
    /// Those without an actor whose endpoints worked when they were attempted last.
    working: HashSet<SubscriptionId>,
    benches: Vec<Bench>,
    /// Nobody is started any more.
    closed: bool,
}

impl Roster {
    /// Nobody runs yet. There is at least one bench.
    pub(super) fn new(benches: Vec<Bench>) -> Self {
        assert!(!benches.is_empty(), "subscription actors need a thread to run on");
        Self { running: HashMap::new(), working: HashSet::new(), benches, closed: false }
    }

    /// Whether the subscription has an actor.
    pub(super) fn runs(&self, id: SubscriptionId) -> bool {
        self.running.contains_key(&id)
    }

    /// Hands newly committed deliveries over.
    pub(super) fn offer(&mut self, to: &Arc<Subscription>, owed: Vec<Owed>, last: DeliveryId, with: &Colleagues) {
        if let Some(running) = self.find_or_start(to, last, with) {
            running.offers += 1;
            tell(&running.addr, Offer(owed));
        }
    }

    /// Makes the actor look into the store.
    pub(super) fn look_again(&mut self, to: &Arc<Subscription>, last: DeliveryId, with: &Colleagues) {
        if let Some(running) = self.find_or_start(to, last, with) {
            running.offers += 1;
            tell(&running.addr, LookAgain { last_minted: last });
        }
    }

    /// Gives the actor new terms. Starts one unless there is nothing it could do, so that an ended subscription has someone
    /// who cancels what it is owed, and a resumed one someone who delivers it.
    pub(super) fn change(
        &mut self,
        from: &Subscription,
        to: &Arc<Subscription>,
        last: DeliveryId,
        with: &Colleagues,
    ) -> Option<Request<SubscriptionActor, SetSubscription>> {
        if to.begins_anew_after(from) {
            self.working.remove(&to.id);
        }
        if !self.runs(to.id) && to.is_held_for_good() {
            return None;
        }
        let running = self.find_or_start(to, last, with)?;
        running.offers += 1;
        Some(running.addr.send(SetSubscription { subscription: Arc::clone(to), last_minted: last }))
    }

    /// Ends when the actor has seen `to`, which it was sent already; `None` when there is none.
    pub(super) fn change_again(
        &mut self,
        to: &Arc<Subscription>,
        last: DeliveryId,
    ) -> Option<Request<SubscriptionActor, SetSubscription>> {
        let running = self.running.get_mut(&to.id)?;
        running.offers += 1;
        Some(running.addr.send(SetSubscription { subscription: Arc::clone(to), last_minted: last }))
    }

    /// Passes a person's order on; `None` when the roster is closed: what begins then is cut off by the end of the process.
    pub(super) fn order(
        &mut self,
        to: &Arc<Subscription>,
        order: AttemptNow,
        last: DeliveryId,
        with: &Colleagues,
    ) -> Option<Request<SubscriptionActor, AttemptNow>> {
        if self.closed {
            return None;
        }
        let running = self.find_or_start(to, last, with)?;
        running.offers += 1;
        Some(running.addr.send(order))
    }

    /// Calls deliveries off; `None` when nobody runs who could have them.
    pub(super) fn withdraw(&self, id: SubscriptionId, order: Withdraw) -> Option<Request<SubscriptionActor, Withdraw>> {
        self.running.get(&id).map(|running| running.addr.send(order))
    }

    /// Asks the actor how it is doing; `None` when nobody runs.
    pub(super) fn status(&self, id: SubscriptionId, ask: GetStatus) -> Option<Request<SubscriptionActor, GetStatus>> {
        self.running.get(&id).map(|running| running.addr.send(ask))
    }

    /// Lets an idle actor go, unless something is on the way to it. Whether its endpoint `works` is remembered for the next one.
    pub(super) fn let_go(&mut self, id: SubscriptionId, offers: u64, works: bool, who: &Addr<SubscriptionActor>) {
        let idle = |running: &Running| running.addr == *who && running.offers == offers;
        if self.running.get(&id).is_some_and(idle) {
            self.running.remove(&id);
            if works {
                self.working.insert(id);
            }
            tell(who, Stop);
        }
    }

    /// Subscriptions whose actor died. They are forgotten here; whoever asks starts new ones.
    pub(super) fn take_dead(&mut self) -> Vec<SubscriptionId> {
        self.running.extract_if(|_, running| !running.addr.connected()).map(|(id, _)| id).collect()
    }

    /// Whether a scribe died, and with it attempts that nobody will record.
    pub(super) fn lost_scribe(&self) -> bool {
        self.benches.iter().filter_map(|bench| bench.scribe.as_ref()).any(|scribe| !scribe.connected())
    }

    /// Stops every actor, whatever it was doing, and starts anew with another recorder; gives whose they were.
    pub(super) fn dismiss(&mut self) -> Vec<SubscriptionId> {
        for bench in &mut self.benches {
            bench.scribe = None;
        }
        let stop = |(id, running): (SubscriptionId, Running)| {
            tell(&running.addr, Stop);
            id
        };
        self.running.drain().map(stop).collect()
    }

    /// Asks every actor to finish what is in flight and start nothing more; nobody is started after.
    pub(super) fn close(&mut self) -> Vec<Request<SubscriptionActor, Quiesce>> {
        self.closed = true;
        self.running.values().map(|running| running.addr.send(Quiesce)).collect()
    }

    /// `None` once the roster is closed and nobody runs for this subscription.
    fn find_or_start(&mut self, to: &Arc<Subscription>, last: DeliveryId, with: &Colleagues) -> Option<&mut Running> {
        let id = to.id;
        if self.running.get(&id).is_some_and(|running| !running.addr.connected()) {
            log::error!(subscription = id.as_raw(); "a subscription actor died, starting a new one");
            self.running.remove(&id);
        }
        if self.closed {
            return self.running.get_mut(&id);
        }
        let seat = seat_of(id, self.benches.len());
        Some(self.running.entry(id).or_insert_with(|| {
            let bench = &mut self.benches[seat];
            let (deliverers, scribe) = (bench.deliverers(), bench.scribe(&with.recorder));
            let (subscription, with, works) = (Arc::clone(to), with.clone(), self.working.remove(&id));
            let start = move |ctx: &mut Context<_>| {
                SubscriptionActor::new(ctx.address(), subscription, last, works, (deliverers, scribe), with)
            };
            Running { addr: SubscriptionActor::start_in_arbiter(&bench.arbiter, start), offers: 0 }
        }))
    }
}

/// On which of `benches` the actors of a subscription sit, always on the same. Multiples of the golden ratio: ids that lie a few
/// apart are spread evenly, or who makes subscriptions in pairs would have all of one kind on one thread.
fn seat_of(id: SubscriptionId, benches: usize) -> usize {
    let place = id.as_raw().unsigned_abs().wrapping_mul(0x9E37_79B9);
    usize::try_from((u64::from(place) * benches as u64) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_lie_a_few_apart_sit_evenly() {
        for (benches, apart, first) in (1..=4).flat_map(|n| (1..=12).flat_map(move |m| [(n, m, 1), (n, m, 4_711)])) {
            let mut seated = vec![0; benches];
            for number in 0..40 {
                seated[seat_of(SubscriptionId::from_raw(first + number * apart), benches)] += 1;
            }
            let (most, fair) = (seated.iter().max().copied().unwrap_or_default(), 40 / benches);
            assert!(most <= fair + fair / 2, "{apart} apart: {seated:?}");
        }
    }
}
