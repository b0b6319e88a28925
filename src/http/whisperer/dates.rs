//! Dates in filters: whatever the reference's form field takes (contract, section 6).
//!
//! First ISO 8601 as Python 3.11's `datetime.fromisoformat` and Django's own pattern read it, then Django's input formats for
//! English of the United States. A time without an offset is UTC.

mod cursor;
mod iso;
mod us;

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};

use self::cursor::Cursor;
use crate::domain::time::Timestamp;

/// The instant that `text` means; `None` when no format fits.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = super::text::strip(text);
    iso::python(text).or_else(|| {
        [iso::django, us::numeric, us::named].iter().find_map(|read| {
            let mut cursor = Cursor::new(text);
            read(&mut cursor).filter(|_| cursor.is_at_end())
        })
    })
}

/// By hand, because an offset may lead beyond the years that have a date.
fn instant(date: Date, time: Time, offset: SignedDuration) -> Option<Timestamp> {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let since = DateTime::from_parts(date, time).duration_since(EPOCH);
    i64::try_from(since.checked_sub(offset)?.as_micros()).ok().map(Timestamp::from_micros)
}

fn midnight(date: Date) -> Option<Timestamp> {
    instant(date, Time::midnight(), SignedDuration::ZERO)
}

fn date(year: u32, month: u32, day: u32) -> Option<Date> {
    let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year, month, day).ok().filter(|_| year > 0)
}

fn time(hour: u32, minute: u32, second: u32, micros: u32) -> Option<Time> {
    let small = |number: u32| i8::try_from(number).ok();
    Time::new(small(hour)?, small(minute)?, small(second)?, i32::try_from(micros * 1_000).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::whisperer::format;

    #[test]
    fn what_django_reads_is_read() {
        for (text, date) in [
            ("2020-01-05", "2020-01-05T00:00:00Z"),
            (" 2020-01-05 ", "2020-01-05T00:00:00Z"),
            ("2020-1-5", "2020-01-05T00:00:00Z"),
            ("20200105", "2020-01-05T00:00:00Z"),
            ("2020-W02-1", "2020-01-06T00:00:00Z"),
            ("2020-01-05T10:11:12Z", "2020-01-05T10:11:12Z"),
            ("2020-01-05T10:11:12.5Z", "2020-01-05T10:11:12.500000Z"),
            ("2020-01-05 10:11:12,123456789", "2020-01-05T10:11:12.123456Z"),
            ("2020-01-05T10", "2020-01-05T10:00:00Z"),
            ("20200105T101112", "2020-01-05T10:11:12Z"),
            ("2020-01-05T10:11:12+03:00", "2020-01-05T07:11:12Z"),
            ("2020-01-05T10:11:12-0330", "2020-01-05T13:41:12Z"),
            ("2020-01-05T10:11+03", "2020-01-05T07:11:00Z"),
            ("2020-1-5 1:2", "2020-01-05T01:02:00Z"),
            ("2020-01-05 10:11:12 +03:00", "2020-01-05T07:11:12Z"),
            ("01/31/2020", "2020-01-31T00:00:00Z"),
            ("1/31/20", "2020-01-31T00:00:00Z"),
            ("1/31/69", "1969-01-31T00:00:00Z"),
            ("01/31/2020 10:11", "2020-01-31T10:11:00Z"),
            ("01/31/20 10:11:12.5", "2020-01-31T10:11:12.500000Z"),
            ("Jan 31 2020", "2020-01-31T00:00:00Z"),
            ("january 31, 2020", "2020-01-31T00:00:00Z"),
            ("31 Jan 2020", "2020-01-31T00:00:00Z"),
            ("31 JANUARY, 2020", "2020-01-31T00:00:00Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z"),
            ("9999-12-30", "9999-12-30T00:00:00Z"),
        ] {
            assert_eq!(parse(text).map(format::date).as_deref(), Some(date), "{text}");
        }
    }

    #[test]
    fn the_last_day_and_what_lies_behind_it_are_read() {
        let end = parse("9999-12-31T23:59:59Z").expect("a date").as_micros();
        assert_eq!(end, 253_402_300_799_000_000);
        assert_eq!(parse("9999-12-31T23:59:59-10:00").map(Timestamp::as_micros), Some(end + 36_000_000_000));
    }

    #[test]
    fn what_django_refuses_is_refused() {
        for text in [
            "",
            "garbage",
            "2020",
            "2020-13-45",
            "2020-02-30",
            "2020-01-05T25:00",
            "2020-01-05T10:60",
            "2020-01-05T10:11:60",
            "2020-01-05T10:11:12+24:00",
            "2020-01-05T10:11:12 03:00",
            "2020-01-05T10:11:12Zx",
            "31/01/2020",
            "0000-01-01",
            "Foo 31 2020",
            "Jan 31",
            "1234567890",
            "١٢٣٤-٠١-٠١",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9/:TZW+. ,\\-a-zş]{0,30}") {
            parse(&text);
        }

        #[test]
        fn what_we_write_is_read(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(parse(&format::date(at)), Some(at));
        }
    }
}
