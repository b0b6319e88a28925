//! Clears away what nobody needs any more, and carries out what takes long: on a timer, in small pages.
//!
//! Nothing here is in a hurry. After each page it pauses for several times as long as the page took: when the database has
//! much to do pages take longer, and the pauses grow with them.

mod erasing;
mod expiring;
mod pruning;

use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, WrapFuture};

use self::pruning::Walks;
use super::{router::Router, tally::Tally};
use crate::{
    clock::Clock,
    domain::{retention::Retention, time::Timestamp},
    store::{AnyConnection, Lane, Queried, Store, StoreError, accept::forget_keys, audit, rollups},
};

/// How soon an order to erase is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows of a small table that go in one transaction.
const ROWS_PER_PAGE: i64 = 500;
/// How long statistics are kept: as far back as anybody can ask, and some time to look.
const KEEP_ROLLUPS: Duration = Duration::from_hours(48);
/// How much longer than a page the pause after it is.
const PAUSE_FACTOR: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Janitor(Chores);

/// What the chores work with.
#[derive(Clone)]
struct Chores {
    store: Store,
    clock: Clock,
    router: Addr<Router>,
    tally: Tally,
    retention: Retention,
    every: Duration,
}

impl Janitor {
    /// A janitor who looks around `every` so often, and keeps what `retention` says.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Clock,
        router: Addr<Router>,
        tally: Tally,
        retention: Retention,
        every: Duration,
    ) -> Self {
        Self(Chores { store, clock, router, tally, retention, every })
    }
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(sweep(self.0.clone()).into_actor(self));
        ctx.spawn(carry_out(self.0.clone()).into_actor(self));
    }
}

/// Clears away what is outdated, again and again.
async fn sweep(chores: Chores) {
    let mut walks = Walks::new();
    loop {
        tokio::time::sleep(chores.every).await;
        told("statistics", chores.add_up().await);
        told("idempotency keys", chores.forget_keys().await);
        told("expired deliveries", chores.expire().await);
        told("the audit log", chores.prune_audit().await);
        told("outdated deliveries", chores.prune(&mut walks).await);
    }
}

/// Erases what somebody ordered to be erased, again and again.
async fn carry_out(chores: Chores) {
    loop {
        told("an order to erase", chores.erase().await);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What fails is tried again at the next look.
fn told(what: &str, result: Result<(), StoreError>) {
    match result {
        Ok(()) => {}
        Err(StoreError::Unavailable(error)) => {
            log::warn!(what, error = error.as_str(); "a chore waits for the database");
        }
        Err(error) => log::error!(what, error:% = error; "a chore cannot be done"),
    }
}

impl Chores {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs one page of work, then pauses.
    async fn page<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnMut(&mut AnyConnection) -> Queried<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let began_at = self.now();
        let done = self.store.run(lane, work).await;
        tokio::time::sleep((self.now().since(began_at) * PAUSE_FACTOR).min(LONGEST_PAUSE)).await;
        done
    }

    /// Writes statistics down, and forgets old ones.
    async fn add_up(&self) -> Result<(), StoreError> {
        self.tally.write(&self.store, &self.clock).await?;
        let before = self.now().before(KEEP_ROLLUPS);
        while self.page(Lane::Write, move |c| rollups::prune(c, before)).await? {}
        Ok(())
    }

    async fn forget_keys(&self) -> Result<(), StoreError> {
        let now = self.now();
        self.clear(move |c| forget_keys(c, now, ROWS_PER_PAGE)).await
    }

    async fn prune_audit(&self) -> Result<(), StoreError> {
        let Some(until) = self.retention.audit.until(self.now()) else { return Ok(()) };
        self.clear(move |c| audit::prune(c, until, ROWS_PER_PAGE)).await
    }

    /// Runs `page` again and again, until it clears away less than a page.
    async fn clear(
        &self,
        page: impl FnMut(&mut AnyConnection) -> Queried<usize> + Copy + Send + 'static,
    ) -> Result<(), StoreError> {
        loop {
            let cleared = self.page(Lane::Write, page).await?;
            if i64::try_from(cleared).is_ok_and(|cleared| cleared < ROWS_PER_PAGE) {
                return Ok(());
            }
        }
    }
}
