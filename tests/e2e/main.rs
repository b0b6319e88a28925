//! End to end: the promises, through real sockets, a real receiver and the real binary, on both databases.

#![allow(clippy::disallowed_methods, reason = "end to end, time is real")]
#![allow(clippy::print_stdout, reason = "figures and seeds")]

#[path = "../support/mod.rs"]
mod support;

mod load;
mod scene;

mod audit;
mod blocked;
mod bulk_holds;
#[cfg(feature = "sqlite")]
mod checkpointing;
mod crash;
#[cfg(feature = "mysql")]
mod database_away;
mod delivering;
mod egress;
mod event_types;
mod events;
mod exhaustion;
mod explaining;
mod hold;
mod import;
mod ingest;
mod isolation;
mod metrics;
mod news;
mod ordering;
mod pages;
mod registration;
mod replay;
mod retention;
mod retry;
mod secrets;
mod shutdown;
mod signatures;
mod sink;
mod standing_by;
mod stats;
mod traces;
mod windows;
