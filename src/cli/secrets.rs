//! `postrider secrets`: under which keys the secrets of the database are sealed, and moving them to another.

use clap::{Args, Subcommand};

use super::{
    CliError,
    terminal::{BAD, QUIET, Terminal, paint, table},
};
use crate::{
    clock::Clock,
    config::{DatabaseSettings, KeySettings, store},
    domain::{
        audit::{Author, Entry},
        id::SubscriptionId,
    },
    store::{
        Lane, Store, audit,
        reseal::{Census, reseal_page, take_census, wipe_traces},
    },
};

/// Subscriptions in one transaction: the engine waits for none of them long.
const PAGE: i64 = 200;
/// Passes over everything before we give up on subscriptions that change all the time.
const MAX_PASSES: usize = 10;

/// What can be done with secrets at rest.
#[derive(Subcommand, Debug)]
pub(super) enum SecretsCommand {
    /// Show under which keys the secrets are sealed, and whether all of them can be opened
    ///
    /// Secrets are the signing secrets of subscriptions, their additional headers and their config, which may hold a
    /// password. Exits with 1 when one cannot be opened with the keys that were given.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(SecretsArgs),
    /// Put all secrets under the first key
    ///
    /// Works while the engine runs, and can be stopped and started again at any time. Also what is in plain text, because it
    /// was written before there was a key, is sealed.
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate(SecretsArgs),
}

const STATUS_EXAMPLES: &str = "\
Examples:
  postrider secrets status";

const ROTATE_EXAMPLES: &str = "\
The first key:
  1. Make one:                     openssl rand -base64 32
  2. Give it to every engine:      POSTRIDER_SECRET_KEY=2026:NEW
  3. Seal what was there before:   postrider secrets rotate

Another key, without a gap:
  1. Add it behind the present one, and restart every engine:    2026:OLD,2027:NEW
  2. Put it first, and restart every engine:                     2027:NEW,2026:OLD
  3. Put everything under it:                                    postrider secrets rotate
  4. When status names the old one no more, take it away:        2027:NEW
With one engine, step 2 alone will do.";

/// Where, and with which keys.
#[derive(Args, Debug)]
pub(super) struct SecretsArgs {
    #[command(flatten)]
    keys: KeySettings,

    #[command(flatten)]
    database: DatabaseSettings,
}

pub(super) async fn run(command: SecretsCommand, terminal: &mut Terminal) -> Result<(), CliError> {
    match command {
        SecretsCommand::Status(args) => status(&args, terminal).await,
        SecretsCommand::Rotate(args) => rotate(&args, terminal).await,
    }
}

async fn opened(args: &SecretsArgs) -> Result<Store, CliError> {
    let store = store(&args.database, &args.keys, None);
    store.migrate().await?;
    Ok(store)
}

async fn status(args: &SecretsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let store = opened(args).await?;
    let census = census(&store).await?;
    let rows = census_rows(&store, &census);
    for line in table(&rows) {
        terminal.line(line)?;
    }
    for reason in &census.unopened {
        terminal.line(paint(BAD, reason))?;
    }
    match census.unopened_count {
        0 => Ok(()),
        count => Err(CliError::refused(format!("{count} secrets cannot be opened with these keys"))),
    }
}

async fn census(store: &Store) -> Result<Census, CliError> {
    let mut census = Census::default();
    let mut after = SubscriptionId::from_raw(0);
    loop {
        let (keys, so_far) = (store.keys(), census.clone());
        let work = move |connection: &mut _| {
            let mut census = so_far.clone();
            let last = take_census(connection, &keys, &mut census, after, PAGE)?;
            Ok((census, last))
        };
        let (counted, last) = store.run(Lane::Read, work).await?;
        census = counted;
        let Some(last) = last else { return Ok(census) };
        after = last;
    }
}

/// The given keys in their order, then keys that were not given, then plain text.
fn census_rows(store: &Store, census: &Census) -> Vec<[String; 3]> {
    let keys = store.keys();
    let count = |id: &str| census.sealed.get(id).copied().unwrap_or_default();
    let given = keys.ids().enumerate().map(|(place, id)| (id, count(id), if place == 0 { "seals" } else { "opens" }));
    let missing = census.sealed.iter().filter(|(id, _)| !keys.ids().any(|given| given == *id));
    let missing = missing.map(|(id, count)| (id.as_str(), *count, "not given"));
    let plain = if keys.is_empty() { "written so" } else { "to be sealed" };
    let rows = given.chain(missing).chain([("none, plain text", census.plain, plain)]);
    let head = ["KEY", "SECRETS", ""].map(str::to_owned);
    std::iter::once(head)
        .chain(rows.map(|(id, count, what)| [id.to_owned(), count.to_string(), what.to_owned()]))
        .collect()
}

async fn rotate(args: &SecretsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let store = opened(args).await?;
    let keys = store.keys();
    let Some(first) = keys.ids().next() else {
        return Err(CliError::refused("there is no key to put the secrets under: set POSTRIDER_SECRET_KEY"));
    };
    let mut moved = 0;
    store.run(Lane::Write, wipe_traces).await?;
    for _ in 0..MAX_PASSES {
        let pass = pass(&store, first, terminal).await?;
        moved += pass.moved;
        if pass.contested == 0 {
            store.run(Lane::Write, wipe_traces).await?;
            let subscriptions = if moved == 1 { "subscription" } else { "subscriptions" };
            return Ok(terminal.line(format_args!("moved {moved} {subscriptions}: all secrets are under {first}"))?);
        }
    }
    Err(CliError::refused("some subscriptions change all the time: run this again"))
}

/// Writes down that somebody put secrets under another key, if any were moved.
async fn note(store: &Store, key: &str, moved: usize) -> Result<(), CliError> {
    if moved == 0 {
        return Ok(());
    }
    let told = serde_json::json!({ "subscriptions": moved });
    let (entry, now) = (Entry::order("secrets.rotate", format!("key:{key}"), None, told), Clock::system().now());
    let work = move |connection: &mut _| audit::note(connection, &Author::command_line(), now, &entry);
    Ok(store.run(Lane::Write, work).await?)
}

/// What one look at all subscriptions did.
#[derive(Default)]
struct Pass {
    moved: usize,
    contested: usize,
}

async fn pass(store: &Store, first: &str, terminal: &mut Terminal) -> Result<Pass, CliError> {
    let mut pass = Pass::default();
    let (mut after, mut seen) = (SubscriptionId::from_raw(0), 0);
    loop {
        let keys = store.keys();
        let work = move |connection: &mut _| reseal_page(connection, &keys, after, PAGE);
        let page = store.run(Lane::Write, work).await?;
        note(store, first, page.moved).await?;
        pass.moved += page.moved;
        pass.contested += page.contested;
        seen += page.seen;
        let Some(last) = page.last else { return Ok(pass) };
        after = last;
        if page.moved > 0 {
            let told = format!("{seen} subscriptions looked at, {} moved", pass.moved);
            terminal.line(paint(QUIET, told))?;
        }
    }
}
