//! The contract's HTTP interface: the routes, names and error bodies of dj-whisperer, which integrators already speak.
//!
//! Nothing outside of this module knows them. It translates: hooks are subscriptions, `hook_events` are deliveries with at
//! least one attempt, `event_queues` are deliveries that wait for their first.

mod answer;
mod dates;
mod errors;
mod fields;
mod filters;
mod format;
mod json;
mod objects;
mod query;
mod retry_config;
mod route;
mod rules;
mod text;
mod webhook;
