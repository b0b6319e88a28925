//! How the demo tells what happens: one aligned line each.

use std::time::Duration;

use anstyle::Style;

use super::{
    board::{Arrival, Totals, is_well_signed},
    story::wait_after,
};
use crate::{
    cli::{
        listen::{
            check::Check,
            line::{ordinal, time_of_day},
            receiver::Report,
        },
        terminal::{BAD, GOOD, ODD, QUIET, STRONG, paint},
    },
    domain::time::Timestamp,
    samples::{label, name_in},
};

/// What the columns are.
pub(super) fn head() -> String {
    let head = format!("{:<12}  {:<9}  {:<26}  {:<8}  {:<10}  WHAT CAME OF IT", "TIME (UTC)", "", "EVENT", "OF", "TO");
    paint(QUIET, head)
}

/// The engine took an event.
pub(super) fn accepted(at: Timestamp, event_type: &str, number: u32, owed: u32) -> String {
    let subscriptions = if owed == 1 { "subscription" } else { "subscriptions" };
    let whom = paint(QUIET, format_args!("owed to {owed} {subscriptions}"));
    happened(at, Style::new(), "accepted", event_type, &label(event_type, number), &whom)
}

/// The engine is away while an event is to be published.
pub(super) fn waiting(at: Timestamp, event_type: &str, number: u32, why: &str) -> String {
    let what = format!("{why}; published again under the same idempotency key until it is accepted");
    happened(at, ODD, "waiting", event_type, &label(event_type, number), &what)
}

/// Something came in.
pub(super) fn arrived(report: &Report, event_type: &str, arrival: Arrival) -> String {
    let (style, what, remark) = match arrival {
        Arrival::Delivered(None) => (GOOD, "delivered", "published by somebody else".to_owned()),
        Arrival::Delivered(Some(taken)) => (GOOD, "delivered", format!("after {}", duration(taken))),
        Arrival::Refused => (BAD, "failed", format!("again in {} s", wait_after(report.seen).as_secs())),
        Arrival::Repeated => (ODD, "repeated", "the uuid tells that it had arrived".to_owned()),
    };
    let signatures = [report.received.whisperer, report.received.standard].map(Check::as_str).join(" ");
    let came_of_it = [
        format!("{:<10}", report.received.path),
        format!("{:>4} attempt", ordinal(report.seen)),
        paint(style, format_args!("{:<4}", report.reply.text())),
        paint(if is_well_signed(report) { QUIET } else { BAD }, format_args!("signed {signatures}")),
        paint(QUIET, remark),
    ];
    let of = report.received.payload().map_or_else(|| "-".to_owned(), |payload| name_in(event_type, payload));
    happened(report.received.at, style, what, event_type, &of, &came_of_it.join("  "))
}

fn happened(at: Timestamp, style: Style, what: &str, event_type: &str, of: &str, rest: &str) -> String {
    [
        paint(QUIET, time_of_day(at)),
        paint(style, format_args!("{what:<9}")),
        paint(STRONG, format_args!("{event_type:<26}")),
        format!("{of:<8}"),
        rest.to_owned(),
    ]
    .join("  ")
}

/// Something happened to the engine itself.
pub(super) fn engine(at: Timestamp, style: Style, text: &str) -> String {
    [paint(QUIET, time_of_day(at)), paint(style, format_args!("{:<9}", "engine")), paint(style, text)].join("  ")
}

/// Milliseconds below a second, seconds above.
fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// What it all came to.
pub(super) fn summary(totals: &Totals) -> String {
    let Totals { accepted, owed, arrived, refused, repeated, badly_signed } = totals;
    let signatures = if *badly_signed == 0 {
        "every signature valid".to_owned()
    } else {
        format!("{badly_signed} attempts not signed as they should be")
    };
    let repeats = if *repeated == 0 { String::new() } else { format!(", {repeated} repeated") };
    format!(
        "{accepted} events accepted, {arrived} of {owed} deliveries arrived, {refused} attempts refused on purpose{repeats}, \
         {signatures}"
    )
}
