//! Postrider.

pub mod domain;
pub mod store;
