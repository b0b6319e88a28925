//! What another engine leaves behind: owners, subscriptions under the ids they have, and what is still owed.
//!
//! Each function takes a page and is one transaction, which reads what is there, decides row by row, and writes what is new.
//! A row that is there already stays as it is, so that running the same page again changes nothing. In a dry run the same
//! is read and decided, and nothing is written.
//!
//! A running engine does not learn of subscriptions that come in this way: its routing table is told by its own API only.
//! [`others_are_connected`] is what can be done about it.

mod deliveries;
mod others;
mod owners;
mod subscriptions;

pub use self::{
    deliveries::{DeliveryFate, IncomingDelivery, import_deliveries},
    others::others_are_connected,
    owners::{IncomingOwner, OwnerFate, TokenFate, import_owners},
    subscriptions::{IncomingSubscription, SubscriptionFate, import_subscriptions},
};
use super::{AnyConnection, Queried, transaction::in_transaction};

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Write,
    /// It is only told what would be written.
    DryRun,
}

impl Mode {
    fn run<T>(self, connection: &mut AnyConnection, work: impl FnOnce(&mut AnyConnection) -> Queried<T>) -> Queried<T> {
        match self {
            Self::Write => in_transaction(connection, work),
            Self::DryRun => work(connection),
        }
    }
}
