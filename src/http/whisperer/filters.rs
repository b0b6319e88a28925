//! Filters of lists, as the reference's form fields read them (contract, section 6).
//!
//! A parameter that is missing or empty filters nothing; what is wrong with several is told together.

use uuid::Uuid;

use super::{
    dates,
    errors::{Fault, Faults},
    json::hexadecimal,
    query::Query,
    rules::no_null,
    text::{strip, with_ascii_digits},
};
use crate::domain::time::Timestamp;

/// The bound of the reference's number filters.
const GREATEST_NUMBER: f64 = 1e50;

/// Reads filters and gathers what is wrong with them, in the order in which they are asked for.
pub(super) struct Filters<'a> {
    query: &'a Query,
    faults: Faults,
}

impl<'a> Filters<'a> {
    pub(super) fn new(query: &'a Query) -> Self {
        Self { query, faults: Faults::default() }
    }

    /// What is wrong with the filters read so far.
    pub(super) fn faults(self) -> Result<(), Faults> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    /// Trimmed text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = strip(self.query.get(name)?);
        if text.contains('\0') {
            self.faults.add(name, Fault::text(no_null()));
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// One of the words of Django's three-state field; anything else filters nothing.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        match self.query.get(name)? {
            "true" | "True" | "2" => Some(true),
            "false" | "False" | "3" => Some(false),
            _ => None,
        }
    }

    /// A uuid in any of the spellings that Python's `UUID` takes.
    pub(super) fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        // A NUL is none of the digits: one fault, not two.
        let text = strip(self.query.get(name)?);
        if text.is_empty() {
            return None;
        }
        let digits = text.replace("urn:", "").replace("uuid:", "");
        let digits = digits.trim_matches(['{', '}']).replace('-', "");
        let number = (digits.chars().count() == 32).then(|| hexadecimal(&digits)).flatten();
        let uuid = number.map(Uuid::from_u128);
        self.or_fault(name, uuid, "Enter a valid UUID.")
    }

    /// A number without its fraction. Whatever no 64 bits hold becomes the greatest or the least number of 64 bits.
    pub(super) fn whole_number(&mut self, name: &'static str) -> Option<i64> {
        let number = decimal(&with_ascii_digits(strip(self.given(name)?)).replace('_', ""));
        if number.is_some_and(|number| number > GREATEST_NUMBER) {
            self.faults.add(name, Fault::text("Ensure this value is less than or equal to 1e+50."));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the cast cuts the fraction and saturates")]
        self.or_fault(name, number.map(|number| number as i64), "Enter a number.")
    }

    /// An instant.
    pub(super) fn date(&mut self, name: &'static str) -> Option<Timestamp> {
        let date = dates::parse(self.given(name)?);
        self.or_fault(name, date, "Enter a valid date/time.")
    }

    /// The text of an id that must be one of those that exist; the caller finds out.
    pub(super) fn choice(&self, name: &str) -> Option<&'a str> {
        self.given(name)
    }

    fn given(&self, name: &str) -> Option<&'a str> {
        self.query.get(name).filter(|text| !text.is_empty())
    }

    /// Notes that there is nothing with the id.
    pub(super) fn no_such_choice(&mut self, name: &'static str) {
        let sentence = "Select a valid choice. That choice is not one of the available choices.";
        self.faults.add(name, Fault::text(sentence));
    }

    fn or_fault<T>(&mut self, name: &'static str, read: Option<T>, sentence: &str) -> Option<T> {
        if read.is_none() {
            self.faults.add(name, Fault::text(sentence));
        }
        read
    }
}

/// A finite decimal number as Python's `Decimal` reads it.
fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    // What exceeds a double is beyond every bound.
    text.parse().ok().filter(|_| is_decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, read: impl Fn(&mut Filters<'_>) -> Option<T>) -> Result<Option<T>, String> {
        let query = Query::parse(text);
        let mut filters = Filters::new(&query);
        let value = read(&mut filters);
        filters.faults().map(|()| value).map_err(|faults| serde_json::to_string(&faults).expect("faults serialise"))
    }

    #[test]
    fn text_is_trimmed_and_nothing_filters_nothing() {
        let text = |query: &str| read(query, |filters| filters.text("x"));
        assert_eq!(text("x=+a+b+"), Ok(Some("a b".to_owned())));
        assert_eq!(text("x="), Ok(None));
        assert_eq!(text("x=++"), Ok(None));
        assert_eq!(text("y=1"), Ok(None));
        assert_eq!(text("x=1&x="), Ok(None));
        assert_eq!(text("x=a%00"), Err(r#"{"x":["Null characters are not allowed."]}"#.to_owned()));
    }

    #[test]
    fn only_some_words_are_booleans() {
        let boolean = |query: &str| read(query, |filters| filters.boolean("x"));
        for (text, value) in
            [("true", true), ("True", true), ("2", true), ("false", false), ("False", false), ("3", false)]
        {
            assert_eq!(boolean(&format!("x={text}")), Ok(Some(value)), "{text}");
        }
        for text in ["TRUE", "FALSE", "1", "0", "maybe", "", "+true", "null"] {
            assert_eq!(boolean(&format!("x={text}")), Ok(None), "{text}");
        }
    }

    #[test]
    fn uuids_come_in_many_spellings() {
        let uuid = |text: &str| read(&format!("x={text}"), |filters| filters.uuid("x"));
        let expected = Ok(Some(Uuid::from_u128(0xda81_e851_3982_4c61_87dd_1e58_a7d3_f971)));
        for text in [
            "da81e851-3982-4c61-87dd-1e58a7d3f971",
            "DA81E85139824C6187DD1E58A7D3F971",
            "{da81e85139824c6187dd1e58a7d3f971}",
            "urn:uuid:da81e851-3982-4c61-87dd-1e58a7d3f971",
            "+da81e85139824c61-87dd1e58a7d3f971+",
        ] {
            assert_eq!(uuid(text), expected, "{text}");
        }
        for text in ["nope", "5", "da81e85139824c6187dd1e58a7d3f97", "da81e85139824c6187dd1e58a7d3f97g", "%00"] {
            assert_eq!(uuid(text), Err(r#"{"x":["Enter a valid UUID."]}"#.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_lose_their_fraction() {
        let number = |text: &str| read(&format!("x={text}"), |filters| filters.whole_number("x"));
        for (text, value) in [
            ("200", 200),
            ("200.0", 200),
            ("200.5", 200),
            ("%2B200", 200),
            ("2e2", 200),
            (".5", 0),
            ("-1", -1),
            ("5_00", 500),
            ("+500+", 500),
            ("%D9%A2%EF%BC%90%D9%A0", 200),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(number(text), Ok(Some(value)), "{text}");
        }
        for text in ["abc", "+", "NaN", "inf", "Infinity", "1e", "0x10", "1,5"] {
            assert_eq!(number(text), Err(r#"{"x":["Enter a number."]}"#.to_owned()), "{text}");
        }
        assert!(number("1e400").is_err());
    }

    #[test]
    fn a_blank_date_is_none() {
        let date = |text: &str| read(&format!("x={text}"), |filters| filters.date("x"));
        assert_eq!(date(""), Ok(None));
        assert_eq!(date("++"), Err(r#"{"x":["Enter a valid date/time."]}"#.to_owned()));
        assert_eq!(date("1970-01-01+"), Ok(Some(Timestamp::EPOCH)));
    }

    #[test]
    fn a_choice_is_not_trimmed() {
        let choice = |text: &str| read(&format!("x={text}"), |filters| filters.choice("x").map(str::to_owned));
        assert_eq!(choice(""), Ok(None));
        assert_eq!(choice("+5"), Ok(Some(" 5".to_owned())));
        assert_eq!(choice("%00"), Ok(Some("\0".to_owned())));
    }

    #[test]
    fn faults_come_together() {
        let told = read("u=1&d=x&n=y", |filters| {
            filters.uuid("u");
            filters.date("d");
            filters.whole_number("n");
            filters.no_such_choice("w");
            None::<()>
        });
        assert_eq!(
            told,
            Err(concat!(
                r#"{"u":["Enter a valid UUID."],"d":["Enter a valid date/time."],"n":["Enter a number."],"#,
                r#""w":["Select a valid choice. That choice is not one of the available choices."]}"#
            )
            .to_owned())
        );
    }
}
