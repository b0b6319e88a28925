//! Times as the native API writes them: RFC 3339 in UTC, with microseconds.

pub(super) use crate::clock::rfc3339;
use crate::domain::time::Timestamp;

/// Reads RFC 3339 with `Z` or an offset.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
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
