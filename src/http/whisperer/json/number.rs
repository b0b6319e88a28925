//! Numbers as Python reads and writes them.

use super::super::text::{strip, with_ascii_digits};

/// C's `isspace`.
const BLANKS_IN_C: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

/// An integer of any size, in decimal: an optional `-`, then digits without leading zeros; never `-0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Int(String);

impl Int {
    /// From an optional `-` and at least one ASCII digit.
    pub(in super::super) fn from_digits(text: &str) -> Self {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        let digits = digits.trim_start_matches('0');
        Self(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") })
    }

    /// What Python's `int(text)` gives: blanks around it, a sign, single underscores between digits of any script. `None`
    /// where Python raises `ValueError`.
    pub(in super::super) fn parse(text: &str) -> Option<Self> {
        literal(text, |digits| digits, char::is_ascii_digit).map(|literal| Self::from_digits(&literal))
    }

    /// The decimal digits, with `-` when negative.
    pub(in super::super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in super::super) fn is_zero(&self) -> bool {
        self.0 == "0"
    }

    pub(in super::super) fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }
}

/// What Python's `int(text, 16)` gives, where it has 128 bits and is not negative: as [`Int::parse`], perhaps with `0x`.
pub(in super::super) fn hexadecimal(text: &str) -> Option<u128> {
    u128::from_str_radix(&literal(text, behind_0x, char::is_ascii_hexdigit)?, 16).ok()
}

/// An underscore may stand between the prefix and the first digit.
fn behind_0x(digits: &str) -> &str {
    let prefixes = ["0x_", "0X_", "0x", "0X"];
    prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)).unwrap_or(digits)
}

/// The sign, if it is `-`, and the digits of an integer.
fn literal(given: &str, digits_of: fn(&str) -> &str, is_digit: fn(&char) -> bool) -> Option<String> {
    let text = with_ascii_digits(given);
    // Of ASCII text Python takes off what is a blank in C, of any other what is one in Unicode.
    let text = if given.is_ascii() { text.trim_matches(BLANKS_IN_C) } else { strip(&text) };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits_of(digits);
    let are_digits = |group: &str| !group.is_empty() && group.chars().all(|c| is_digit(&c));
    digits.split('_').all(are_digits).then(|| format!("{sign}{}", digits.replace('_', "")))
}

/// Python's `repr(value)`: the shortest digits that give the same double, with an exponent below 1e-4 and from 1e16.
pub(in super::super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a small number");
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_in_python() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e5, "100000.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (123_456.789, "123456.789"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float_repr(value), text);
        }
    }

    #[test]
    fn integers_are_read_as_in_python() {
        for (text, value) in [
            ("60", Some("60")),
            (" 60\n", Some("60")),
            ("+5", Some("5")),
            ("-0", Some("0")),
            ("007", Some("7")),
            ("1_000", Some("1000")),
            ("1__0", None),
            ("_1", None),
            ("", None),
            ("-", None),
            ("- 1", None),
            ("1.0", None),
            ("0x1", None),
            ("-\u{663}_\u{ff14}", Some("-34")),
            ("\u{1c}\u{663}\u{2003}", Some("3")),
            ("\u{1c}3", None),
            ("\u{b}3", Some("3")),
            ("\u{b2}", None),
        ] {
            assert_eq!(Int::parse(text).as_ref().map(Int::as_str), value, "{text:?}");
        }
    }

    #[test]
    fn hexadecimal_integers_are_read_as_in_python() {
        for (text, value) in [
            ("ff", Some(0xff)),
            ("+0Xf_\u{661}", Some(0xf1)),
            ("0x_1", Some(1)),
            (" 1 ", Some(1)),
            ("0x", None),
            ("-1", None),
            ("f__f", None),
            ("g", None),
            ("100000000000000000000000000000000", None),
        ] {
            assert_eq!(hexadecimal(text), value, "{text:?}");
        }
    }
}
