//! Text as Python takes it.

/// What Python's `str.isspace` says of a character: Unicode's white space and the four separators of ASCII.
pub(super) const fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// Python's `str.strip`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}
