//! Django's input formats for English of the United States.

use jiff::SignedDuration;

use super::{cursor::Cursor, date, instant, midnight, time};
use crate::domain::time::Timestamp;

/// `2020-1-5`, `1/31/2020`, `01/31/20`, each with or without ` 10:00`, `:00` and `.5`.
pub(super) fn numeric(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let day = if let Some(year) = cursor.number(4, 4) {
        cursor.literal('-')?;
        let month = cursor.number(1, 2)?;
        cursor.literal('-')?;
        date(year, month, cursor.padded_number()?)?
    } else {
        let month = cursor.number(1, 2)?;
        cursor.literal('/')?;
        let day = cursor.padded_number()?;
        cursor.literal('/')?;
        let year = cursor.number(4, 4).or_else(|| cursor.number(2, 2).map(full_year))?;
        date(year, month, day)?
    };
    if cursor.is_at_end() {
        return midnight(day);
    }
    cursor.blanks().then_some(())?;
    let hour = cursor.number(1, 2)?;
    cursor.literal(':')?;
    let minute = cursor.number(1, 2)?;
    let (mut second, mut micros) = (0, 0);
    if cursor.take(':') {
        second = cursor.number(1, 2)?;
        micros = if cursor.take('.') { cursor.number_of_micros()? } else { 0 };
    }
    instant(day, time(hour, minute, second, micros)?, SignedDuration::ZERO)
}

/// `Jan 31 2020`, `31 January, 2020` and the like.
pub(super) fn named(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
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
