//! Subscriptions from elsewhere, under the ids that they have there.

use diesel::{OptionalExtension, result::Error as DieselError};

use super::Mode;
use crate::{
    domain::{id::SubscriptionId, subscription::Terms, time::Timestamp},
    store::{
        AnyConnection, Keyring, Queried,
        owners::find_by_name,
        sealed::Place,
        subscriptions::{
            numbered::{insert_numbered, registration_of},
            registered,
        },
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

/// Brings subscriptions under their ids, their secrets sealed with `keys`. One transaction.
///
/// # Errors
/// `NotFound` when an owner is not there, except in a dry run.
pub fn import_subscriptions(
    connection: &mut AnyConnection,
    keys: &Keyring,
    incoming: &[IncomingSubscription],
    mode: Mode,
) -> Queried<Vec<SubscriptionFate>> {
    mode.run(connection, |connection| {
        incoming.iter().map(|item| import_subscription(connection, keys, item, mode)).collect()
    })
}

fn import_subscription(
    connection: &mut AnyConnection,
    keys: &Keyring,
    incoming: &IncomingSubscription,
    mode: Mode,
) -> Queried<SubscriptionFate> {
    let (id, terms) = (incoming.id, &incoming.terms);
    let owner = find_by_name(connection, &incoming.owner)?.map(|owner| owner.id);
    if let Some((present_owner, target_url, event_type)) = registration_of(connection, id)? {
        let is_same =
            owner == Some(present_owner) && target_url == terms.target_url && event_type == terms.event_type.as_str();
        return Ok(if is_same { SubscriptionFate::Present } else { SubscriptionFate::IdTaken });
    }
    let owner = match (owner, mode) {
        (Some(owner), _) => owner,
        (None, Mode::DryRun) => return Ok(SubscriptionFate::New),
        (None, Mode::Write) => return Err(DieselError::NotFound),
    };
    if let Some(other) = registered(connection, owner, terms).optional()? {
        return Ok(SubscriptionFate::Registered(other));
    }
    if mode == Mode::Write {
        let place = Place { owner, id };
        insert_numbered(connection, keys, place, terms, incoming.created_at, incoming.modified_at)?;
    }
    Ok(SubscriptionFate::New)
}
