//! What the test rings share: databases, a scripted receiver, the real binary, and waiting without sleeping.
//!
//! Each ring is one crate that takes this folder in by path, and none uses all of it. Nothing here outlives its test:
//! programs that a test starts are ended by [`warden`] also when the test is killed.

#![allow(dead_code, unused_imports, unused_macros, reason = "each ring uses its own part")]
#![allow(unreachable_pub, reason = "the rings are crates without dependents")]
#![allow(clippy::disallowed_methods, reason = "tests run in real time and read their own environment")]
#![allow(clippy::print_stderr, reason = "a failing test tells what it saw")]

pub mod api;
#[cfg(all(feature = "mysql", feature = "sqlite"))]
pub mod bed;
pub mod browser;
#[cfg(feature = "mysql")]
pub mod cable;
pub mod database;
pub mod engine;
pub mod eventually;
#[cfg(feature = "mysql")]
pub mod mariadb;
#[cfg(all(feature = "mysql", feature = "sqlite"))]
pub mod past;
pub mod port;
pub mod process;
pub mod python;
pub mod sink;
pub mod waits;
pub mod warden;
