//! Work that blocks, on threads that may.

use super::StoreError;

/// Runs `work` on a thread of its own; a panic there becomes an error here.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|panic| Err(StoreError::Corrupt(format!("a query panicked: {panic}"))))
}
