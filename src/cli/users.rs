//! `postrider user`: owners, the people and programs that have tokens.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    CliError,
    terminal::{Terminal, table},
    tokens::{self, NewToken},
};
use crate::{
    clock::Clock,
    config::DatabaseSettings,
    domain::{
        audit::{Author, Entry as Audited},
        owner::{Role, Standing, check_name},
        time::Timestamp,
        token::token_digest,
    },
    store::{
        Keyring, Lane, Store,
        audit::audited,
        owners::{self, Added, Listed},
    },
};

/// What can be done with owners.
#[derive(Subcommand, Debug)]
pub(super) enum UserCommand {
    /// Add a user with one token
    ///
    /// Without --admin or --publisher it is a subscriber: it has subscriptions of its own. Without --token a token is made and
    /// shown once: only its digest is stored. If the database is new, its tables are made first.
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// List the users
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
}

const ADD_EXAMPLES: &str = "\
Examples:
  postrider user add shop
  postrider user add oms --publisher
  postrider user add ops --admin --token 3f786850e387550fdab836ed7e6dc881de23001b
  postrider user add erp --token - < token.txt    the token stays out of sight of ps";

const LIST_EXAMPLES: &str = "\
Examples:
  postrider user list
  postrider user list --json | jq -r '.[] | select(.role == \"admin\") | .name'";

/// Whom to add.
#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// What the user is called: unique, at most 150 characters
    name: String,

    #[command(flatten)]
    token: NewToken,

    /// May do everything, with everybody's subscriptions; wins over --publisher
    #[arg(long)]
    admin: bool,

    /// May publish events, too
    #[arg(long)]
    publisher: bool,

    /// Its tokens are refused
    #[arg(long)]
    inactive: bool,

    #[command(flatten)]
    database: DatabaseSettings,
}

/// How to list.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// One JSON list instead of a table
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseSettings,
}

pub(super) async fn run(command: UserCommand, terminal: &mut Terminal) -> Result<(), CliError> {
    match command {
        UserCommand::Add(args) => add(args, terminal).await,
        UserCommand::List(args) => list(args, terminal).await,
    }
}

async fn add(args: AddArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    check_name(&args.name).map_err(|error| CliError::refused(error.to_string()))?;
    let token = args.token.read()?;
    let (role, standing) = (role_of(&args), standing_of(&args));
    let store = opened(args.database).await?;

    let (name, digest, now) = (args.name.clone(), token_digest(token.secret.reveal()), Clock::system().now());
    let added = store
        .run(Lane::Write, move |connection| {
            let add = |connection: &mut _| owners::add_owner(connection, &name, role, standing, &digest, now);
            audited(connection, &Author::command_line(), now, add, told_of_adding)
        })
        .await?;
    match added {
        Added::Owner(owner) => {
            let inactive = if standing == Standing::Inactive { ", inactive" } else { "" };
            terminal.line(format_args!("added {} ({}{inactive})", owner.name, role.as_str()))?;
            token.show(terminal)
        }
        Added::NameTaken => Err(CliError::refused(format!("there is a user {:?} already", args.name))),
        Added::TokenTaken => Err(CliError::refused(tokens::TAKEN)),
    }
}

/// What is written down of a new owner.
fn told_of_adding(added: &Added) -> Option<Audited> {
    match added {
        Added::Owner(owner) => Some(Audited::owner("user.add", None, owner)),
        Added::NameTaken | Added::TokenTaken => None,
    }
}

const fn role_of(args: &AddArgs) -> Role {
    if args.admin {
        Role::Admin
    } else if args.publisher {
        Role::Publisher
    } else {
        Role::Subscriber
    }
}

const fn standing_of(args: &AddArgs) -> Standing {
    if args.inactive { Standing::Inactive } else { Standing::Active }
}

async fn list(args: ListArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let listed = opened(args.database).await?.run(Lane::Read, owners::list).await?;
    if args.json {
        let entries: Vec<_> = listed.iter().map(as_entry).collect();
        let text = serde_json::to_string_pretty(&entries).expect("texts, numbers and truth values are JSON");
        return Ok(terminal.line(text)?);
    }
    if listed.is_empty() {
        return Ok(terminal.line("no users yet: postrider user add NAME")?);
    }
    let head = ["NAME", "ROLE", "ACTIVE", "TOKENS", "SINCE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(listed.iter().map(as_row)).collect();
    for line in table(&rows) {
        terminal.line(line)?;
    }
    Ok(())
}

fn as_row(listed: &Listed) -> [String; 5] {
    [
        listed.owner.name.clone(),
        listed.owner.role.as_str().to_owned(),
        if is_active(listed) { "yes" } else { "no" }.to_owned(),
        listed.tokens.to_string(),
        rfc_3339(listed.created_at),
    ]
}

/// What programs read.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    role: &'a str,
    active: bool,
    tokens: u32,
    since: String,
}

fn as_entry(listed: &Listed) -> Entry<'_> {
    Entry {
        name: &listed.owner.name,
        role: listed.owner.role.as_str(),
        active: is_active(listed),
        tokens: listed.tokens,
        since: rfc_3339(listed.created_at),
    }
}

fn is_active(listed: &Listed) -> bool {
    listed.owner.standing == Standing::Active
}

/// RFC 3339 in UTC, to the second.
fn rfc_3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs()).unwrap_or_default().to_string()
}

/// The store, with tables of this version: `user add` comes before the first `serve`.
pub(super) async fn opened(settings: DatabaseSettings) -> Result<Store, CliError> {
    let store = Store::new(settings.database_url, Keyring::default());
    store.migrate().await?;
    Ok(store)
}
