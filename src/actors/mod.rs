//! The actors: they translate messages into calls of the pure core and carry out what it says.
//!
//! ```text
//! http ──Accept──▶ Router ──Offer──▶ Subscription ──Attempt──▶ Deliverer
//!                                        ▲    ▲                    │
//!                                        │    └─────Attempted──────┘
//!                                        └─Recorded── Recorder ◀── Scribe ◀──Record── (Subscription)
//! ```
//!
//! Every actor may lose everything it has: what matters is in the store, and a new actor reads it there. Work is bounded by
//! windows, slots and budgets, never by mailboxes.

pub mod admission;
pub mod announcing;
pub mod budget;
pub mod colleagues;
pub mod deliverer;
pub mod door;
pub mod erasing;
pub mod failing_notes;
pub mod gauges;
pub mod intake;
pub mod janitor;
mod known_heads;
pub mod lag;
mod mail;
pub mod open_breakers;
pub mod pigeonhole;
pub mod recorder;
pub mod relearning;
pub mod replayer;
pub mod roster;
pub mod router;
pub mod scribe;
pub mod slots;
pub mod subscription;
mod sweeping;
pub mod tally;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
pub mod trickle;
pub mod withdrawal;

pub use mail::tell;
