//! End to end: the promises, through real sockets, a real receiver and the real binary, on both databases.

#[path = "../support/mod.rs"]
mod support;

mod load;
mod scene;

mod contract;
mod crash;
#[cfg(feature = "mysql")]
mod database_away;
mod delivering;
mod egress;
mod hold;
mod ingest;
mod isolation;
mod replay;
mod retention;
mod retry;
mod shutdown;
mod signatures;
mod sink;
mod windows;
