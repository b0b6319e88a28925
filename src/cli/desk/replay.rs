//! `postrider replay`: orders a replay and watches it to its end.

use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser, value_parser};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Desk, about,
    answers::read,
    moment::{Moment, parse_moment},
};
use crate::{
    cli::{
        CliError,
        client::{Api, ApiError},
        progress::{Progress, bar},
        signals::{self, End},
        terminal::{GOOD, Terminal, paint},
    },
    clock::{Clock, rfc3339},
    domain::{delivery::State, replay::MAX_PER_SECOND},
};

/// Between two looks at how far it has come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
/// For how many looks in a row the engine may be away: about half a minute, enough for a restart.
const MOST_MISSES: u32 = 100;

/// Attempt many deliveries of a subscription again, by a filter
///
/// Puts everything that is dead, expired or cancelled back to pending, the oldest first, and waits until that is done: then
/// all of it is owed again, and goes out by the subscription's order, pace and retry policy.
///
/// The replay is the engine's work and survives its restarts. Ctrl-C ends the watching and not the replay.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ReplayArgs {
    /// The subscription, by its number
    #[arg(value_name = "SUBSCRIPTION", value_parser = value_parser!(i32).range(1..))]
    subscription: i32,

    /// Of events accepted then or later: 2026-11-24T03:00:00Z, or so long ago: 30m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    from: Option<Moment>,

    /// Of events accepted before [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    to: Option<Moment>,

    /// In this state; may be given several times [default: dead, expired and cancelled]
    #[arg(long = "state", value_name = "STATE", value_parser = replayable())]
    states: Vec<String>,

    /// Of events of this type
    #[arg(long, value_name = "EVENT_TYPE")]
    event_type: Option<String>,

    /// How many a second are put back at most [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=i64::from(MAX_PER_SECOND)))]
    per_second: Option<u16>,

    /// Only count them; exactly up to 10,000
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    desk: Desk,
}

const EXAMPLES: &str = "\
Examples:
  postrider replay 7 --dry-run
  postrider replay 7 --from 2h --per-second 50
  postrider replay 7 --state set_aside
  postrider replay 7 --state delivered --from 2026-11-24T03:00:00Z --to 2026-11-24T04:00:00Z";

/// What is pending is owed already.
fn replayable() -> PossibleValuesParser {
    let settled = State::ALL.into_iter().filter(|state| *state != State::Pending);
    PossibleValuesParser::new(settled.map(State::as_str).collect::<Vec<_>>())
}

/// What is read of a replay.
#[derive(Deserialize)]
struct Replay {
    id: i64,
    state: String,
    replayed: u64,
    skipped: u64,
}

/// What a dry run finds.
#[derive(Deserialize)]
struct Count {
    deliveries: u64,
    is_exact: bool,
}

impl ReplayArgs {
    fn order(&self, is_dry: bool) -> Value {
        let now = Clock::system().now();
        let time = |moment: Option<Moment>| moment.map(|moment| rfc3339(moment.at(now)));
        json!({
            "subscription": self.subscription,
            "states": (!self.states.is_empty()).then_some(&self.states),
            "from": time(self.from),
            "to": time(self.to),
            "event_type": self.event_type,
            "per_second": self.per_second,
            "dry_run": is_dry,
        })
    }

    async fn post(&self, api: &Api, is_dry: bool) -> Result<Value, CliError> {
        let answer = api.post("/api/v1/replays", &self.order(is_dry)).await;
        answer.map_err(about(format_args!("subscription {}", self.subscription)))
    }
}

pub(in crate::cli) async fn run(args: ReplayArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let api = args.desk.api()?;
    if args.dry_run {
        let answer = args.post(&api, true).await?;
        return args.desk.tell(terminal, &answer, |answer| Ok(vec![counted(&read(answer)?)]));
    }
    let mut watch = Watch { progress: Progress::stderr(), total: None, end: signals::end()? };
    if watch.progress.is_shown() {
        // Only the bar needs it.
        let count: Count = read(&args.post(&api, true).await?)?;
        watch.total = count.is_exact.then_some(count.deliveries);
    }
    let started_at = Clock::system().now();
    let ordered = args.post(&api, false).await?;
    let answer = watch.until_the_end(&api, ordered).await?;
    let replay: Replay = read(&answer)?;
    let taken = Clock::system().now().since(started_at);
    args.desk.tell(terminal, &answer, |_| Ok(vec![told(&replay, taken)]))?;
    if replay.state == "done" {
        Ok(())
    } else {
        Err(CliError::refused(format!("replay {} was called off before its end", replay.id)))
    }
}

fn counted(count: &Count) -> String {
    let least = if count.is_exact { "" } else { "at least " };
    format!("would attempt {least}{} deliveries again", count.deliveries)
}

fn told(replay: &Replay, taken: Duration) -> String {
    let skipped = match replay.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped because their payload is erased"),
    };
    format!(
        "replay {} is {}: {} deliveries are owed again{skipped} ({:.1} s)",
        replay.id,
        if replay.state == "done" { paint(GOOD, &replay.state) } else { replay.state.clone() },
        replay.replayed,
        taken.as_secs_f64()
    )
}

/// Somebody who looks on.
struct Watch {
    progress: Progress,
    /// How many it will be, if that is known.
    total: Option<u64>,
    end: End,
}

impl Watch {
    /// The replay at its end.
    ///
    /// # Errors
    /// When the person who looks on leaves, or the engine is away for too long.
    async fn until_the_end(&mut self, api: &Api, mut answer: Value) -> Result<Value, CliError> {
        let mut misses = 0;
        loop {
            let replay: Replay = read(&answer)?;
            if replay.state != "running" {
                self.progress.clear();
                return Ok(answer);
            }
            self.show(&replay, misses);
            let is_over = tokio::select! {
                () = self.end.recv() => true,
                () = tokio::time::sleep(BETWEEN_LOOKS) => false,
            };
            if is_over {
                return Err(self.left(replay.id, "it goes on in the engine"));
            }
            match api.get(&format!("/api/v1/replays/{}", replay.id)).await {
                Ok(newer) => (answer, misses) = (newer, 0),
                Err(error) if error.is_passing() && misses < MOST_MISSES => misses += 1,
                Err(error @ (ApiError::Unreachable { .. } | ApiError::Refused { .. } | ApiError::Strange { .. })) => {
                    return Err(self.left(replay.id, &error.to_string()));
                }
            }
        }
    }

    fn left(&self, id: i64, why: &str) -> CliError {
        self.progress.clear();
        CliError::refused(format!("the end of replay {id} was not seen: {why}; GET /api/v1/replays/{id} shows it"))
    }

    fn show(&self, replay: &Replay, misses: u32) {
        let done = replay.replayed + replay.skipped;
        let away = if misses > 0 { "  (the engine does not answer)" } else { "" };
        let text = match self.total {
            Some(total) => format!("{}  {done} of {total}{away}", bar(done, total)),
            None => format!("{done} so far{away}"),
        };
        self.progress.show(&format!("replay {}  {text}", replay.id));
    }
}
