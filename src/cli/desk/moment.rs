//! Times as a person gives and reads them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use crate::domain::time::Timestamp;

/// A time, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// This one.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl Moment {
    /// The time that is meant, if it is `now`.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(wait) => now.before(wait),
        }
    }
}

/// `2026-11-24T03:00:00Z`, or `2h`.
pub(super) fn parse_moment(text: &str) -> Result<Moment, String> {
    let moment = parse_time(text).map(Moment::At).or_else(|_| parse_duration(text).map(Moment::Ago));
    moment.map_err(|_| "expected a time like 2026-11-24T03:00:00Z, or how long ago: 30m, 2h, 1d".to_owned())
}

/// RFC 3339, with `Z` or an offset.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let at: Result<jiff::Timestamp, _> = text.parse();
    let at = at.map_err(|_| "expected a time like 2026-11-24T03:00:00Z, with Z or an offset".to_owned())?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

/// `90s`, `30m`, `2h 30m`, `1d`; a day has 24 hours.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let length = span.ok().and_then(|span| Duration::try_from(span).ok()).filter(|length| !length.is_zero());
    length.ok_or_else(|| "expected a length of time like 30m, 2h or 1d".to_owned())
}

/// RFC 3339 without the fraction of the second; what is no time stays as it is.
pub(super) fn to_the_second(text: &str) -> String {
    let at: Option<jiff::Timestamp> = text.parse().ok();
    at.map_or_else(|| text.to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A length of time in the largest unit of which there are two or more.
pub(super) fn how_long(length: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let seconds = length.as_secs();
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= 2 * unit);
    unit.map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z.
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn a_moment_is_a_time_or_lies_so_long_ago() {
        let at = |text| parse_moment(text).map(|moment| moment.at(NOW));
        assert_eq!(at("2027-01-15T11:00:00+03:00"), Ok(NOW));
        assert_eq!(at("2h 30m"), Ok(NOW.before(Duration::from_mins(150))));
        assert_eq!(at("1d"), Ok(NOW.before(Duration::from_hours(24))));
        for text in ["", "yesterday", "5", "0s", "-2h", "1 month", "2027-01-15", "2027-01-15T11:00:00"] {
            assert!(at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_are_told_in_one_unit() {
        let told = |seconds| how_long(Duration::from_secs(seconds));
        assert_eq!(
            [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(told),
            ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]
        );
    }

    #[test]
    fn times_are_told_to_the_second() {
        assert_eq!(to_the_second("2026-11-24T14:24:24.123456Z"), "2026-11-24T14:24:24Z");
        assert_eq!(to_the_second("soon"), "soon");
    }
}
