//! *accept*: durable, all or nothing.
use crate::support::database::{Database, on_both};

on_both! { the_tables_are_made }

async fn the_tables_are_made(database: Database) {
    let store = database.store().await;
    assert!(store.migrate().await.expect("a second run").is_empty());
}
