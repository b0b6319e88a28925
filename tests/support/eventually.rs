//! The only way in which a test waits: for something to become true, until a deadline, telling what it saw last.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Between two looks. Short, so that a test ends soon after what it waits for; long enough not to load what it watches.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it wants, and gives that back. `what` completes the sentence "waited for …".
///
/// # Panics
/// After `deadline`, with the last thing that `look` saw.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, deadline: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > deadline => give_up(what, deadline, &seen),
            Err(_) => std::thread::sleep(BETWEEN_LOOKS),
        }
    }
}

/// [`eventually`] for tests that run in a runtime.
///
/// # Panics
/// After `deadline`, with the last thing that `look` saw.
pub async fn eventually_async<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > deadline => give_up(what, deadline, &seen),
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// Looks for the whole of `duration` at something that must not change: `what` completes the sentence "it stays so that …".
///
/// # Panics
/// As soon as `look` sees something else, with that.
#[track_caller]
pub fn throughout<E: Display>(what: &str, duration: Duration, mut look: impl FnMut() -> Result<(), E>) {
    let start = Instant::now();
    while start.elapsed() < duration {
        if let Err(seen) = look() {
            panic!("after {:?} it is no longer so that {what}: {seen}", start.elapsed());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Lets `duration` pass, for what has to happen at a moment that nothing announces.
pub fn pass(duration: Duration) {
    std::thread::sleep(duration);
}

#[track_caller]
fn give_up(what: &str, deadline: Duration, seen: &dyn Display) -> ! {
    panic!("waited {deadline:?} for {what}; last seen: {seen}");
}
