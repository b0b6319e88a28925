//! The contract, held against the real binary on both databases: the recorded cases, which are data in `cases/`, and
//! beside them what a recording does not show.

#![allow(clippy::disallowed_methods, reason = "end to end, time is real")]
#![allow(clippy::print_stderr, reason = "a failing test tells what it saw")]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod recorded;
mod scene;

mod fuzz;
mod hooks;
mod lists;
mod retries;
mod routes;
mod timings;
