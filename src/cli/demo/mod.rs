//! `postrider demo`: an engine, a receiver and sample events in one terminal, in a folder that is gone afterwards.
//!
//! The engine is a process of its own, which may be killed: it is started again, and what it owed arrives.

mod board;
mod engine;
mod lines;
mod opening;
mod publisher;
mod story;

use std::time::Duration;

use clap::{Args, value_parser};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use self::{
    board::Board,
    engine::{Engine, Recipe},
    opening::Stage,
    publisher::{News, publish},
};
use super::{
    CliError,
    client::Api,
    listen::receiver::{Receiver, Report},
    signals::{self, End},
    terminal::{BAD, GOOD, ODD, Terminal, paint},
};
use crate::{clock::Clock, domain::time::Timestamp};

/// How long nothing may arrive before the demo gives up on what it still waits for.
const PATIENCE: Duration = Duration::from_mins(1);
/// News of the publisher that may wait to be told.
const UNTOLD: usize = 64;

/// Show everything at once: an engine, a receiver and sample events
///
/// Starts an engine on an embedded database in a temporary folder, a receiver that checks both signatures, and subscriptions
/// for packages, shipments, transfers and stock locations. Then it publishes an event each second and tells what becomes of
/// it. One of the receivers refuses each delivery twice, so that retries are seen.
///
/// The engine is a process of its own: kill -9 it, and see it recover. Ctrl-C ends everything and removes the folder.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// The port of the engine's HTTP API; 0 takes any free one
    #[arg(long, default_value = "8080", value_name = "PORT")]
    port: u16,

    /// End after N events, when all of them have arrived; the exit code is 0 only if they did, with valid signatures
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    events: Option<u32>,

    /// Milliseconds from one event to the next
    #[arg(long, default_value = "1000", value_name = "MILLISECONDS", value_parser = value_parser!(u64).range(1..))]
    interval: u64,
}

const EXAMPLES: &str = "\
Examples:
  postrider demo
  postrider demo --port 8090
  postrider demo --port 0 --events 12 --interval 100    ends by itself, for a test";

/// Everything that runs.
struct Demo<'a> {
    recipe: Recipe,
    engine: Engine,
    api: Api,
    told: mpsc::Receiver<Report>,
    news: mpsc::Receiver<News>,
    board: Board,
    terminal: &'a mut Terminal,
}

/// What made it end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Everything that was to be published has arrived.
    Complete,
    /// A person has seen enough.
    Asked,
    /// Nothing came any more.
    Stuck,
}

pub(super) async fn run(args: DemoArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut end = signals::end()?;
    let stage = tokio::select! {
        stage = Stage::build(&args, terminal) => stage?,
        () = end.recv() => return Ok(()),
    };
    let Stage { folder, recipe, engine, receiver, told, api } = stage;
    let (sender, news) = mpsc::channel(UNTOLD);
    actix_rt::spawn(publish(api.clone(), args.events, Duration::from_millis(args.interval), sender));
    let mut demo = Demo { recipe, engine, api, told, news, board: Board::default(), terminal };
    let ending = demo.watch(&mut end).await;
    demo.close(receiver, ending).await?;
    folder.close()?;
    Ok(())
}

impl Demo<'_> {
    /// Tells what happens until it ends.
    async fn watch(&mut self, end: &mut End) -> Result<Ending, CliError> {
        let mut is_all_published = false;
        let mut give_up_at = Instant::now() + PATIENCE;
        loop {
            if is_all_published && self.board.is_settled() {
                return Ok(Ending::Complete);
            }
            tokio::select! {
                () = end.recv() => return Ok(Ending::Asked),
                () = tokio::time::sleep_until(give_up_at), if is_all_published => return Ok(Ending::Stuck),
                status = self.engine.ended() => {
                    tokio::select! {
                        restarted = self.restart(&status) => restarted?,
                        () = end.recv() => return Ok(Ending::Asked),
                    }
                }
                Some(news) = self.news.recv() => is_all_published |= self.hear(news)?,
                Some(report) = self.told.recv() => {
                    if let Some(line) = self.board.arrived(&report) {
                        self.terminal.line(line)?;
                    }
                }
            }
            give_up_at = Instant::now() + PATIENCE;
        }
    }

    /// Tells the publisher's news; gives whether they were the last.
    fn hear(&mut self, news: News) -> Result<bool, CliError> {
        match news {
            News::Published { event_type, number, at } => self.board.published(event_type, number, at),
            News::Waiting { event_type, number, at, why } => {
                self.terminal.line(lines::waiting(at, event_type, number, why))?;
            }
            News::Accepted { event_type, number, at, owed } => {
                for line in self.board.accepted(event_type, number, owed, at) {
                    self.terminal.line(line)?;
                }
            }
            News::Refused(error) => return Err(error.into()),
            News::Done => return Ok(true),
        }
        Ok(false)
    }

    /// The engine is gone: starts it again and says so.
    async fn restart(&mut self, status: &str) -> Result<(), CliError> {
        let gone_at = now();
        let text = format!("process {} is gone ({status}); starting it again", self.engine.pid);
        self.terminal.line(lines::engine(gone_at, BAD, &text))?;
        self.engine = self.recipe.start()?;
        self.recipe.wait_until_ready(&mut self.engine, &self.api).await?;
        let owed = self.owed().await?;
        let ready_at = now();
        let waited = ready_at.since(gone_at).as_millis();
        let text = format!("answers again after {waited} ms as process {}, and owes {owed}", self.engine.pid);
        Ok(self.terminal.line(lines::engine(ready_at, GOOD, &text))?)
    }

    /// How many deliveries the engine says that it owes; it counts no further than a page.
    async fn owed(&self) -> Result<String, CliError> {
        let page: Value = self.api.get("/api/v1/deliveries?state=pending&limit=200").await?;
        Ok(match (page["items"].as_array().map_or(0, Vec::len), page["next"].is_null()) {
            (0, _) => "nothing".to_owned(),
            (1, true) => "1 delivery".to_owned(),
            (count, true) => format!("{count} deliveries"),
            (count, false) => format!("{count} deliveries or more"),
        })
    }

    /// Ends everything, and says what it came to.
    async fn close(self, receiver: Receiver, ending: Result<Ending, CliError>) -> Result<(), CliError> {
        let Self { engine, board, terminal, .. } = self;
        let stopped = engine.stop().await;
        receiver.stop().await;
        let ending = ending?;
        stopped?;
        terminal.line("")?;
        let totals = &board.totals;
        let is_well = totals.badly_signed == 0 && (ending != Ending::Stuck);
        terminal.line(paint(if is_well { GOOD } else { ODD }, lines::summary(totals)))?;
        match ending {
            Ending::Complete | Ending::Asked if is_well => Ok(()),
            Ending::Complete | Ending::Asked => Err(CliError::refused("a signature was not valid")),
            Ending::Stuck => {
                Err(CliError::refused(format!("nothing arrived for {} s, and something is owed", PATIENCE.as_secs())))
            }
        }
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}
