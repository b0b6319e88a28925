//! Numbers as Python writes them.

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

    /// What Python's `int(text)` gives for ASCII text: blanks around it, a sign, single underscores between digits. `None`
    /// where Python raises `ValueError`.
    pub(in super::super) fn parse(text: &str) -> Option<Self> {
        let text = super::super::text::strip(text);
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if !digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit())) {
            return None;
        }
        Some(Self::from_digits(&format!("{sign}{}", digits.replace('_', ""))))
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
        ] {
            assert_eq!(Int::parse(text).as_ref().map(Int::as_str), value, "{text:?}");
        }
    }
}
