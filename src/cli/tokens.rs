//! `postrider token`: what opens the HTTP API.

use std::io::Read;

use clap::{ArgGroup, Args, Subcommand};
use rand::{TryRng, rngs::SysRng};

use super::{
    CliError,
    terminal::{STRONG, Terminal, paint},
    users::opened,
};
use crate::{
    clock::Clock,
    config::DatabaseSettings,
    domain::{
        audit::{Author, Entry},
        owner::Owner,
        secret::Secret,
        token::{RANDOM_BYTES, check_token, token_digest, token_from},
    },
    store::{
        Lane, StoreError,
        audit::audited,
        owners::{self, Added},
    },
};

/// Tokens are unique, and whose it is is nobody's business.
pub(super) const TAKEN: &str = "this token belongs to somebody already";

/// What can be done with tokens.
#[derive(Subcommand, Debug)]
pub(super) enum TokenCommand {
    /// Give a user a further token
    ///
    /// The tokens that the user has remain good: that is how one is replaced without a gap. Without --token a token is made
    /// and shown once: only its digest is stored.
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Take a token away, or all tokens of a user
    ///
    /// Requests with it are refused a few seconds later at the latest. What the user subscribed to still flows.
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(RevokeArgs),
}

const CREATE_EXAMPLES: &str = "\
Examples:
  postrider token create shop
  postrider token create shop --token - < token.txt";

const REVOKE_EXAMPLES: &str = "\
Examples:
  postrider token revoke 3f786850e387550fdab836ed7e6dc881de23001b
  postrider token revoke - < token.txt
  postrider token revoke --all shop";

/// Whom to give a token.
#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// The user
    name: String,

    #[command(flatten)]
    token: NewToken,

    #[command(flatten)]
    database: DatabaseSettings,
}

/// Which tokens to take away.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true))]
pub(super) struct RevokeArgs {
    /// The token; - reads it from standard input
    #[arg(group = "which")]
    token: Option<String>,

    /// Every token of this user
    #[arg(long, value_name = "NAME", group = "which")]
    all: Option<String>,

    #[command(flatten)]
    database: DatabaseSettings,
}

/// A token to be: brought along or made.
#[derive(Args, Debug)]
pub(super) struct NewToken {
    /// The token to use; - reads it from standard input [default: 40 random hex digits]
    #[arg(long, value_name = "TOKEN", hide_default_value = true)]
    token: Option<String>,
}

/// A token and where it comes from.
pub(super) struct Token {
    pub(super) secret: Secret,
    origin: Origin,
}

#[derive(PartialEq, Eq)]
enum Origin {
    Brought,
    Made,
}

impl NewToken {
    /// The token, checked, or a new one.
    pub(super) fn read(&self) -> Result<Token, CliError> {
        match &self.token {
            Some(text) => Ok(Token { secret: read_token(text)?, origin: Origin::Brought }),
            None => Ok(Token { secret: random_token()?, origin: Origin::Made }),
        }
    }
}

impl Token {
    /// Shows a new token, this once; one that was brought along is known.
    pub(super) fn show(&self, terminal: &mut Terminal) -> Result<(), CliError> {
        if self.origin == Origin::Made {
            terminal.line(format_args!("token: {}", paint(STRONG, self.secret.reveal())))?;
            terminal.line("Keep it: it is not stored and not shown again.")?;
        }
        Ok(())
    }
}

/// A token as given, or the first line of standard input.
fn read_token(text: &str) -> Result<Secret, CliError> {
    let text = if text == "-" {
        let mut input = String::new();
        std::io::stdin()
            .read_to_string(&mut input)
            .map_err(|error| CliError::refused(format!("cannot read the token from standard input: {error}")))?;
        input.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        text.to_owned()
    };
    check_token(&text).map_err(|error| CliError::refused(error.to_string()))?;
    Ok(Secret::new(text))
}

/// A token from the randomness of the operating system.
pub(super) fn random_token() -> Result<Secret, CliError> {
    let mut random = [0; RANDOM_BYTES];
    SysRng
        .try_fill_bytes(&mut random)
        .map_err(|error| CliError::refused(format!("the operating system gives no random numbers: {error}")))?;
    Ok(token_from(&random))
}

pub(super) async fn run(command: TokenCommand, terminal: &mut Terminal) -> Result<(), CliError> {
    match command {
        TokenCommand::Create(args) => create(args, terminal).await,
        TokenCommand::Revoke(args) => revoke(args, terminal).await,
    }
}

async fn create(args: CreateArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let token = args.token.read()?;
    let store = opened(args.database).await?;
    let (name, digest, now) = (args.name.clone(), token_digest(token.secret.reveal()), Clock::system().now());
    let added = store
        .run(Lane::Write, move |connection| {
            let add = |connection: &mut _| owners::add_token(connection, &name, &digest, now);
            audited(connection, &Author::command_line(), now, add, told_of_adding)
        })
        .await
        .map_err(|error| name_unknown(error, &args.name))?;
    match added {
        Added::Owner(owner) => {
            terminal.line(format_args!("{} has a further token", owner.name))?;
            token.show(terminal)
        }
        Added::TokenTaken => Err(CliError::refused(TAKEN)),
        Added::NameTaken => Err(CliError::refused(format!("there is a user {:?} already", args.name))),
    }
}

/// What is written down of a further token.
fn told_of_adding(added: &Added) -> Option<Entry> {
    match added {
        Added::Owner(owner) => Some(told_of("token.create", owner)),
        Added::NameTaken | Added::TokenTaken => None,
    }
}

fn told_of_revoking(owner: &Owner) -> Entry {
    told_of("token.revoke", owner)
}

fn told_of(action: &'static str, owner: &Owner) -> Entry {
    Entry::order(action, format!("user:{}", owner.id), Some(owner.id), serde_json::json!({ "name": owner.name }))
}

async fn revoke(args: RevokeArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let said = match (args.token, args.all) {
        (_, Some(name)) => revoke_all(args.database, name).await?,
        (Some(token), None) => revoke_one(args.database, &token).await?,
        (None, None) => return Err(CliError::refused("say which: a token, or --all and a name")),
    };
    Ok(terminal.line(said)?)
}

async fn revoke_one(database: DatabaseSettings, token: &str) -> Result<String, CliError> {
    let digest = token_digest(read_token(token)?.reveal());
    let store = opened(database).await?;
    let now = Clock::system().now();
    let work = move |connection: &mut _| {
        let revoke = |connection: &mut _| {
            let owner = owners::find_by_token(connection, &digest)?;
            owners::revoke_token(connection, &digest).map(|was_there| owner.filter(|_| was_there))
        };
        audited(connection, &Author::command_line(), now, revoke, |owner| owner.as_ref().map(told_of_revoking))
    };
    if store.run(Lane::Write, work).await?.is_some() {
        Ok("revoked".to_owned())
    } else {
        Err(CliError::refused("nobody has this token"))
    }
}

async fn revoke_all(database: DatabaseSettings, name: String) -> Result<String, CliError> {
    let store = opened(database).await?;
    let (owner, now) = (name.clone(), Clock::system().now());
    let count = store
        .run(Lane::Write, move |connection| {
            let revoke = |connection: &mut _| {
                let found = owners::find_by_name(connection, &owner)?;
                owners::revoke_all(connection, &owner).map(|count| (found, count))
            };
            let told = |(found, _): &(Option<Owner>, usize)| found.as_ref().map(told_of_revoking);
            audited(connection, &Author::command_line(), now, revoke, told).map(|(_, count)| count)
        })
        .await
        .map_err(|error| name_unknown(error, &name))?;
    let tokens = if count == 1 { "token" } else { "tokens" };
    Ok(format!("revoked {count} {tokens} of {name}"))
}

fn name_unknown(error: StoreError, name: &str) -> CliError {
    match error {
        StoreError::NotFound => CliError::refused(format!("there is no user {name:?}: see postrider user list")),
        StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Sealed(_) | StoreError::Corrupt(_) => {
            error.into()
        }
    }
}
