//! `postrider send`: publishes events, one after the other.

use std::{io::Read, path::PathBuf, time::Duration};

use actix_web::http::Uri;
use clap::Args;
use serde_json::value::RawValue;

use super::{
    CliError,
    client::{Api, Publication, Published},
    pretty::pretty,
    terminal::{GOOD, QUIET, STRONG, Terminal, paint},
};
use crate::{
    clock::Clock,
    domain::{
        event_type::{EventType, OMS_EVENT_TYPES},
        secret::Secret,
    },
    samples::sample,
};

/// Publish an event: your own, or a sample
///
/// Prints what the engine answered: the event's uuid, and to how many subscriptions it is owed. It is accepted for good when
/// that line appears.
///
/// The payload is any JSON text, from a file or from standard input, and goes out byte for byte as it is. Without one, a
/// sample of the type is sent: an order management system's packages, shipments, transfers and stock locations.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct SendArgs {
    /// What happened: package.created, stock_location.updated, …
    #[arg(value_name = "EVENT_TYPE", value_parser = parse_event_type)]
    event_type: EventType,

    /// A file with the payload in JSON; - reads standard input [default: a sample of the type]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Where the engine is
    #[arg(long, env = "POSTRIDER_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = parse_url)]
    url: Uri,

    /// The token of an admin or a publisher
    #[arg(long, env = "POSTRIDER_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = parse_token)]
    token: Option<Secret>,

    /// Events of one key arrive in order where a subscription asks for it [default: the object and payload.id, package:73]
    #[arg(long, value_name = "KEY")]
    ordering_key: Option<String>,

    /// What is published twice under one key within 24 hours is one event
    #[arg(long, value_name = "KEY", conflicts_with = "count")]
    idempotency_key: Option<String>,

    /// How many events to publish; samples are numbered
    #[arg(long, default_value = "1", value_name = "N")]
    count: u32,

    /// The number of the first sample: samples of one number are about one and the same thing
    #[arg(long, default_value = "1", value_name = "NUMBER", conflicts_with = "file")]
    number: u32,

    /// Only print the payload
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  export POSTRIDER_TOKEN=…
  postrider send package.created
  postrider send package.status.shipped --count 100
  postrider send package.created order.json --idempotency-key order-4711-created
  jq .package export.json | postrider send package.created - --ordering-key package:73
  postrider send stock_location.updated --dry-run > payload.json";

pub(super) fn parse_url(text: &str) -> Result<Uri, String> {
    let uri = text.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    uri.ok_or_else(|| "expected http://HOST:PORT or https://HOST".to_owned())
}

fn parse_event_type(text: &str) -> Result<EventType, String> {
    EventType::parse(text).map_err(|error| error.to_string())
}

pub(super) fn parse_token(text: &str) -> Result<Secret, String> {
    crate::domain::token::check_token(text).map(|()| Secret::new(text)).map_err(|error| error.to_string())
}

pub(super) async fn run(args: SendArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let clock = Clock::system();
    let given = args.file.as_ref().map(read_payload).transpose()?;
    let payload_of = |number| match &given {
        Some(payload) => Ok(payload.clone()),
        None => sample(args.event_type.as_str(), number, clock.now()).ok_or_else(|| no_sample(&args.event_type)),
    };
    if args.dry_run {
        return Ok(terminal.line(pretty(payload_of(args.number)?.get(), ""))?);
    }
    let token = args.token.clone().ok_or_else(|| CliError::refused("a token is needed: --token or POSTRIDER_TOKEN"))?;
    let api = Api::new(&args.url, token);
    let start = clock.now();
    for number in (args.number..).take(args.count as usize) {
        let payload = payload_of(number)?;
        let publication = Publication {
            event_type: args.event_type.as_str(),
            payload: &payload,
            ordering_key: args.ordering_key.as_deref(),
            idempotency_key: args.idempotency_key.as_deref(),
        };
        let sent_at = clock.now();
        let published = api.publish(&publication).await?;
        terminal.line(accepted(&args.event_type, &published, clock.now().since(sent_at)))?;
    }
    if args.count > 1 {
        let in_all = clock.now().since(start);
        terminal.line(paint(QUIET, format_args!("{} events in {:.2} s", args.count, in_all.as_secs_f64())))?;
    }
    Ok(())
}

fn accepted(event_type: &EventType, published: &Published, taken: Duration) -> String {
    let owed = match published.deliveries {
        0 => "nobody subscribes to it".to_owned(),
        1 => "owed to 1 subscription".to_owned(),
        count => format!("owed to {count} subscriptions"),
    };
    let taken = format!("{:.1} ms", taken.as_secs_f64() * 1e3);
    format!(
        "{}  {}  {}  {owed}  {}",
        paint(GOOD, "accepted"),
        paint(STRONG, event_type),
        published.uuid,
        paint(QUIET, taken)
    )
}

fn no_sample(event_type: &EventType) -> CliError {
    CliError::refused(format!(
        "there is no sample of {event_type}: give a FILE, or choose one of {}",
        OMS_EVENT_TYPES.join(", ")
    ))
}

/// The payload, checked here so that a typing error is told with its line.
fn read_payload(path: &PathBuf) -> Result<Box<RawValue>, CliError> {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| CliError::refused(format!("cannot read {name}: {error}")))?;
    RawValue::from_string(text.trim().to_owned())
        .map_err(|error| CliError::refused(format!("{name} is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn an_accepted_event_is_told_in_a_line() {
        let event_type = EventType::parse("package.created").expect("a type");
        let published = Published { uuid: "0193-7".to_owned(), deliveries: 2 };
        let line = accepted(&event_type, &published, Duration::from_micros(6_540));
        assert_eq!(strip_str(&line).to_string(), "accepted  package.created  0193-7  owed to 2 subscriptions  6.5 ms");
    }
}
