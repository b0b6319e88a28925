//! What the tests of the contract that are written out begin with.

use std::process::Command;

use serde_json::json;

use crate::{
    client::Client,
    support::{database::Database, engine::Engine},
};

/// Adds an owner to the database of a running engine; gives the token.
pub(crate) fn add_owner(database: &Database, name: &str, options: &[&str]) -> String {
    let token = name.repeat(40 / name.len());
    let status = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["user", "add", name, "--token", &token])
        .args(options)
        .env("DATABASE_URL", database.url())
        .output()
        .expect("cargo has built the binary");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    token
}

/// An engine and a client with the admin's token.
pub(crate) fn start(database: &Database, settings: &[(&str, &str)]) -> (Engine, Client) {
    let engine = Engine::start(&database.url(), settings);
    let admin = Client::new(engine.base(), "token-of-the-tests");
    (engine, admin)
}

/// A hook of this path on a port where nobody listens.
pub(crate) fn hook(path: &str) -> serde_json::Value {
    json!({
        "event_type": "package.created",
        "target_url": format!("http://127.0.0.1:9/{path}"),
        "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 3600}},
    })
}
