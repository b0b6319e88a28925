//! HTTP.

pub mod whisperer;
