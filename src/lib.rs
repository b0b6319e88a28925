//! Postrider.

pub mod domain;
