//! What actors are given when they are made.

use std::time::Duration;

use actix::{Actor, Addr};

use super::{
    budget::Budget,
    failing_notes::FailingNotes,
    open_breakers::OpenBreakers,
    recorder::{Recorder, Waiting},
    router::Router,
    slots::Slots,
    tally::Tally,
    trickle::Trickles,
};
use crate::{clock::Clock, domain::breaker::BreakerSettings, metrics::Metrics, store::Store};

/// What every actor works with.
#[derive(Clone)]
pub struct Shared {
    /// The truth.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Bytes of payload in memory.
    pub budget: Budget,
    /// Attempts in flight.
    pub slots: Slots,
    /// When endpoints are tried that are not trusted.
    pub trickles: Trickles,
    /// Attempts that wait for their record.
    pub waiting: Waiting,
    /// Breakers that are open.
    pub open_breakers: OpenBreakers,
    /// What is counted.
    pub metrics: Metrics,
    /// How breakers behave.
    pub breaker: BreakerSettings,
    /// Since when endpoints fail, on the way to the store.
    pub failing_notes: FailingNotes,
    /// What became of attempts, added up.
    pub tally: Tally,
    /// How long an endpoint may fail before its subscription is paused; `None` for ever.
    pub pause_failing: Option<Duration>,
    /// Deliveries in memory, per subscription.
    pub window: usize,
}

/// What every subscription actor works with.
#[derive(Clone)]
pub(super) struct Colleagues {
    pub(super) shared: Shared,
    /// Writes attempts down.
    pub(super) recorder: Addr<Recorder>,
    /// Decides who runs.
    pub(super) router: Addr<Router>,
}

impl Colleagues {
    /// A new recorder on this thread, and `router`.
    pub(super) fn new(shared: Shared, router: Addr<Router>) -> Self {
        let Shared { store, clock, metrics, waiting, tally, .. } = shared.clone();
        waiting.reset();
        let recorder = Recorder::new(store, clock, metrics, waiting, tally).start();
        Self { shared, recorder, router }
    }
}
