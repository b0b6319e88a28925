//! Moves replays on, step by step, each at its own pace.
//!
//! An order is a row, and so is how far it has come. The replayer looks for rows; whatever it was doing when it died, the
//! next one goes on after the last step that was committed.

use std::{collections::HashSet, time::Duration};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};

use super::{
    mail::tell,
    router::{OwedAgain, Router},
};
use crate::{
    clock::Clock,
    domain::id::{ReplayId, SubscriptionId},
    store::{
        Lane, Store, StoreError,
        replays::{Moved, move_on, running},
    },
};

/// How soon an order is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Replays at work at once; the others wait for their turn.
const MAX_AT_WORK: i64 = 100;
/// The wait after the database did not do a step.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The same when a person has to look first.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// See the module.
pub struct Replayer {
    store: Store,
    clock: Clock,
    router: Addr<Router>,
    at_work: HashSet<ReplayId>,
}

impl Replayer {
    /// A replayer that wakes subscriptions through `router`.
    #[must_use]
    pub fn new(store: Store, clock: Clock, router: Addr<Router>) -> Self {
        Self { store, clock, router, at_work: HashSet::new() }
    }
}

impl Actor for Replayer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Look);
        ctx.run_interval(LOOK_EVERY, |_, ctx| ctx.notify(Look));
    }
}

/// Ask the store which replays run.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

impl Handler<Look> for Replayer {
    type Result = ();

    fn handle(&mut self, Look: Look, ctx: &mut Self::Context) {
        let (store, me) = (self.store.clone(), ctx.address());
        actix::spawn(async move {
            match store.run(Lane::Read, |connection| running(connection, MAX_AT_WORK)).await {
                Ok(found) => tell(&me, Running(found)),
                Err(error) => log::warn!(error:% = error; "which replays run could not be read, trying again"),
            }
        });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Running(Vec<(ReplayId, SubscriptionId)>);

impl Handler<Running> for Replayer {
    type Result = ();

    fn handle(&mut self, Running(found): Running, ctx: &mut Self::Context) {
        for (id, subscription) in found {
            if self.at_work.insert(id) {
                let replay = run(id, subscription, self.store.clone(), self.clock.clone(), self.router.clone());
                // Ends with this actor, or the replays of the next one would run at twice their pace.
                ctx.spawn(replay.into_actor(self).map(move |(), replayer, _| {
                    replayer.at_work.remove(&id);
                }));
            }
        }
    }
}

/// Moves one replay on until it ends. The subscription hears of each step that put deliveries back or may have done so, and of the
/// end: a step whose answer was lost, and which was run again, may have put nothing more back.
async fn run(id: ReplayId, subscription: SubscriptionId, store: Store, clock: Clock, router: Addr<Router>) {
    let look_again = || tell(&router, OwedAgain(subscription));
    loop {
        let began_at = clock.now();
        let pause = match store.run(Lane::Write, move |connection| move_on(connection, id, began_at)).await {
            Ok(Moved::On { replay, replayed }) => {
                if replayed > 0 {
                    look_again();
                }
                let took = clock.now().since(began_at);
                replay.pause_after(replayed, took).saturating_sub(took)
            }
            Ok(Moved::Ended) => {
                log::info!(replay = id.as_raw(); "a replay ended");
                return look_again();
            }
            Err(error @ StoreError::Unavailable(_)) => {
                log::warn!(replay = id.as_raw(), error:% = error; "a replay waits for the database");
                look_again();
                STORE_PAUSE
            }
            Err(error) => {
                log::error!(replay = id.as_raw(), error:% = error; "a replay cannot go on");
                REFUSED_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}
