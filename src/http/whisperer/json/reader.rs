//! The grammar of JSON, walked as CPython 3.11's scanner walks it, so that it stops at the same place with the same words.

use std::ops::Range;

use super::{Int, Json, Object, Text};

/// Arrays and objects inside each other. CPython gives up at about a thousand; we far earlier, because what is stored must
/// be readable by others (`serde_json` stops at 128).
const MAX_DEPTH: usize = 100;
/// CPython's bound on the digits of an integer.
const MAX_DIGITS: usize = 4_300;

/// Reads the one value that `text` is.
///
/// # Errors
/// CPython's message.
pub(super) fn read(text: &str) -> Result<Json, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    if text.starts_with('\u{feff}') {
        return Err(reader.fault("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    reader.skip_blanks();
    let value = reader.value()?;
    reader.skip_blanks();
    if reader.at < text.len() {
        return Err(reader.fault("Extra data", reader.at));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte to look at; always at the border of a character.
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    /// `message` with the place of the character at byte `at`: lines and columns count from 1, characters from 0.
    fn fault(&self, message: &str, at: usize) -> String {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{message}: line {line} column {column} (char {})", before.chars().count())
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Read<Json> {
        match self.peek() {
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(_) => self.word().unwrap_or_else(|| self.number()),
            None => Err(self.fault("Expecting value", self.at)),
        }
    }

    fn word(&mut self) -> Option<Read<Json>> {
        let words = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        for (word, value) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Some(Ok(value));
            }
        }
        let constant = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| self.rest().starts_with(word))?;
        Some(Err(format!("Out of range float values are not JSON compliant: '{constant}'")))
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Json>) -> Read<Json> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("Arrays and objects are nested too deeply", self.at));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// After the `[`.
    fn list(&mut self) -> Read<Json> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::List(items));
            }
            self.comma()?;
        }
    }

    /// After the `{`.
    fn object(&mut self) -> Read<Json> {
        let mut entries = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(Object::default()));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("Expecting property name enclosed in double quotes", self.at));
            }
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return Err(self.fault("Expecting ':' delimiter", self.at));
            }
            self.skip_blanks();
            entries.push((name, self.value()?));
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(Object::new(entries)));
            }
            self.comma()?;
        }
    }

    fn comma(&mut self) -> Read<()> {
        if !self.take(b',') {
            return Err(self.fault("Expecting ',' delimiter", self.at));
        }
        self.skip_blanks();
        Ok(())
    }

    fn number(&mut self) -> Read<Json> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits_from = |at: usize| at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = start + usize::from(bytes[start] == b'-');
        let mut end = match bytes.get(first) {
            Some(b'0') => first + 1,
            Some(b'1'..=b'9') => digits_from(first),
            Some(_) | None => return Err(self.fault("Expecting value", start)),
        };
        let integer = first..end;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits_from(end + 1);
            end = if fraction > end + 1 { fraction } else { end };
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let digits = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits_from(digits);
            end = if exponent > digits { exponent } else { end };
        }
        self.at = end;
        self.number_of(start..end, &integer)
    }

    fn number_of(&self, number: Range<usize>, integer: &Range<usize>) -> Read<Json> {
        if integer.end < number.end {
            return Ok(Json::Float(self.text[number].parse().expect("JSON's floats are Rust's")));
        }
        if integer.len() > MAX_DIGITS {
            return Err(format!(
                "Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {} digits; use \
                 sys.set_int_max_str_digits() to increase the limit",
                integer.len()
            ));
        }
        Ok(Json::Int(Int::from_digits(&self.text[number])))
    }

    /// From the opening quote.
    fn string(&mut self) -> Read<Text> {
        let begin = self.at;
        let mut read = Text::default();
        self.at += 1;
        loop {
            let plain = self.rest().find(|c| c == '"' || c == '\\' || c <= '\u{1f}');
            let Some(length) = plain else { return Err(self.fault("Unterminated string starting at", begin)) };
            read.text.push_str(&self.text[self.at..self.at + length]);
            self.at += length;
            if self.take(b'"') {
                return Ok(read);
            }
            if self.peek() != Some(b'\\') {
                return Err(self.fault("Invalid control character at", self.at));
            }
            self.at += 1;
            let Some(escape) = self.rest().chars().next() else {
                return Err(self.fault("Unterminated string starting at", begin));
            };
            if escape == 'u' {
                self.unicode_escape(&mut read)?;
            } else {
                let Some(c) = short_escape(escape) else { return Err(self.fault("Invalid \\escape", self.at - 1)) };
                read.text.push(c);
                self.at += 1;
            }
        }
    }

    /// From the `u` of `\uXXXX`, and of a second one that completes a surrogate pair.
    fn unicode_escape(&mut self, read: &mut Text) -> Read<()> {
        let unit = self.hex_after_u()?;
        // CPython looks for the other half only where the string can still end behind it.
        let pair =
            (0xd800..0xdc00).contains(&unit) && self.rest().starts_with("\\u") && self.rest().chars().nth(6).is_some();
        if pair {
            let before = self.at;
            self.at += 1;
            let low = self.hex_after_u()?;
            if let Some(Ok(c)) = char::decode_utf16([unit, low]).next() {
                read.text.push(c);
                return Ok(());
            }
            self.at = before;
        }
        if let Some(c) = char::from_u32(u32::from(unit)) {
            read.text.push(c);
        } else {
            read.text.push(char::REPLACEMENT_CHARACTER);
            read.surrogate.get_or_insert(unit);
        }
        Ok(())
    }

    fn hex_after_u(&mut self) -> Read<u16> {
        let digits = self.rest().get(1..5).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        // Where the text ends with the digits CPython complains about them, not about the missing quote.
        match unit {
            Some(unit) if self.at + 5 < self.text.len() => {
                self.at += 5;
                Ok(unit)
            }
            Some(_) | None => Err(self.fault("Invalid \\uXXXX escape", self.at)),
        }
    }
}

const fn short_escape(escape: char) -> Option<char> {
    match escape {
        '"' | '\\' | '/' => Some(escape),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> String {
        read(text).expect_err(text)
    }

    /// Each was asked of CPython 3.11.
    #[test]
    fn faults_are_told_in_cpythons_words() {
        for (text, message) in [
            ("", "Expecting value: line 1 column 1 (char 0)"),
            (" \n x", "Expecting value: line 2 column 2 (char 3)"),
            ("{bad", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("{'a':1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("{\"a\":1,}", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
            ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("{\"a\":1 \"b\":2}", "Expecting ',' delimiter: line 1 column 8 (char 7)"),
            ("{\"a\":}", "Expecting value: line 1 column 6 (char 5)"),
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            ("[1", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
            ("{} x", "Extra data: line 1 column 4 (char 3)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("1.", "Extra data: line 1 column 2 (char 1)"),
            ("1e+", "Extra data: line 1 column 2 (char 1)"),
            ("-", "Expecting value: line 1 column 1 (char 0)"),
            ("-a", "Expecting value: line 1 column 1 (char 0)"),
            ("nul", "Expecting value: line 1 column 1 (char 0)"),
            ("\"ş", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("\"a\\", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("\"a\\x\"", "Invalid \\escape: line 1 column 3 (char 2)"),
            ("\"ş\ta\"", "Invalid control character at: line 1 column 3 (char 2)"),
            ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\u0041", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\u+041\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"\\ud83d\\u12x4\"", "Invalid \\uXXXX escape: line 1 column 9 (char 8)"),
            ("[NaN]", "Out of range float values are not JSON compliant: 'NaN'"),
            ("-Infinity", "Out of range float values are not JSON compliant: '-Infinity'"),
            ("\u{feff}{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
        ] {
            assert_eq!(fault(text), message, "{text:?}");
        }
        assert!(fault(&"1".repeat(4_301)).starts_with("Exceeds the limit (4300 digits)"));
    }

    #[test]
    fn strings_may_hold_pairs_and_lone_surrogates() {
        let text = |json: &str| match read(json) {
            Ok(Json::Text(text)) => (text.text, text.surrogate),
            other => panic!("{json}: {other:?}"),
        };
        assert_eq!(text(r#""\u0130\ud83d\ude00\/\n""#), ("İ😀/\n".to_owned(), None));
        assert_eq!(text(r#""a\ud800b\udc00""#), ("a\u{fffd}b\u{fffd}".to_owned(), Some(0xd800)));
        assert_eq!(text(r#""\ud800\u0041 ""#), ("\u{fffd}A ".to_owned(), Some(0xd800)));
        assert_eq!(text(r#""\udc00""#), ("\u{fffd}".to_owned(), Some(0xdc00)));
    }

    #[test]
    fn an_integer_keeps_its_digits_and_a_float_its_kind() {
        let int = |digits| Ok(Json::Int(Int::from_digits(digits)));
        assert_eq!(read("1000000000000000000000000000000"), int("1000000000000000000000000000000"));
        assert_eq!(read("-0"), int("0"));
        assert_eq!(read("1.0"), Ok(Json::Float(1.0)));
        assert_eq!(read("1E2"), Ok(Json::Float(100.0)));
        assert_eq!(read("1e400"), Ok(Json::Float(f64::INFINITY)));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(fault(&nested(MAX_DEPTH + 1)).contains("nested too deeply"));
        assert!(fault(&"[{\"a\":".repeat(100_000)).contains("nested too deeply"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\[\]{}",:\\u0-9a-fnulltruE+. \-ş\n]{0,40}"#) {
            drop(read(&text));
        }

        #[test]
        fn what_others_read_is_read(bytes in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,30}") {
            drop(Json::parse(&bytes));
            let json = serde_json::to_string(&text).expect("a string");
            prop_assert_eq!(read(&json), Ok(Json::Text(Text { text, surrogate: None })));
        }
    }
}
