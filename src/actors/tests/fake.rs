//! A deliverer without a network.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix::{Actor, ActorContext, ArbiterHandle, Context, Handler, Message, Recipient};
use bytes::Bytes;

use crate::{
    actors::{
        deliverer::{Attempt, Report},
        mail::tell,
        recorder::Recorder,
        replayer::Replayer,
        router::Router,
        scribe::Scribe,
        subscription::SubscriptionActor,
    },
    clock::Clock,
    domain::{
        attempt::{Answer, Outcome},
        id::DeliveryId,
        queue::Owed,
        time::Timestamp,
        trace::Trace,
    },
    egress::Sent,
};

/// How the panics of these tests begin.
pub(super) const ON_PURPOSE: &str = "on purpose";

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// The endpoint answers with this status at once.
    Answer(u16),
    /// The same after a while.
    Slow(Duration, u16),
    /// The endpoint answers 503 and asks for this wait.
    AskToWait(Duration),
    /// The task that makes the attempt dies.
    LoseTheAttempt,
    /// The deliverer dies, with this attempt and all that it was making.
    KillTheDeliverer,
    /// The subscription actor dies while the endpoint answers 200.
    KillTheSubscription,
    /// The recorder dies while the endpoint answers 200.
    KillTheRecorder,
    /// The scribe of the arbiter dies while the endpoint answers 200.
    KillTheScribe,
}

/// An attempt as the endpoint saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) delivery: DeliveryId,
    pub(super) at: Timestamp,
    /// By the first deliverer that was started: the one for endpoints that are known to work.
    pub(super) is_trusted: bool,
}

type Rule = Box<dyn FnMut(&Owed) -> Deed + Send>;

/// Decides, and remembers. It outlives the deliverers that die.
#[derive(Clone)]
pub(super) struct Endpoint(Arc<Mutex<State>>);

struct State {
    rule: Rule,
    seen: Vec<Seen>,
    has_deliverer: bool,
}

impl Endpoint {
    /// An endpoint where `rule` decides about each attempt.
    pub(super) fn new(rule: impl FnMut(&Owed) -> Deed + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(State { rule: Box::new(rule), seen: Vec::new(), has_deliverer: false })))
    }

    /// Everything that was attempted so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    fn decide(&self, owed: &Owed, at: Timestamp, is_trusted: bool) -> Deed {
        let mut state = self.state();
        let deed = (state.rule)(owed);
        state.seen.push(Seen { delivery: owed.id, at, is_trusted });
        deed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a deliverer that asks this endpoint.
    pub(super) fn start_deliverer(&self, arbiter: &ArbiterHandle, clock: &Clock) -> Recipient<Attempt> {
        let is_first = !std::mem::replace(&mut self.state().has_deliverer, true);
        let (endpoint, clock) = (self.clone(), clock.clone());
        let fake = FakeDeliverer { endpoint, clock, is_first, under_way: Vec::new() };
        FakeDeliverer::start_in_arbiter(arbiter, move |_| fake).recipient()
    }
}

struct FakeDeliverer {
    endpoint: Endpoint,
    clock: Clock,
    is_first: bool,
    /// Slow attempts, which die with the deliverer.
    under_way: Vec<tokio::task::JoinHandle<()>>,
}

impl Actor for FakeDeliverer {
    type Context = Context<Self>;
}

impl Drop for FakeDeliverer {
    fn drop(&mut self) {
        self.under_way.drain(..).for_each(|attempt| attempt.abort());
    }
}

impl Handler<Attempt> for FakeDeliverer {
    type Result = ();

    fn handle(&mut self, Attempt { owed, report, .. }: Attempt, _: &mut Self::Context) {
        let started_at = self.clock.now();
        match self.endpoint.decide(&owed, started_at, self.is_first) {
            Deed::Answer(status) => answer(report, started_at, Duration::ZERO, status, None),
            Deed::AskToWait(wait) => answer(report, started_at, Duration::ZERO, 503, Some(wait)),
            Deed::Slow(wait, status) => {
                self.under_way.retain(|attempt| !attempt.is_finished());
                self.under_way.push(actix::spawn(async move {
                    tokio::time::sleep(wait).await;
                    answer(report, started_at, wait, status, None);
                }));
            }
            Deed::LoseTheAttempt => drop(report),
            Deed::KillTheDeliverer => panic!("{ON_PURPOSE}: the deliverer dies"),
            Deed::KillTheSubscription => {
                tell(&report.to.owner, Die);
                answer(report, started_at, Duration::ZERO, 200, None);
            }
            Deed::KillTheRecorder => {
                tell(&report.to.owner, KillYourRecorder);
                answer(report, started_at, Duration::ZERO, 200, None);
            }
            Deed::KillTheScribe => {
                tell(&report.to.owner, KillYourScribe);
                answer(report, started_at, Duration::ZERO, 200, None);
            }
        }
    }
}

fn answer(report: Report, started_at: Timestamp, duration: Duration, status: u16, retry_after: Option<Duration>) {
    let answer = Answer { status, retry_after, content_type: None, body: Bytes::new() };
    report.end(started_at, duration, Sent { outcome: Outcome::Answered(answer), trace: Trace::default() });
}

/// What a bug would do: the actor panics in the middle of a message.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Die;

impl Handler<Die> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, Die: Die, _: &mut Self::Context) {
        panic!("{ON_PURPOSE}: a subscription actor dies");
    }
}

impl Handler<Die> for Recorder {
    type Result = ();

    fn handle(&mut self, Die: Die, _: &mut Self::Context) {
        panic!("{ON_PURPOSE}: the recorder dies");
    }
}

impl Handler<Die> for Replayer {
    type Result = ();

    fn handle(&mut self, Die: Die, _: &mut Self::Context) {
        panic!("{ON_PURPOSE}: the replayer dies");
    }
}

/// As when the process is killed: everybody goes.
impl Handler<Die> for Router {
    type Result = ();

    fn handle(&mut self, Die: Die, ctx: &mut Self::Context) {
        self.roster.dismiss();
        tell(&self.with.recorder, Die);
        ctx.terminate();
    }
}

impl Handler<Die> for Scribe {
    type Result = ();

    fn handle(&mut self, Die: Die, _: &mut Self::Context) {
        panic!("{ON_PURPOSE}: a scribe dies");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct KillYourScribe;

impl Handler<KillYourScribe> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, KillYourScribe: KillYourScribe, _: &mut Self::Context) {
        tell(&self.scribe, Die);
    }
}

/// Only a subscription actor knows where the recorder is.
#[derive(Message)]
#[rtype(result = "()")]
struct KillYourRecorder;

impl Handler<KillYourRecorder> for SubscriptionActor {
    type Result = ();

    fn handle(&mut self, KillYourRecorder: KillYourRecorder, _: &mut Self::Context) {
        tell(&self.with.recorder, Die);
    }
}
