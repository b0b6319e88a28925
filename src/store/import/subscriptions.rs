//! Subscriptions from elsewhere, under the ids that they have there.

use diesel::result::Error as DieselError;

use super::Mode;
use crate::{
    domain::{
        id::SubscriptionId,
        owner::Scope,
        subscription::{Subscription, Terms},
        time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        owners::find_by_name,
        subscriptions::{get, insert_numbered, registered},
    },
};

/// A subscription from elsewhere.
#[derive(Clone, Debug)]
pub struct IncomingSubscription {
    /// Its id, there and here.
    pub id: SubscriptionId,
    /// The name of its owner.
    pub owner: String,
    /// What the owner decided.
    pub terms: Terms,
    /// When it was written first.
    pub created_at: Timestamp,
    /// When it was written last.
    pub modified_at: Timestamp,
}

/// What becomes of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionFate {
    /// It is new.
    New,
    /// It is here already: the same id, owner, event type and endpoint.
    Present,
    /// The id belongs to another subscription; nothing is written.
    IdTaken,
    /// The owner has this event type and endpoint under another id; nothing is written.
    Registered(SubscriptionId),
}

/// Brings subscriptions under their ids. One transaction.
///
/// # Errors
/// `NotFound` when an owner is not there, except in a dry run.
pub fn import_subscriptions(
    connection: &mut AnyConnection,
    incoming: &[IncomingSubscription],
    mode: Mode,
) -> Queried<Vec<SubscriptionFate>> {
    mode.run(connection, |connection| incoming.iter().map(|item| import_subscription(connection, item, mode)).collect())
}

fn import_subscription(
    connection: &mut AnyConnection,
    incoming: &IncomingSubscription,
    mode: Mode,
) -> Queried<SubscriptionFate> {
    let owner = find_by_name(connection, &incoming.owner)?;
    if let Some(present) = get(connection, Scope::All, incoming.id)? {
        let is_same = owner.is_some_and(|owner| owner.id == present.owner)
            && present.terms.target_url == incoming.terms.target_url
            && present.terms.event_type == incoming.terms.event_type;
        return Ok(if is_same { SubscriptionFate::Present } else { SubscriptionFate::IdTaken });
    }
    let owner = match (owner, mode) {
        (Some(owner), _) => owner.id,
        (None, Mode::DryRun) => return Ok(SubscriptionFate::New),
        (None, Mode::Write) => return Err(DieselError::NotFound),
    };
    if let Some(other) = registered(connection, owner, &incoming.terms)? {
        return Ok(SubscriptionFate::Registered(other.id));
    }
    if mode == Mode::Write {
        let subscription = Subscription {
            id: incoming.id,
            owner,
            version: 1,
            terms: incoming.terms.clone(),
            hold: None,
            created_at: incoming.created_at,
            modified_at: incoming.modified_at,
        };
        insert_numbered(connection, &subscription)?;
    }
    Ok(SubscriptionFate::New)
}
