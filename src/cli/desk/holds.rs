//! `postrider pause` and `postrider resume`.

use std::time::Duration;

use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::{
    Desk, about,
    answers::{Hold, Subscription, read},
    moment::{Moment, parse_duration, parse_moment, parse_time},
};
use crate::{
    cli::{
        CliError,
        terminal::{GOOD, ODD, Terminal, paint},
    },
    clock::{Clock, rfc3339},
    domain::{hold::MAX_PER_SECOND, time::Timestamp},
};

/// Pause a subscription: what comes is kept and delivered afterwards
///
/// When this returns no further attempt starts; those in flight finish. The pause holds until it is ended by `resume`, or
/// by --until or --for, also through restarts of the engine. What is paused already gets the new end and the new reason.
#[derive(Args, Debug)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(in crate::cli) struct PauseArgs {
    /// The subscription, by its number
    #[arg(value_name = "ID", value_parser = value_parser!(i32).range(1..))]
    id: i32,

    /// Why, for whoever looks at it: at most 500 characters
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// When it ends by itself: 2026-11-24T06:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,

    /// After how long it ends by itself: 30m, 2h, 1d
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, conflicts_with = "until")]
    length: Option<Duration>,

    /// Lose what comes meanwhile: it is not owed to this subscription, and no replay brings it back
    #[arg(long)]
    drop: bool,

    #[command(flatten)]
    desk: Desk,
}

const PAUSE_EXAMPLES: &str = "\
Examples:
  postrider pause 7
  postrider pause 7 --for 2h --reason 'they move to another data centre'
  postrider pause 7 --until 2026-11-24T06:00:00Z";

/// Resume a subscription: what it is owed is delivered, the oldest first
///
/// After a long pause there are two ways to be gentle: --per-second limits the attempts until what is owed now has had its
/// turn, and --skip-older-than cancels what was accepted before. Both are refused when it is not paused.
#[derive(Args, Debug)]
#[command(after_help = RESUME_EXAMPLES)]
pub(in crate::cli) struct ResumeArgs {
    /// The subscription, by its number
    #[arg(value_name = "ID", value_parser = value_parser!(i32).range(1..))]
    id: i32,

    /// Attempts per second at most, until it has caught up
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(MAX_PER_SECOND)))]
    per_second: Option<u32>,

    /// Cancel what was accepted before this time: 2026-11-24T03:00:00Z, or so long ago: 30m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    skip_older_than: Option<Moment>,

    #[command(flatten)]
    desk: Desk,
}

const RESUME_EXAMPLES: &str = "\
Examples:
  postrider resume 7
  postrider resume 7 --per-second 50
  postrider resume 7 --skip-older-than 1d";

pub(in crate::cli) async fn pause(args: PauseArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let now = Clock::system().now();
    let until = args.until.or_else(|| args.length.map(|length| now.after(length)));
    let order = json!({
        "mode": if args.drop { "drop" } else { "hold" },
        "reason": args.reason,
        "until": until.map(rfc3339),
    });
    let path = format!("/api/v1/subscriptions/{}/pause", args.id);
    let answer = args.desk.api()?.post::<Value>(&path, &order).await.map_err(about(of(args.id)))?;
    args.desk.tell(terminal, &answer, |answer| {
        let subscription: Subscription = read(answer)?;
        let notice = subscription.hold.as_ref().and_then(|hold| hold.notice.clone());
        Ok(std::iter::once(in_words(&subscription)).chain(notice).collect())
    })
}

pub(in crate::cli) async fn resume(args: ResumeArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let now = Clock::system().now();
    let order = json!({
        "per_second": args.per_second,
        "skip_older_than": args.skip_older_than.map(|moment| rfc3339(moment.at(now))),
    });
    let path = format!("/api/v1/subscriptions/{}/resume", args.id);
    let answer = args.desk.api()?.post::<Value>(&path, &order).await.map_err(about(of(args.id)))?;
    args.desk.tell(terminal, &answer, |answer| {
        let pace = args.per_second.map(|pace| format!(", at most {pace} a second")).unwrap_or_default();
        let skipped = answer["skipped"].as_u64().filter(|skipped| *skipped > 0);
        let skipped = skipped.map(|skipped| format!(", {skipped} cancelled")).unwrap_or_default();
        Ok(vec![format!("{}{pace}{skipped}", in_words(&read(answer)?))])
    })
}

fn of(id: i32) -> String {
    format!("subscription {id}")
}

/// What a subscription is now.
fn in_words(subscription: &Subscription) -> String {
    let state = paint(if subscription.state == "active" { GOOD } else { ODD }, &subscription.state);
    let hold = subscription.hold.as_ref().map(|hold| format!(" ({})", Hold::in_words(hold))).unwrap_or_default();
    format!("subscription {} is {state}{hold}: {} owed", subscription.id, subscription.backlog.owed)
}
