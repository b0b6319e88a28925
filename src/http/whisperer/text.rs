//! Text as Python takes it.

use std::borrow::Cow;

/// The decimal zeros of Unicode 14, which Python 3.11 knows; behind each follow the digits to nine.
const ZEROS: [u32; 66] = [
    0x0030, 0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x1_04a0, 0x1_0d30, 0x1_1066, 0x1_10f0,
    0x1_1136, 0x1_11d0, 0x1_12f0, 0x1_1450, 0x1_14d0, 0x1_1650, 0x1_16c0, 0x1_1730, 0x1_18e0, 0x1_1950, 0x1_1c50,
    0x1_1d50, 0x1_1da0, 0x1_6a60, 0x1_6ac0, 0x1_6b50, 0x1_d7ce, 0x1_d7d8, 0x1_d7e2, 0x1_d7ec, 0x1_d7f6, 0x1_e140,
    0x1_e2f0, 0x1_e950, 0x1_fbf0,
];

/// What Python's `str.isspace` says of a character: Unicode's white space and the four separators of ASCII.
pub(super) const fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Python's `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text` with the decimal digits of all scripts as those of ASCII, which is how Python's numbers read them.
pub(super) fn with_ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { text.chars().map(ascii_digit).collect() }
}

fn ascii_digit(c: char) -> char {
    let after_zero = ZEROS.iter().filter_map(|zero| u32::from(c).checked_sub(*zero)).find(|digit| *digit < 10);
    after_zero.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_are_digits() {
        assert_eq!(with_ascii_digits("-\u{663}\u{6f4}\u{967}_\u{ff19}.\u{1d7ff}x1"), "-341_9.9x1");
        assert_eq!(with_ascii_digits("\u{b2}\u{2460}\u{4e00}\u{bf0}"), "\u{b2}\u{2460}\u{4e00}\u{bf0}");
        assert_eq!(ZEROS.map(|zero| char::from_u32(zero).map(ascii_digit)), [Some('0'); 66]);
    }
}
