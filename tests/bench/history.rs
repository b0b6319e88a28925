//! What grows with the past: the same load on an empty database, and on one that remembers millions of deliveries.

use std::time::Duration;

use postrider::clock::Clock;

use super::load::{Load, TYPE};
use crate::support::{database::Database, past::Past};

const EVENTS: usize = 50_000;
/// Deliveries of each event of the past, one to each subscription.
const FAN_OUT: usize = 10;
/// What the first subscription is owed at the start.
pub(crate) const OWED: usize = 1_000;
/// How long ago the past ends.
const AGO: Duration = Duration::from_mins(1);

pub(crate) const fn loads(deliveries: usize) -> [Load; 2] {
    [behind("nothing before", 0), behind("a long past", deliveries)]
}

const fn behind(name: &'static str, past: usize) -> Load {
    Load { name, events: EVENTS, rate: None, fan_out: 1, endpoints: 1, others: FAN_OUT - 1, past }
}

/// Writes that so many deliveries were made to these ten subscriptions, and that the first is still owed [`OWED`].
pub(crate) fn write(database: &Database, subscriptions: &[i64], deliveries: usize) {
    let end = Clock::system().now().before(AGO);
    Past::new(TYPE, deliveries / FAN_OUT, OWED, end).write(database, subscriptions);
}
