//! What the engine reads before it begins.

use std::sync::Arc;

use crate::{
    actors::relearning::page_after,
    clock::Clock,
    domain::{
        id::SubscriptionId,
        owner::{Role, Standing},
        routing::RoutingTable,
        secret::Secret,
        token::token_digest,
    },
    http::Catalogue,
    store::{Lane, Store, StoreError, accept::last_minted, owners},
};

/// The owner who is there from the start.
const ADMIN: &str = "admin";

/// See the module.
pub(super) struct Known {
    pub(super) catalogue: Catalogue,
    pub(super) table: RoutingTable,
    /// The greatest id in the store.
    pub(super) last_stored: i64,
    /// The token that was generated is the one of the administrator.
    is_new: bool,
}

impl Known {
    /// Reads it, once it is sure that somebody can administrate: with the token `given`, or with the one `generated` for a new
    /// database. May be asked again after an error.
    pub(super) async fn read(
        store: &Store,
        clock: &Clock,
        given: Option<&Secret>,
        generated: &Secret,
    ) -> Result<Self, StoreError> {
        let is_new = ensure_admin(store, clock, given, generated).await?;
        Ok(Self {
            is_new,
            catalogue: Catalogue::load(store).await?,
            table: routing_table(store).await?,
            last_stored: store.run(Lane::Read, last_minted).await?,
        })
    }

    /// Shows the token of a new administrator. Not through the log, which may be kept and read by others.
    #[expect(clippy::print_stderr, reason = "this is the one moment at which the token is shown")]
    pub(super) fn announce(&self, generated: &Secret) {
        if self.is_new {
            let token = generated.reveal();
            eprintln!("\nThe owner \"{ADMIN}\" was added. This token is shown only once:\n\n    {token}\n");
        }
    }
}

/// The one who administrates has the token `given`. Without it, that of a new database has the one `generated`: gives whether that
/// is so.
async fn ensure_admin(
    store: &Store,
    clock: &Clock,
    given: Option<&Secret>,
    generated: &Secret,
) -> Result<bool, StoreError> {
    let digest = token_digest(given.unwrap_or(generated).reveal());
    let (now, is_given) = (clock.now(), given.is_some());
    let work = move |connection: &mut _| {
        let added = match owners::find_by_name(connection, ADMIN)? {
            None => Some(owners::add_owner(connection, ADMIN, Role::Admin, Standing::Active, &digest, now)?),
            Some(_) if is_given && owners::find_by_token(connection, &digest)?.is_none() => {
                Some(owners::add_token(connection, ADMIN, &digest, now)?)
            }
            Some(_) => None,
        };
        Ok((added, owners::find_by_token(connection, &digest)?.is_some()))
    };
    let (added, is_there) = store.run(Lane::Write, work).await?;
    if let Some(owners::Added::NameTaken | owners::Added::TokenTaken) = added {
        log::warn!("the admin token belongs to another owner, who keeps it");
    }
    // Added just now, or by a run before whose answer was lost.
    Ok(is_there && !is_given)
}

async fn routing_table(store: &Store) -> Result<RoutingTable, StoreError> {
    let mut table = RoutingTable::default();
    let mut after = SubscriptionId::from_raw(0);
    loop {
        let page = page_after(store, after).await?;
        let Some(last) = page.last() else { return Ok(table) };
        after = last.id;
        for subscription in page {
            table.put(Arc::new(subscription));
        }
    }
}
