//! What the queue asks for, and what it is given.

use std::collections::HashSet;

use super::Owed;
use crate::domain::{
    breaker::Turn,
    id::DeliveryId,
    ordering::{KeyHash, Ordering},
    time::Timestamp,
};

/// What to do now.
#[derive(Debug)]
pub enum Step {
    /// Attempt this delivery.
    Start(Owed),
    /// Record that this delivery is too old to be attempted, as if an attempt of it had ended.
    Expire(Owed),
    /// Read a page from the store, then call [`super::Queue::page_read`] or [`super::Queue::read_failed`].
    Read(ReadOrder),
    /// Park these deliveries in the store, out of the way of other keys, then call [`super::Queue::parked`].
    Park(Vec<(DeliveryId, KeyHash)>),
    /// Put back whatever is parked, so that it counts as never parked, then call [`super::Queue::unparked`].
    Unpark,
    /// Reserve an instant for the next attempt among all endpoints that are doubted so, then call [`super::Queue::reserved`].
    Reserve(Doubt),
    /// Nothing, before something happens or, if given, this instant comes.
    Wait(Option<Timestamp>),
    /// Nothing at all: nothing is owed as far as the queue knows, or nothing may start.
    Idle,
}

/// Why an endpoint is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing is known of it yet, or it failed once after it had worked, or somebody looked after it since it failed.
    Unsure,
    /// It failed when it was tried for that.
    Failing,
}

/// Which endpoint an attempt that ended tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// The present one. What it means for the breaker.
    Present(Turn),
    /// One of before: it says nothing of the present one.
    Past,
}

/// Which page to read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadOrder {
    /// Deliveries to leave out: they are in memory.
    pub known: HashSet<DeliveryId>,
    /// At most so many that were never attempted as far as the store knows, oldest first; 0 when all of these are in memory.
    pub fresh: usize,
    /// At most so many whose retry is due, longest due first.
    pub due: usize,
    /// Whether to find out which keys are taken and parked.
    pub keys: bool,
    /// What the keys mean.
    pub ordering: Ordering,
    /// Keys whose parked deliveries to read, lowest id first.
    pub heads: Vec<KeyHash>,
}

/// A page of what is owed.
#[derive(Debug, Default)]
pub struct Page {
    /// Never attempted, in the order of acceptance.
    pub fresh: Vec<Owed>,
    /// Due for a retry, longest due first.
    pub due: Vec<Owed>,
    /// Whether the store holds more that was never attempted.
    pub more_fresh: bool,
    /// When the earliest retry that is not on this page is due; an instant in the past when more are due already.
    pub next_due: Option<Timestamp>,
    /// The keys, when they were asked for.
    pub keys: Option<KeysFound>,
    /// The parked deliveries of each key that was asked for.
    pub heads: Vec<Head>,
}

/// What the store says about keys.
#[derive(Debug, Default)]
pub struct KeysFound {
    /// Deliveries that wait for a retry, and their keys; none for a subscription without order.
    pub waiting: Vec<(KeyHash, DeliveryId)>,
    /// Keys with parked deliveries, each with the lowest id of these.
    pub parked: Vec<(KeyHash, DeliveryId)>,
}

/// The first parked deliveries of a key.
#[derive(Debug)]
pub struct Head {
    /// The key.
    pub key: KeyHash,
    /// Lowest id first.
    pub owed: Vec<Owed>,
    /// Whether there are more behind them.
    pub more: bool,
}
