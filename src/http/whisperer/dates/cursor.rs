//! Steps through a text; whatever does not fit stays where it is.

/// What is left of a text.
pub(super) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn sees_digit(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Steps over `c` if it is next.
    pub(super) fn take(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Steps over `c`, which must be next.
    pub(super) fn literal(&mut self, c: char) -> Option<()> {
        self.take(c).then_some(())
    }

    /// Steps over one character.
    pub(super) fn any(&mut self) -> Option<char> {
        let mut rest = self.0.chars();
        let c = rest.next()?;
        self.0 = rest.as_str();
        Some(c)
    }

    /// Steps over blanks; whether there were any.
    pub(super) fn blanks(&mut self) -> bool {
        let rest = self.0.trim_start_matches(crate::http::whisperer::text::is_space);
        let found = rest.len() < self.0.len();
        self.0 = rest;
        found
    }

    /// Steps over ASCII letters.
    pub(super) fn word(&mut self) -> &'a str {
        let length = self.0.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        word
    }

    /// A number of at least `min` digits; of more than `max` the first ones.
    pub(super) fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        let length = self.0.bytes().take(max).take_while(u8::is_ascii_digit).count();
        if length < min {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        digits.parse().ok()
    }

    /// A number of one or two digits; in the place of the first one may be a blank.
    pub(super) fn padded_number(&mut self) -> Option<u32> {
        if self.take(' ') { self.number(1, 1).filter(|number| *number > 0) } else { self.number(1, 2) }
    }

    /// One to six digits behind a point, as microseconds.
    pub(super) fn number_of_micros(&mut self) -> Option<u32> {
        let before = self.0.len();
        let number = self.number(1, 6)?;
        let digits = u32::try_from(before - self.0.len()).ok()?;
        Some(number * 10_u32.pow(6 - digits))
    }

    /// Any digits behind a point, as microseconds; those beyond the sixth are dropped.
    pub(super) fn fraction(&mut self) -> Option<u32> {
        let micros = self.number_of_micros()?;
        self.0 = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        Some(micros)
    }
}
