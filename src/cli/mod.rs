//! The commands of `postrider`, and what each of them prints.
//!
//! Standard output carries what was asked for, standard error the log and why a command failed. `--help` of every command
//! is its manual.

#![allow(clippy::doc_markdown, reason = "the docs of arguments are their help texts, which would show the backticks")]

mod client;
mod demo;
mod desk;
mod error;
mod import;
mod listen;
mod migrate;
mod pretty;
mod problem;
mod progress;
mod secrets;
mod send;
mod signals;
mod terminal;
mod tokens;
mod users;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::{client::ApiError, error::CliError, terminal::Terminal};
use crate::{
    app,
    config::{DatabaseSettings, ServeSettings},
};

/// Webhook delivery for order management systems: signed, retried, in order, and never lost
#[derive(Parser, Debug)]
#[command(name = "postrider", version, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  postrider demo                   see it work: an engine, a receiver and sample events
  postrider serve                  run it, on the file postrider.db
  postrider listen                 receive webhooks and check their signatures
  postrider send package.created   publish a sample event
  postrider status                 see how a running engine is

More of each:  postrider COMMAND --help
Exit codes:    0 done, 1 refused or failed, 2 no such command or option
Log:           standard error; RUST_LOG=error, warn, info, debug or trace";

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the engine: accept events over HTTP and deliver them
    ///
    /// Runs until SIGTERM or SIGINT (Ctrl-C): then nothing more is accepted, attempts in flight finish and are recorded, and
    /// the exit code is 0. A second signal ends it at once; what was in flight is attempted again at the next start.
    ///
    /// The tables are made, or brought up to this version, at the start.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeSettings>),
    Demo(demo::DemoArgs),
    /// Bring the tables of the database up to this version
    ///
    /// `serve` does so by itself at its start. This is for those who want it done before.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(DatabaseSettings),
    ImportWhisperer(import::ImportArgs),
    /// Add and list users: who may use the HTTP API
    #[command(subcommand, after_help = ROLES)]
    User(users::UserCommand),
    /// Create and revoke the tokens of users
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Show and replace the keys of the secrets in the database
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    Listen(listen::ListenArgs),
    Send(send::SendArgs),
    Status(desk::status::StatusArgs),
    Tail(desk::tail::TailArgs),
    Subscriptions(desk::subscriptions::SubscriptionsArgs),
    Pause(desk::holds::PauseArgs),
    Resume(desk::holds::ResumeArgs),
    Redeliver(desk::redeliver::RedeliverArgs),
    Replay(desk::replay::ReplayArgs),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  postrider serve
  postrider serve --listen 0.0.0.0:8080
  postrider serve --database-url mysql://postrider:secret@127.0.0.1/postrider
  DATABASE_URL=sqlite:/var/lib/postrider/postrider.db postrider serve
  postrider serve --egress-allow 127.0.0.0/8    deliver to this machine, too";

const ROLES: &str = "\
Roles:
  subscriber   has subscriptions of its own, and sees their deliveries
  publisher    may also publish events
  admin        may do everything, with everybody's subscriptions";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  postrider migrate
  postrider migrate --database-url mysql://postrider:secret@127.0.0.1/postrider";

/// The commands as clap knows them. Help names environment variables but never shows their values: some are secret.
#[must_use]
pub fn command() -> clap::Command {
    hide_env_values(Cli::command())
}

fn hide_env_values(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(hide_env_values)
}

impl Cli {
    /// What the command line asks for. Ends the process when it asks for help, or for something that there is not.
    #[must_use]
    pub fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// How much is logged when `RUST_LOG` does not say: the engine tells its story, the other commands print theirs.
    #[must_use]
    pub const fn default_log(&self) -> &'static str {
        match self.command {
            // actix's own start and stop lines repeat ours.
            Command::Serve(_) => "info,actix_server=warn",
            Command::Demo(_)
            | Command::Migrate(_)
            | Command::ImportWhisperer(_)
            | Command::User(_)
            | Command::Token(_)
            | Command::Secrets(_)
            | Command::Listen(_)
            | Command::Send(_)
            | Command::Status(_)
            | Command::Tail(_)
            | Command::Subscriptions(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Redeliver(_)
            | Command::Replay(_) => "warn",
        }
    }

    /// Does what was asked.
    pub async fn run(self, terminal: &mut Terminal) -> Result<(), CliError> {
        match self.command {
            Command::Serve(settings) => Ok(app::serve(*settings).await?),
            Command::Demo(args) => demo::run(args, terminal).await,
            Command::Migrate(settings) => migrate::run(settings, terminal).await,
            Command::ImportWhisperer(args) => import::run(args, terminal).await,
            Command::User(command) => users::run(command, terminal).await,
            Command::Token(command) => tokens::run(command, terminal).await,
            Command::Secrets(command) => secrets::run(command, terminal).await,
            Command::Listen(args) => listen::run(args, terminal).await,
            Command::Send(args) => send::run(args, terminal).await,
            Command::Status(args) => desk::status::run(args, terminal).await,
            Command::Tail(args) => desk::tail::run(args, terminal).await,
            Command::Subscriptions(args) => desk::subscriptions::run(args, terminal).await,
            Command::Pause(args) => desk::holds::pause(args, terminal).await,
            Command::Resume(args) => desk::holds::resume(args, terminal).await,
            Command::Redeliver(args) => desk::redeliver::run(args, terminal).await,
            Command::Replay(args) => desk::replay::run(args, terminal).await,
        }
    }
}
