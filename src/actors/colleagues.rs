//! What actors are given when they are made.

use std::time::Duration;

use actix::{Actor, Addr};

use super::{
    budget::Budget,
    recorder::{Recorder, Waiting},
    router::Router,
    slots::Slots,
    tally::Tally,
};
use crate::{clock::Clock, domain::breaker::BreakerSettings, store::Store};

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
    /// How breakers behave.
    pub breaker: BreakerSettings,
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
    /// How many wait there.
    pub(super) waiting: Waiting,
    /// Decides who runs.
    pub(super) router: Addr<Router>,
}

impl Colleagues {
    /// A new recorder on this thread, and `router`.
    pub(super) fn new(shared: Shared, router: Addr<Router>) -> Self {
        let waiting = Waiting::default();
        let recorder =
            Recorder::new(shared.store.clone(), shared.clock.clone(), waiting.clone(), shared.tally.clone()).start();
        Self { shared, recorder, waiting, router }
    }
}
