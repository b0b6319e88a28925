//! A delivery in one aligned line.

use anstyle::Style;

use super::{behaviour::Reply, check::Check, received::Received};
use crate::{
    cli::terminal::{BAD, GOOD, ODD, QUIET, STRONG, paint},
    domain::time::Timestamp,
};

/// Hex digits of a uuid that are shown: the last ones, because the first ones are the time and alike in neighbours.
const SHORT_UUID: usize = 8;
/// The widest that a column grows; a longer text pushes its line aside, but no other one.
const MAX_PATH: usize = 24;
/// As long as the longest type of the catalogue.
const MAX_TYPE: usize = 33;

/// The widths of the two columns whose texts are not ours. They grow with what comes, so that lines stay short where they
/// can be.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    path: usize,
    event_type: usize,
    /// Whether the line above stands in these columns.
    is_headed: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self { path: 8, event_type: 22, is_headed: false }
    }
}

impl Columns {
    /// One delivery, the `seen`-th attempt of it as far as we know, and how it was answered. The heads of the columns stand
    /// above it when it is the first, or the first that is wider.
    pub(crate) fn lines(&mut self, received: &Received, seen: u32, reply: Reply) -> Vec<String> {
        let event_type = received.event_type.as_deref().unwrap_or("-");
        let path = self.path.max(received.path.chars().count().min(MAX_PATH));
        let event_type = self.event_type.max(event_type.chars().count().min(MAX_TYPE));
        let is_headed = self.is_headed && (path, event_type) == (self.path, self.event_type);
        *self = Self { path, event_type, is_headed: true };
        let head = (!is_headed).then(|| self.head());
        head.into_iter().chain([self.line(received, seen, reply)]).collect()
    }

    fn head(&self) -> String {
        let Self { path, event_type, .. } = *self;
        let head = format!(
            "{:<12}  {:<path$}  {:<event_type$}  {:<8}  {:>4}  {:>8}  {:<9}  {:<8}  ANSWER",
            "TIME (UTC)", "PATH", "EVENT", "UUID", "SEEN", "SIZE", "WHISPERER", "STANDARD"
        );
        paint(QUIET, head)
    }

    fn line(&self, received: &Received, seen: u32, reply: Reply) -> String {
        let event_type = received.event_type.as_deref().unwrap_or("-");
        [
            paint(QUIET, time_of_day(received.at)),
            format!("{:<1$}", received.path, self.path),
            paint(STRONG, format_args!("{event_type:<0$}", self.event_type)),
            format!("{:<SHORT_UUID$}", received.uuid.as_deref().map_or("-", short_uuid)),
            paint(if seen > 1 { ODD } else { Style::new() }, format_args!("{:>4}", ordinal(seen))),
            paint(QUIET, format_args!("{:>8}", size(received.body.len()))),
            checked(received.whisperer, 9),
            checked(received.standard, 8),
            paint(if reply.is_success() { GOOD } else { BAD }, reply.text()),
        ]
        .join("  ")
    }
}

fn checked(check: Check, width: usize) -> String {
    let style = match check {
        Check::Valid => GOOD,
        Check::Invalid(_) => BAD,
        Check::Unsigned => ODD,
        Check::Unchecked => QUIET,
    };
    paint(style, format_args!("{:<width$}", check.as_str()))
}

/// Hours, minutes, seconds and milliseconds, UTC.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// The end of a uuid, which tells it from its neighbours.
pub(crate) fn short_uuid(uuid: &str) -> &str {
    &uuid[uuid.ceil_char_boundary(uuid.len().saturating_sub(SHORT_UUID))..]
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
pub(crate) fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// Bytes for a person, in powers of 1,000.
fn size(bytes: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let amount = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", amount / 1e3),
        _ => format!("{:.1} MB", amount / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anstream::adapter::strip_str;
    use bytes::Bytes;

    use super::*;
    use crate::cli::listen::check::Flaw;

    fn received(path: &str, event_type: &str, standard: Check) -> Received {
        Received {
            at: Timestamp::from_micros(1_800_000_000_123_456),
            path: path.to_owned(),
            event_type: Some(event_type.to_owned()),
            uuid: Some("da81e85139824c6187dd1e58a7d3f971".to_owned()),
            whisperer: Check::Valid,
            standard,
            body: Bytes::from(vec![b'x'; 2_940]),
        }
    }

    const OK: Reply = Reply::Status { code: 200, delay: Duration::ZERO, retry_after: None };
    const BUSY: Reply = Reply::Status { code: 503, delay: Duration::from_millis(300), retry_after: Some(1) };

    #[test]
    fn deliveries_stand_below_each_other() {
        let mut columns = Columns::default();
        let mut lines = columns.lines(&received("/erp", "package.created", Check::Valid), 1, OK);
        lines.extend(columns.lines(&received("/erp", "package.created", Check::Invalid(Flaw::Mismatch)), 2, BUSY));
        lines.extend(columns.lines(&received("/", "transfer.status.in_transit", Check::Unsigned), 12, Reply::Never));
        let plain: Vec<String> = lines.iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!(plain.join("\n"), @"
        TIME (UTC)    PATH      EVENT                   UUID      SEEN      SIZE  WHISPERER  STANDARD  ANSWER
        08:00:00.123  /erp      package.created         a7d3f971   1st    2.9 kB  ✓          ✓         200
        08:00:00.123  /erp      package.created         a7d3f971   2nd    2.9 kB  ✓          ✗ wrong   503 after 300 ms
        TIME (UTC)    PATH      EVENT                       UUID      SEEN      SIZE  WHISPERER  STANDARD  ANSWER
        08:00:00.123  /         transfer.status.in_transit  a7d3f971  12th    2.9 kB  ✓          unsigned  no answer
        ");
    }

    #[test]
    fn a_path_that_is_too_long_is_shown_in_full() {
        let long = format!("/{}", "a".repeat(60));
        let lines = Columns::default().lines(&received(&long, "a.b", Check::Valid), 1, OK);
        assert!(lines[1].contains(&long));
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 111].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 111th"
        );
        assert_eq!([0, 999, 1_000, 2_940, 1_048_576].map(size).join(", "), "0 B, 999 B, 1.0 kB, 2.9 kB, 1.0 MB");
        assert_eq!(short_uuid("msg"), "msg");
        assert_eq!(short_uuid("ğğğğğğ"), "ğğğğ");
    }
}
