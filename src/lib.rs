//! Postrider delivers webhooks for order management systems: signed, retried, in order, and never lost.
//!
//! The modules stand in the order in which they may know each other: each one names only those above it.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod egress;
pub mod http;
pub mod metrics;
pub mod pages;
pub mod samples;
pub mod store;
