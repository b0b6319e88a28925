//! Where the egress guard would refuse to go is refused when it is written, so that somebody notices.

use std::time::Duration;

use super::State;
use crate::domain::endpoint::Endpoint;

/// How long to wait for a name's addresses. One that takes longer passes, like one that has none: it is checked again at
/// every attempt.
const NAME_TIMEOUT: Duration = Duration::from_secs(3);

/// Why webhooks may not go to `endpoint`, in a sentence; `None` when they may, as far as can be told now.
pub(crate) async fn refused_address(state: &State, endpoint: &Endpoint) -> Option<String> {
    match tokio::time::timeout(NAME_TIMEOUT, state.guard.check(endpoint)).await {
        Ok(Err(refusal)) => Some(refusal.to_string()),
        Ok(Ok(())) | Err(_) => None,
    }
}
