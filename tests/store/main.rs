//! The store on SQLite and on MariaDB: the same tests, through the functions that the engine calls.

#[path = "../support/mod.rs"]
mod support;

mod accepting;
mod auditing;
mod checkpointing;
mod compiled;
mod erasing;
mod expiring;
mod full_disk;
mod holding;
mod importing;
mod intervening;
mod keys;
mod leasing;
mod listing;
mod listing_plans;
mod lists;
mod owing;
mod owners;
mod pages;
mod parking;
mod plans;
mod pruning;
mod recording;
mod replaying;
mod rollups;
mod round_trips;
mod scene;
mod schema;
mod sealing;
mod sql;
mod subscriptions;
mod sweeping_plans;
mod traces;
mod trouble;
