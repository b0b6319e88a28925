//! Dates in filters: whatever the reference's form field takes (contract, section 6).
//!
//! First ISO 8601 as Python 3.11's `datetime.fromisoformat` and Django's own pattern read it, then Django's input formats for
//! English of the United States. A time without an offset is UTC.

mod cursor;

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, ISOWeekDate, Time, Weekday},
    tz::Offset,
};

use self::cursor::Cursor;
use crate::domain::time::Timestamp;

/// The instant that `text` means; `None` when no format fits.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = super::text::strip(text);
    [iso, numeric, named].iter().find_map(|read| {
        let mut cursor = Cursor::new(text);
        read(&mut cursor).filter(|_| cursor.is_at_end())
    })
}

fn instant(date: Date, time: Time, offset: SignedDuration) -> Option<Timestamp> {
    let utc = Offset::UTC.to_timestamp(DateTime::from_parts(date, time)).ok()?;
    Some(Timestamp::from_micros(utc.checked_sub(offset).ok()?.as_microsecond()))
}

fn midnight(date: Date) -> Option<Timestamp> {
    instant(date, Time::midnight(), SignedDuration::ZERO)
}

/// `2020-01-05`, `20200105`, `2020-W01-7`; any one character; a time; an offset.
fn iso(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let date = iso_date(cursor)?;
    if cursor.is_at_end() {
        return midnight(date);
    }
    cursor.any()?;
    let time = iso_time(cursor)?;
    cursor.blanks();
    let offset = iso_offset(cursor)?;
    instant(date, time, offset)
}

fn iso_date(cursor: &mut Cursor<'_>) -> Option<Date> {
    let year = cursor.number(4, 4)?;
    let dashed = cursor.take('-');
    if cursor.take('W') {
        return week_date(cursor, year, dashed);
    }
    let month = if dashed { cursor.number(1, 2)? } else { cursor.number(2, 2)? };
    if dashed && !cursor.take('-') {
        return None;
    }
    let day = if dashed { cursor.number(1, 2)? } else { cursor.number(2, 2)? };
    date(year, month, day)
}

fn week_date(cursor: &mut Cursor<'_>, year: u32, dashed: bool) -> Option<Date> {
    let week = cursor.number(2, 2)?;
    let day = if dashed && !cursor.take('-') { None } else { cursor.number(1, 1) };
    let weekday = Weekday::from_monday_one_offset(i8::try_from(day.unwrap_or(1)).ok()?).ok()?;
    let week = ISOWeekDate::new(i16::try_from(year).ok()?, i8::try_from(week).ok()?, weekday).ok()?;
    Some(week.date())
}

fn iso_time(cursor: &mut Cursor<'_>) -> Option<Time> {
    let hour = cursor.number(1, 2)?;
    let separated = cursor.take(':');
    let (mut minute, mut second, mut micros) = (0, 0, 0);
    if separated || cursor.sees_digit() {
        minute = cursor.number(1, 2)?;
        if separated && cursor.take(':') || !separated && cursor.sees_digit() {
            second = cursor.number(1, 2)?;
            if cursor.take('.') || cursor.take(',') {
                micros = cursor.fraction()?;
            }
        }
    }
    time(hour, minute, second, micros)
}

fn iso_offset(cursor: &mut Cursor<'_>) -> Option<SignedDuration> {
    if cursor.is_at_end() || cursor.take('Z') {
        return Some(SignedDuration::ZERO);
    }
    let is_west = cursor.take('-');
    if !is_west && !cursor.take('+') {
        return None;
    }
    let hours = cursor.number(2, 2)?;
    let separated = cursor.take(':');
    let minutes = if separated || cursor.sees_digit() { cursor.number(2, 2)? } else { 0 };
    let seconds =
        if separated && cursor.take(':') || !separated && cursor.sees_digit() { cursor.number(2, 2)? } else { 0 };
    let offset = SignedDuration::from_secs(i64::from(hours * 3_600 + minutes * 60 + seconds));
    (hours < 24 && minutes < 60 && seconds < 60).then_some(if is_west { -offset } else { offset })
}

/// `2020-1-5`, `1/31/2020`, `01/31/20`, each with or without ` 10:00`, `:00` and `.5`.
fn numeric(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let first = cursor.number(1, 4)?;
    let date = if cursor.take('-') {
        let month = cursor.number(1, 2)?;
        cursor.literal('-')?;
        date(first, month, cursor.number(1, 2)?)?
    } else {
        cursor.literal('/')?;
        let day = cursor.number(1, 2)?;
        cursor.literal('/')?;
        let year = cursor.number(4, 4).or_else(|| cursor.number(2, 2).map(full_year))?;
        date(year, first, day)?
    };
    if cursor.is_at_end() {
        return midnight(date);
    }
    if !cursor.blanks() {
        return None;
    }
    let hour = cursor.number(1, 2)?;
    cursor.literal(':')?;
    let minute = cursor.number(1, 2)?;
    let second = if cursor.take(':') { cursor.number(1, 2)? } else { 0 };
    let micros = if cursor.take('.') { cursor.number_of_micros()? } else { 0 };
    instant(date, time(hour, minute, second, micros)?, SignedDuration::ZERO)
}

/// `Jan 31 2020`, `31 January, 2020` and the like.
fn named(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let (month, day);
    if cursor.sees_digit() {
        day = cursor.number(1, 2)?;
        cursor.blanks().then_some(())?;
        month = month_named(cursor.word())?;
    } else {
        month = month_named(cursor.word())?;
        cursor.blanks().then_some(())?;
        day = cursor.number(1, 2)?;
    }
    cursor.take(',');
    cursor.blanks().then_some(())?;
    midnight(date(cursor.number(4, 4)?, month, day)?)
}

fn month_named(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_ascii_lowercase();
    (1..).zip(MONTHS).find(|(_, month)| word == *month || word == month[..3]).map(|(number, _)| number)
}

/// POSIX: 69 to 99 are of the last century.
const fn full_year(year: u32) -> u32 {
    if year < 69 { 2000 + year } else { 1900 + year }
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
        ] {
            assert_eq!(parse(text).map(format::date).as_deref(), Some(date), "{text}");
        }
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
