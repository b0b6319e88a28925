//! What a person does at the desk of a running engine: look, pause, resume, attempt again.
//!
//! All of it goes through the native HTTP API, as the user whose token is given; the database is never opened.

mod answers;
mod followed;
pub(super) mod holds;
mod moment;
pub(super) mod redeliver;
pub(super) mod replay;
pub(super) mod status;
pub(super) mod subscriptions;
pub(super) mod tail;

use actix_web::http::Uri;
use clap::Args;
use serde_json::Value;

use super::{
    CliError,
    client::{Api, ApiError},
    send::{parse_token, parse_url},
    terminal::Terminal,
};
use crate::domain::secret::Secret;

/// Which engine, as whom, and in which form its answers are printed.
#[derive(Args, Debug)]
pub(super) struct Desk {
    /// Where the engine is
    #[arg(long, env = "POSTRIDER_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = parse_url)]
    url: Uri,

    /// The token of an admin, or of whoever has the subscriptions
    #[arg(long, env = "POSTRIDER_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = parse_token)]
    token: Option<Secret>,

    /// Print JSON for programs, each text in a line of its own
    #[arg(long)]
    json: bool,
}

impl Desk {
    /// The engine, as that user.
    ///
    /// # Errors
    /// When there is no token.
    fn api(&self) -> Result<Api, CliError> {
        let token = self.token.clone();
        let token = token.ok_or_else(|| CliError::refused("a token is needed: --token or POSTRIDER_TOKEN"))?;
        Ok(Api::new(&self.url, token))
    }

    /// Where the engine is, for a person.
    fn base(&self) -> String {
        self.url.to_string().trim_end_matches('/').to_owned()
    }

    /// Prints an answer as it came when programs read it; else what `in_words` makes of it.
    fn tell(
        &self,
        terminal: &mut Terminal,
        answer: &Value,
        in_words: impl FnOnce(&Value) -> Result<Vec<String>, CliError>,
    ) -> Result<(), CliError> {
        let lines = if self.json { vec![answer.to_string()] } else { in_words(answer)? };
        for line in lines {
            terminal.line(line)?;
        }
        Ok(())
    }
}

/// A refusal with what it was about in front of it.
fn about(what: impl std::fmt::Display) -> impl FnOnce(ApiError) -> CliError {
    move |error| match error {
        ApiError::Refused { .. } => CliError::refused(format!("{what}: {error}")),
        ApiError::Unreachable { .. } | ApiError::Strange { .. } => error.into(),
    }
}
