//! The truth: what was accepted, what is owed, what was attempted. The only SQL is in here.
//!
//! [`Store::run`] is the only door to blocking work: it takes a connection, runs one function on a blocking thread, and
//! runs it again when the database asks for that. Every function that goes through it is one transaction or one query.
//!
//! The store knows rows and domain values; it knows neither actors nor HTTP.

pub mod accept;
pub mod audit;
pub mod backlog;
mod blocking;
#[cfg(feature = "sqlite")]
pub mod checkpoint;
#[cfg(feature = "mysql")]
mod completing;
pub mod connection;
pub mod deliveries;
pub mod erase;
#[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "only a server can fail to answer"))]
mod errand;
pub mod error;
pub mod event_types;
pub mod events;
pub mod expiry;
pub mod import;
pub mod interventions;
mod keyring;
mod lease;
pub mod lists;
mod locked;
#[cfg(feature = "mysql")]
mod named_lock;
pub mod owing;
pub mod owners;
pub mod parking;
mod pool;
mod prepared;
pub mod prune;
pub mod record;
pub mod replays;
pub mod reseal;
pub mod rollups;
mod schema;
mod sealed;
pub mod subscriptions;
pub mod traces;
mod transaction;
mod values;
mod zero;

pub use connection::{AnyConnection, DatabaseUrl};
pub use error::StoreError;
pub use keyring::{BadKeys, Keyring};
pub use lease::Lease;
pub use pool::{Lane, Store};

/// What every function of the store gives back; `Store::run` looks at the error before its caller does.
pub type Queried<T> = Result<T, diesel::result::Error>;
