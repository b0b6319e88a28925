//! The threads: how many, what they are called, who comes first.

use std::{ffi::CString, num::NonZeroUsize, thread::available_parallelism};

use actix_rt::Arbiter;
use tokio::runtime::{Builder, Runtime};

use crate::{actors::lag::watch_lag, metrics::Metrics};

/// The priority of what comes after everything else: of a busy processor it gets a tenth of what another thread gets.
const NICE: i32 = 10;

/// The event loop of one thread. The threads beside it on which queries wait are called `store`.
///
/// # Panics
/// When the system gives no event loop: nothing works then.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().thread_name("store").build().expect("the system gives an event loop")
}

/// Calls this thread by what it does, for `top -H`; the system keeps 15 characters.
pub(super) fn name_thread(name: &str) {
    // A thread without a name works as well.
    CString::new(name).ok().and_then(|name| rustix::thread::set_name(&name).ok());
}

/// Starts `count` threads for subscriptions and for attempts at endpoints that are known to work, and half as many for attempts
/// at all others, behind whatever else the processors have to do.
pub(super) fn delivering(count: usize, metrics: &Metrics) -> (Vec<Arbiter>, Vec<Arbiter>) {
    let start = |name: String, priority: Option<i32>| {
        let arbiter = Arbiter::with_tokio_rt(runtime);
        arbiter.spawn(watch_lag(metrics.lag_of(&name)));
        arbiter.spawn_fn(move || {
            name_thread(&name);
            // Where that is not allowed it works with the others.
            priority.map(|nice| rustix::process::setpriority_process(None, nice).ok());
        });
        arbiter
    };
    let foreground = (0..count).map(|number| start(format!("delivery-{number}"), None));
    let background = (0..count.div_ceil(2)).map(|number| start(format!("unproven-{number}"), Some(NICE)));
    (foreground.collect(), background.collect())
}

/// How many threads a setting asks for; by default one for each core.
pub(super) fn threads(setting: Option<NonZeroUsize>) -> usize {
    setting.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}
