//! Clears away what nobody needs any more, on a timer.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context};

use crate::{
    clock::Clock,
    store::{Lane, Store, accept::forget_keys},
};

/// How often to look.
const EVERY: Duration = Duration::from_mins(1);
/// Keys forgotten in one transaction.
const PAGE: i64 = 500;

/// Forgets idempotency keys that have run out.
pub struct Janitor {
    store: Store,
    clock: Clock,
}

impl Janitor {
    /// A janitor for `store`.
    #[must_use]
    pub const fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(EVERY, |janitor, _| {
            let (store, now) = (janitor.store.clone(), janitor.clock.now());
            actix::spawn(async move {
                let work = move |connection: &mut _| forget_keys(connection, now, PAGE);
                match store.run(Lane::Write, work).await {
                    Ok(0) => {}
                    Ok(forgotten) => log::debug!(forgotten; "idempotency keys ran out"),
                    Err(error) => log::warn!(error:% = error; "idempotency keys could not be cleared"),
                }
            });
        });
    }
}
