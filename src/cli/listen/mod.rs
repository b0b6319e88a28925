//! `postrider listen`: a receiver for trying things out, which checks what it gets and misbehaves when told to.

pub(crate) mod behaviour;
pub(crate) mod check;
pub(crate) mod line;
pub(crate) mod received;
pub(crate) mod receiver;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::{Args, value_parser};

use self::{
    behaviour::Behaviour,
    line::Columns,
    receiver::{Receiver, Report, Rules},
};
use super::{
    CliError,
    pretty::pretty,
    signals,
    terminal::{QUIET, Terminal, paint},
};
use crate::domain::secret::Secret;

/// Receive webhooks: print each one in a line and check its signatures
///
/// Takes POST at any path and prints each one in a line: when, where, which event, how often this delivery was seen,
/// its size, whether its two signatures are valid, and what was answered.
///
/// A delivery is told by the last 8 digits of its uuid, which is the same on every attempt. Signatures: ✓ valid, ✗ not valid
/// (wrong: another secret or another body; time: more than 5 minutes off; header: webhook-id or webhook-timestamp missing),
/// unsigned, or signed when there is no --secret to check with. Colour only on a terminal, and not with NO_COLOR.
///
/// The engine delivers to this machine only if it may: postrider serve --egress-allow 127.0.0.0/8
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListenArgs {
    /// The port
    #[arg(long, default_value = "9000", value_name = "PORT")]
    port: u16,

    /// The address; 0.0.0.0 for every one of this machine
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind: IpAddr,

    /// The subscription's secret (secret_key), to check signatures with
    #[arg(long, value_name = "SECRET", value_parser = parse_secret)]
    secret: Option<Secret>,

    /// Print the payloads, too
    #[arg(long)]
    body: bool,

    /// What is answered
    #[arg(long, default_value = "200", value_name = "CODE", value_parser = value_parser!(u16).range(200..1_000))]
    status: u16,

    /// Fail the first N attempts of each delivery
    #[arg(long, default_value = "0", value_name = "N")]
    fail_first: u32,

    /// Fail this share of the attempts by chance: 0.2 is every fifth
    #[arg(long, default_value = "0", value_name = "SHARE", value_parser = parse_share)]
    fail_rate: f64,

    /// What is answered to those that fail
    #[arg(long, default_value = "503", value_name = "CODE", value_parser = value_parser!(u16).range(200..1_000))]
    fail_status: u16,

    /// Send Retry-After with those that fail, in seconds
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,

    /// How long each answer takes, in milliseconds
    #[arg(long, default_value = "0", value_name = "MILLISECONDS")]
    delay: u64,

    /// Never answer: the sender has to give up
    #[arg(long)]
    hang: bool,
}

const EXAMPLES: &str = "\
Examples:
  postrider listen --secret s3cret
  postrider listen --body                         with payloads
  postrider listen --fail-first 2                 503, 503, then 200: see the retries
  postrider listen --status 410                   gone: the subscription is paused
  postrider listen --fail-rate 0.3 --delay 500    slow and unreliable
  postrider listen --hang                         see the sender's time-out";

fn parse_secret(text: &str) -> Result<Secret, String> {
    if text.is_empty() { Err("a secret cannot be empty".to_owned()) } else { Ok(Secret::new(text)) }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "not a number from 0 to 1".to_owned())
}

impl ListenArgs {
    const fn behaviour(&self) -> Behaviour {
        Behaviour {
            status: self.status,
            fail_status: self.fail_status,
            fail_first: self.fail_first,
            fail_rate: self.fail_rate,
            retry_after: self.retry_after,
            delay: Duration::from_millis(self.delay),
            hang: self.hang,
        }
    }
}

pub(super) async fn run(args: ListenArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let behaviour = args.behaviour();
    let rules = Rules { secret: args.secret.clone(), behaviour: Box::new(move |_| behaviour.clone()) };
    let address = SocketAddr::new(args.bind, args.port);
    let (receiver, mut told) = Receiver::start(address, rules)
        .map_err(|error| CliError::refused(format!("cannot listen at {address}: {error}; see --port and --bind")))?;

    let mut columns = Columns::default();
    let hint = if args.secret.is_some() { "" } else { "; with --secret their signatures are checked" };
    terminal
        .line(paint(QUIET, format_args!("webhooks to http://{}/ appear here{hint}; Ctrl-C ends", receiver.address)))?;
    let mut end = signals::end()?;
    loop {
        tokio::select! {
            () = end.recv() => break,
            Some(report) = told.recv() => show(&mut columns, &report, args.body, terminal)?,
        }
    }
    receiver.stop().await;
    Ok(())
}

fn show(columns: &mut Columns, report: &Report, with_body: bool, terminal: &mut Terminal) -> Result<(), CliError> {
    let Report { received, seen, reply } = report;
    for line in columns.lines(received, *seen, *reply) {
        terminal.line(line)?;
    }
    if with_body {
        let text = received.payload().map_or_else(
            || format!("    {}", String::from_utf8_lossy(&received.body).escape_debug()),
            |payload| pretty(payload, "    "),
        );
        terminal.line(text)?;
    }
    Ok(())
}
