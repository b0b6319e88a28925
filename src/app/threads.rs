//! The threads: how many, what they are called, who comes first.

use std::{ffi::CString, num::NonZeroUsize, thread::available_parallelism};

use tokio::runtime::{Builder, Runtime};

/// The thread of attempts at endpoints that are not known to work.
pub(super) const BACKGROUND: &str = "delivery-unsure";
/// Its priority: while others are busy it gets a tenth of what one of them gets.
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

/// Makes this thread [`BACKGROUND`], which lets others have the processors first.
pub(super) fn be_in_the_background() {
    name_thread(BACKGROUND);
    // Where that is not allowed it works with the others.
    rustix::process::setpriority_process(None, NICE).ok();
}

/// How many threads a setting asks for; by default one for each core.
pub(super) fn threads(setting: Option<NonZeroUsize>) -> usize {
    setting.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}
