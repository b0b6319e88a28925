//! Work that blocks, on threads that may.

use std::time::Duration;

use super::StoreError;

/// Runs `work` on a thread of its own; a panic there becomes an error here.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|panic| Err(StoreError::Corrupt(format!("work on the database panicked: {panic}"))))
}

/// Waits on such a thread.
#[expect(clippy::disallowed_methods, reason = "this is a blocking thread of its own, no arbiter")]
pub(super) fn pause(wait: Duration) {
    std::thread::sleep(wait);
}
