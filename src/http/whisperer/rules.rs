//! The rules of single values, with the REST framework's sentences (contract, sections 3 and 4).
//!
//! Each rule takes a JSON value that is not null and gives what is stored, or what is wrong with it.

use super::{
    errors::Fault,
    json::{Int, Json, Text, float_repr},
    text::strip,
};
use crate::domain::retry::MAX_NUMBER;

pub(super) const REQUIRED: &str = "This field is required.";
pub(super) const NULL: &str = "This field may not be null.";
/// A number is beyond what JSON can carry.
pub(super) const NO_JSON: &str = "Value must be valid JSON.";
const BLANK: &str = "This field may not be blank.";
const NO_INTEGER: &str = "A valid integer is required.";
/// A text that is to become an integer may have so many characters.
const MAX_INTEGER_TEXT: usize = 1_000;

/// Whether a text may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// It may.
    Accepted,
    /// It may not.
    Refused,
}

/// A string, or a number in Python's spelling, trimmed; at most `max` characters when there is a bound.
pub(super) fn text(value: &Json, max: Option<usize>, blank: Blank) -> Result<String, Fault> {
    let Text { text, surrogate } = match value {
        Json::Text(text) => text.clone(),
        Json::Int(number) => Text { text: number.as_str().to_owned(), surrogate: None },
        Json::Float(number) => Text { text: float_repr(*number), surrogate: None },
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => return Err(Fault::text("Not a valid string.")),
    };
    let text = strip(&text);
    if text.is_empty() && blank == Blank::Refused {
        return Err(Fault::text(BLANK));
    }
    let mut faults = Vec::new();
    if let Some(max) = max.filter(|max| text.chars().count() > *max) {
        faults.push(format!("Ensure this field has no more than {max} characters."));
    }
    if text.contains('\0') {
        faults.push(no_null());
    }
    if let Some(unit) = surrogate {
        faults.push(no_surrogate(unit));
    }
    if faults.is_empty() { Ok(text.to_owned()) } else { Err(Fault::Texts(faults)) }
}

/// What is said about a NUL in a text.
pub(super) fn no_null() -> String {
    "Null characters are not allowed.".to_owned()
}

/// What is said about a lone surrogate in a text.
pub(super) fn no_surrogate(unit: u16) -> String {
    format!("Surrogate characters are not allowed: U+{unit:X}.")
}

/// What is said about a text that is none of the choices.
pub(super) fn no_choice(text: impl std::fmt::Display) -> Fault {
    Fault::text(format!("\"{text}\" is not a valid choice."))
}

/// A boolean, 1 or 0 (also as floats, which Python takes for the same), or one of the words.
pub(super) fn boolean(value: &Json) -> Result<bool, Fault> {
    const TRUE: [&str; 12] = ["t", "T", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On"];
    const FALSE: [&str; 12] = ["f", "F", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off"];
    let known = match value {
        Json::Bool(value) => Some(*value),
        Json::Int(number) => by_digit(number.as_str()),
        Json::Float(1.0) => Some(true),
        Json::Float(0.0) => Some(false),
        Json::Text(Text { text, .. }) => match text.as_str() {
            "ON" => Some(true),
            "OFF" => Some(false),
            word if TRUE.contains(&word) => Some(true),
            word if FALSE.contains(&word) => Some(false),
            word => by_digit(word),
        },
        Json::Null | Json::Float(_) | Json::List(_) | Json::Object(_) => None,
    };
    known.ok_or_else(|| Fault::text("Must be a valid boolean."))
}

fn by_digit(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

/// An integer from `min` to [`MAX_NUMBER`]; floats and strings will do when their fraction is zero.
pub(super) fn integer(value: &Json, min: u32) -> Result<u32, Fault> {
    let number = match value {
        Json::Int(number) => Some(number.clone()),
        Json::Float(number) => without_fraction(&float_repr(*number)),
        Json::Text(Text { text, .. }) if text.chars().count() > MAX_INTEGER_TEXT => {
            return Err(Fault::text("String value too large."));
        }
        Json::Text(Text { text, .. }) => without_fraction(text),
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
    };
    let number = number.ok_or_else(|| Fault::text(NO_INTEGER))?;
    if number.is_negative() || number.as_str().parse().is_ok_and(|number: u32| number < min) {
        return Err(Fault::text(format!("Ensure this value is greater than or equal to {min}.")));
    }
    let bounded = number.as_str().parse().ok().filter(|number| *number <= MAX_NUMBER);
    bounded.ok_or_else(|| Fault::text(format!("Ensure this value is less than or equal to {MAX_NUMBER}.")))
}

/// The integer in `text` once a final point with zeros behind it is cut off.
fn without_fraction(text: &str) -> Option<Int> {
    let trimmed = text.trim_end_matches(super::text::is_space);
    Int::parse(trimmed.trim_end_matches('0').strip_suffix('.').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn text_is_trimmed_coerced_and_bounded() {
        let read = |value: &str| text(&json(value), Some(5), Blank::Refused);
        for (value, stored) in [
            (r#""  pad\t""#, "pad"),
            (r#""\u001cx\u3000""#, "x"),
            ("5", "5"),
            ("1.0", "1.0"),
            ("1e22", "1e+22"),
            ("\"ğğğğğ\"", "ğğğğğ"),
            ("\" 12345 \"", "12345"),
        ] {
            assert_eq!(read(value), Ok(stored.to_owned()), "{value}");
        }
        let long = "Ensure this field has no more than 5 characters.";
        for (value, faults) in [
            ("true", &["Not a valid string."][..]),
            ("[]", &["Not a valid string."]),
            ("{}", &["Not a valid string."]),
            ("\"\"", &[BLANK]),
            ("\" \\t \"", &[BLANK]),
            ("\"123456\"", &[long]),
            ("1000000", &[long]),
            (r#""a\u0000b""#, &["Null characters are not allowed."]),
            (r#""\ud800""#, &["Surrogate characters are not allowed: U+D800."]),
            (
                r#""123\u000045\udfff""#,
                &[long, "Null characters are not allowed.", "Surrogate characters are not allowed: U+DFFF."],
            ),
        ] {
            let faults = Fault::Texts(faults.iter().map(|&text| text.to_owned()).collect());
            assert_eq!(read(value), Err(faults), "{value}");
        }
        assert_eq!(text(&json("\"  \""), Some(5), Blank::Accepted), Ok(String::new()));
    }

    #[test]
    fn booleans_have_many_words() {
        let words = |words: &str| words.split(',').map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
        for value in words("t,T,y,Y,yes,Yes,YES,true,True,TRUE,on,On,ON,1") {
            assert_eq!(boolean(&json(&value)), Ok(true), "{value}");
        }
        for value in words("f,F,n,N,no,No,NO,false,False,FALSE,off,Off,OFF,0") {
            assert_eq!(boolean(&json(&value)), Ok(false), "{value}");
        }
        for (value, truth) in
            [("true", true), ("1", true), ("1.0", true), ("false", false), ("0", false), ("-0.0", false)]
        {
            assert_eq!(boolean(&json(value)), Ok(truth), "{value}");
        }
        for value in ["2", "\"\"", "\"maybe\"", "\" true\"", "\"tRUE\"", "\"null\"", "[]", "{}", "0.5", "-1"] {
            assert_eq!(boolean(&json(value)), Err(Fault::text("Must be a valid boolean.")), "{value}");
        }
    }

    #[test]
    fn integers_may_come_as_floats_and_strings() {
        for (value, number) in [
            ("5", 5),
            ("1.0", 1),
            ("-0.0", 0),
            ("\"1.0\"", 1),
            ("\"60\"", 60),
            ("\" 7 \"", 7),
            ("\"7. \"", 7),
            ("\"100\"", 100),
            ("\"1_000\"", 1_000),
            ("2592000", 2_592_000),
        ] {
            assert_eq!(integer(&json(value), 0), Ok(number), "{value}");
        }
        for value in ["1.5", "\"abc\"", "\"\"", "true", "[]", "{}", "\".0\"", "1e22", "\"1e2\"", "\"0x1\""] {
            assert_eq!(integer(&json(value), 0), Err(Fault::text(NO_INTEGER)), "{value}");
        }
        for (value, min, sentence) in [
            ("-1", 0, "Ensure this value is greater than or equal to 0."),
            ("-1000000000000000000000000000000", 0, "Ensure this value is greater than or equal to 0."),
            ("0", 1, "Ensure this value is greater than or equal to 1."),
            ("2592001", 0, "Ensure this value is less than or equal to 2592000."),
            ("1000000000000000000000000000000", 0, "Ensure this value is less than or equal to 2592000."),
        ] {
            assert_eq!(integer(&json(value), min), Err(Fault::text(sentence)), "{value}");
        }
        let long = format!("\"{}\"", "1".repeat(1_001));
        assert_eq!(integer(&json(&long), 0), Err(Fault::text("String value too large.")));
    }
}
