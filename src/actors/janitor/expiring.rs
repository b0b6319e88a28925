//! Deliveries that are older than their subscription allows, and whose turn does not come: see `store::expiry`.

use super::Chores;
use crate::store::StoreError;

impl Chores {
    #[expect(clippy::unused_async, reason = "there is no maximum age yet")]
    pub(super) async fn expire(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
