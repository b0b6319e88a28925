//! `postrider import-whisperer`: what dj-whisperer leaves behind.
//!
//! The dump is read twice, so that its rows may stand in any order: the small tables first, then what is owed, page by page.
//! Every page is a transaction of its own, and a row that came in before is recognised: an import that was cut off is run
//! again.

mod answer;
mod columns;
mod dump;
mod owed;
mod pages;
mod people;
mod report;
mod tables;

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use clap::Args;

use self::{
    dump::read_rows,
    report::{Form, Report},
    tables::Tables,
};
use super::{CliError, terminal::Terminal};
use crate::{
    clock::Clock,
    config::{DatabaseSettings, KeySettings},
    domain::{
        audit::{Author, Entry},
        time::Timestamp,
    },
    store::{
        Lane, Store, audit,
        import::{Mode, others_are_connected},
    },
};

/// Take over from dj-whisperer: users, tokens, subscriptions, and what is still owed
///
/// Reads what `manage.py dumpdata` wrote, in one file or several, and brings hooks under their ids, the users they belong to
/// with their tokens, and every event that is queued or may still be attempted. What is delivered, given up, or cannot be
/// used stays out; what cannot be used is listed with the reason. Running it again changes nothing.
///
/// Stop the engine first, or start it afterwards: a running one does not learn of subscriptions that come in this way. The
/// command refuses to write while another program has the database open.
///
/// The uuid of an event that is owed changes, because ours is derived from its number: --json tells the old and the new one.
/// Exits with 1 when something else has the place of a row; the other rows are written all the same.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// Dumps, in JSON or JSON lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// List what would be done, row by row, and write nothing; the tables are made all the same
    #[arg(long)]
    dry_run: bool,

    /// One JSON object per row, and one with the sums
    #[arg(long)]
    json: bool,

    /// Leave out what has been owed for more than so many days
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u32>,

    /// Write although another program has the database open
    #[arg(long)]
    anyway: bool,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    keys: KeySettings,
}

const EXAMPLES: &str = "\
Examples:
  python manage.py dumpdata auth.user authtoken.token whisperer -o dump.json
  postrider import-whisperer dump.json --dry-run
  postrider import-whisperer dump.json
  postrider import-whisperer dump.json --max-age 7 --json > import.jsonl";

/// How often to look for other programs before they count.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const DAY: Duration = Duration::from_hours(24);

/// What the parts of an import share.
struct Import {
    store: Store,
    mode: Mode,
    now: Timestamp,
    /// What was owed before is left out.
    not_before: Option<Timestamp>,
}

pub(super) async fn run(args: ImportArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let form = match (args.json, args.dry_run) {
        (true, _) => Form::Json,
        (false, true) => Form::Everything,
        (false, false) => Form::Notable,
    };
    let mut report = Report::new(terminal, form);
    report.progress("reading");
    let tables = read_tables(args.files.clone()).await?;
    let store = Store::new(args.database.database_url, args.keys.secret_key.unwrap_or_default());
    store.migrate().await?;
    if !(args.dry_run || args.anyway) && is_shared(&store).await? {
        report.progress("");
        return Err(CliError::refused(
            "another program has the database open: stop the engine first, or write --anyway and restart it afterwards",
        ));
    }
    let now = Clock::system().now();
    let import = Import {
        store,
        mode: if args.dry_run { Mode::DryRun } else { Mode::Write },
        now,
        not_before: args.max_age.map(|days| now.before(DAY * days)),
    };
    let targets = people::bring(&import, &tables, &mut report).await?;
    let brought = pages::bring(&import, args.files, targets, tables.rows, &mut report).await;
    if import.mode == Mode::Write {
        let told = serde_json::json!(report.counts());
        note(&import.store, now, Entry::order("import", "dj-whisperer", None, told)).await?;
    }
    brought?;
    let conflicts = report.conflicts();
    report.sum_up(&tables.ignored, args.dry_run)?;
    match conflicts {
        0 => Ok(()),
        1 => Err(CliError::refused("1 row met something else in its place; nothing was written for it")),
        _ => Err(CliError::refused(format!(
            "{conflicts} rows met something else in their place; nothing was written for them"
        ))),
    }
}

/// Writes down that somebody did this. What it tells of each kind of rows: how many were new, here already, skipped, and in
/// conflict.
async fn note(store: &Store, now: Timestamp, entry: Entry) -> Result<(), CliError> {
    let work = move |connection: &mut _| audit::note(connection, &Author::command_line(), now, &entry);
    Ok(store.run(Lane::Write, work).await?)
}

/// Whether another program has the database open, and keeps it open: a server may still be parting from one that ended.
async fn is_shared(store: &Store) -> Result<bool, CliError> {
    for _ in 0..LOOKS {
        if !store.run(Lane::Write, others_are_connected).await? {
            return Ok(false);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(true)
}

/// Reads everything once, so that a dump that is cut off is refused before anything is written.
async fn read_tables(files: Vec<PathBuf>) -> Result<Tables, CliError> {
    let tables = blocking(move || {
        let mut tables = Tables::default();
        for file in &files {
            read_rows(file, |row| {
                tables.take(&row);
                ControlFlow::Continue(())
            })?;
        }
        Ok(tables)
    })
    .await?;
    if tables.user_labels.len() > 1 {
        let labels: Vec<&str> = tables.user_labels.keys().map(String::as_str).collect();
        return Err(CliError::refused(format!(
            "there are several tables of users, {}: dump only the one that is AUTH_USER_MODEL",
            labels.join(" and ")
        )));
    }
    Ok(tables)
}

/// Runs `work`, which reads files, on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, dump::BadDump> + Send + 'static,
) -> Result<T, CliError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|panic| CliError::refused(format!("reading failed: {panic}")))?;
    done.map_err(|error| CliError::refused(error.to_string()))
}
