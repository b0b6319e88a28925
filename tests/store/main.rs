//! The store on SQLite and on MariaDB: the same tests, through the functions that the engine calls.

#[path = "../support/mod.rs"]
mod support;

mod accepting;
mod full_disk;
mod importing;
mod keys;
mod listing;
mod lists;
mod owners;
mod pages;
mod plans;
mod recording;
mod scene;
mod schema;
mod sql;
mod subscriptions;
mod trouble;
