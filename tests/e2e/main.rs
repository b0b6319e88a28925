//! End to end: the promises, through real sockets, a real receiver and the real binary, on both databases.

#[path = "../support/mod.rs"]
mod support;

mod load;
mod scene;

mod crash;
mod delivering;
mod sink;
