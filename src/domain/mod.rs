//! The pure core: what is owed to whom, when it may start, and what follows from an outcome.
//!
//! No I/O, no async, no clock, no randomness, no log: `now` and random draws are parameters. Everything here is tested in
//! microseconds, and everything that decides is here.

pub mod announcement;
pub mod attempt;
pub mod audit;
pub mod breaker;
pub mod catalogue;
pub mod delivery;
pub mod edits;
pub mod endpoint;
pub mod event;
pub mod event_type;
pub mod explain;
pub mod failing;
pub mod headers;
pub mod hold;
pub mod id;
pub mod intervention;
pub mod ordering;
pub mod owner;
pub mod queue;
pub mod reach;
pub mod replay;
pub mod retention;
pub mod retry;
pub mod rollup;
pub mod routing;
pub mod secret;
pub mod signature;
pub mod subscription;
pub mod time;
pub mod token;
pub mod trace;
