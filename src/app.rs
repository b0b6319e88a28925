//! Composition root: who is built with whom.

use crate::config::ServeSettings;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[error("this build has no engine yet")]
pub struct StartError;

/// Runs the engine until SIGTERM or SIGINT, and returns when what was in flight is recorded.
///
/// # Errors
/// [`StartError`] when it could not start.
#[expect(clippy::unused_async, reason = "a stand-in for the engine")]
pub async fn serve(_settings: ServeSettings) -> Result<(), StartError> {
    Err(StartError)
}
