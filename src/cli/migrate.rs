//! `postrider migrate`: brings the tables up to this version, without serving.

use super::{CliError, terminal::Terminal};
use crate::{
    config::DatabaseSettings,
    store::{Keyring, Store},
};

/// Says which migrations ran.
pub(super) async fn run(settings: DatabaseSettings, terminal: &mut Terminal) -> Result<(), CliError> {
    let ran = Store::new(settings.database_url, Keyring::default()).migrate().await?;
    for name in &ran {
        terminal.line(format_args!("ran {name}"))?;
    }
    let summary = match ran.len() {
        0 => "the database was up to date".to_owned(),
        1 => "the database is up to date: 1 migration ran".to_owned(),
        count => format!("the database is up to date: {count} migrations ran"),
    };
    Ok(terminal.line(summary)?)
}
