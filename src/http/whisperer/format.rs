//! How values look in answers: dates, durations, bytes (contract, sections 3, 7 and 9).

use std::{fmt::Write as _, time::Duration};

use jiff::Timestamp as Instant;

use crate::domain::time::Timestamp;

/// UTC with microseconds, which are left out when they are zero: `2026-11-23T23:23:00.356102Z`.
pub(super) fn date(at: Timestamp) -> String {
    let (seconds, micros) = (at.as_micros().div_euclid(1_000_000), at.as_micros().rem_euclid(1_000_000));
    // Outside of the years that have a date the nearest one that has.
    let instant = Instant::from_second(seconds).unwrap_or(if seconds < 0 { Instant::MIN } else { Instant::MAX });
    let text = instant.strftime("%Y-%m-%dT%H:%M:%S");
    if micros == 0 { format!("{text}Z") } else { format!("{text}.{micros:06}Z") }
}

/// `00:00:00.012345`, or `1 02:03:04.000005` from a day on; the fraction is left out when it is zero.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    let mut text = String::new();
    if seconds >= 86_400 {
        write!(text, "{} ", seconds / 86_400).expect("a String takes any text");
    }
    let (hours, minutes) = (seconds % 86_400 / 3_600, seconds % 3_600 / 60);
    write!(text, "{hours:02}:{minutes:02}:{:02}", seconds % 60).expect("a String takes any text");
    if micros > 0 {
        write!(text, ".{micros:06}").expect("a String takes any text");
    }
    text
}

/// Seconds as the answer to `/retry/` shows them: `0.012345`. Below 100 µs, where the reference never came, digits as
/// well and no exponent.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:06}", duration.as_secs(), duration.subsec_micros());
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// Python's `repr(bytes)`: `b'OK'`, in double quotes when there is a single one and no double one.
pub(super) fn bytes_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\'' if quote == '\'' => text.push_str("\\'"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a String takes any text"),
        }
    }
    text.push(quote);
    text
}

/// `json` as the REST framework writes it: characters stand for themselves, but for two line ends of JavaScript.
pub(super) fn escape_line_ends(json: String) -> String {
    if json.contains(['\u{2028}', '\u{2029}']) {
        json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    } else {
        json
    }
}

/// The same JSON without blanks between its tokens. `json` has to be valid.
pub(super) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        text.push(c);
    }
    escape_line_ends(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_microseconds_or_no_fraction() {
        for (micros, text) in [
            (1_795_476_180_356_102, "2026-11-23T23:23:00.356102Z"),
            (1_795_476_180_000_000, "2026-11-23T23:23:00Z"),
            (1_795_476_180_000_001, "2026-11-23T23:23:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(date(Timestamp::from_micros(micros)), text);
        }
        date(Timestamp::from_micros(i64::MAX));
        date(Timestamp::from_micros(i64::MIN));
    }

    #[test]
    fn a_duration_has_days_only_from_a_day_on() {
        for (micros, text) in [
            (12_345, "00:00:00.012345"),
            (10_000_000, "00:00:10"),
            (93_784_000_005, "1 02:03:04.000005"),
            (0, "00:00:00"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        for (micros, text) in [(12_345, "0.012345"), (1_000_000, "1.0"), (10, "0.00001"), (72, "0.000072"), (0, "0.0")]
        {
            assert_eq!(seconds(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn bytes_look_as_in_python() {
        for (bytes, text) in [
            (&b"OK"[..], "b'OK'"),
            (b"", "b''"),
            (b"\xc4\xb0", r"b'\xc4\xb0'"),
            (b"a\0b\x7f", r"b'a\x00b\x7f'"),
            (b"it's", "b\"it's\""),
            (b"it's \"so\"", r#"b'it\'s "so"'"#),
            (b"\"so\"", "b'\"so\"'"),
            (b"a\\\t\n\r", r"b'a\\\t\n\r'"),
        ] {
            assert_eq!(bytes_repr(bytes), text);
        }
    }

    #[test]
    fn blanks_go_where_they_mean_nothing() {
        assert_eq!(
            compact("{ \"a\" :\n[1, \"b c\\\" \\\\\" ,\t\"\u{2028}\"] }"),
            "{\"a\":[1,\"b c\\\" \\\\\",\"\\u2028\"]}"
        );
    }
}
