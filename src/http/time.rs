//! Times as the native API writes them: RFC 3339 in UTC, with microseconds.

pub(super) use crate::clock::rfc3339;

use super::problem::Problem;
use crate::domain::time::Timestamp;

/// Reads RFC 3339 with `Z` or an offset.
fn parse(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

/// The instant that the field `name` of a request means.
///
/// # Errors
/// 422 for what is no time.
pub(super) fn instant(name: &str, text: &str) -> Result<Timestamp, Problem> {
    parse(text)
        .ok_or_else(|| Problem::invalid(format!("\"{name}\" must be a time like 2026-11-24T03:00:00Z (RFC 3339).")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_its_text() {
        let at = Timestamp::from_micros(1_800_000_000_123_456);
        assert_eq!(parse(&rfc3339(at)), Some(at));
        assert_eq!(parse("2027-01-15T11:00:00.123456+03:00"), Some(at));
        assert_eq!(parse("tomorrow"), None);
    }
}
