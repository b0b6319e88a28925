//! ISO 8601, as Python and Django read it.

use jiff::{
    SignedDuration,
    civil::{Date, ISOWeekDate, Time, Weekday},
};

use super::{cursor::Cursor, date, instant, midnight, time};
use crate::domain::time::Timestamp;

/// What Python 3.11's `datetime.fromisoformat` takes: a date, with or without dashes, also one of a week; any one character;
/// a time of two-digit numbers; an offset.
pub(super) fn python(text: &str) -> Option<Timestamp> {
    let end = end_of_date(text.as_bytes())?;
    let day = python_date(text.get(..end)?)?;
    let mut cursor = Cursor::new(text.get(end..)?);
    if cursor.is_at_end() {
        return midnight(day);
    }
    cursor.any()?;
    let time = python_time(&mut cursor)?;
    let offset = offset(&mut cursor)?;
    cursor.is_at_end().then(|| instant(day, time, offset))?
}

/// Where Python takes the date to end, which it must know before it reads it.
fn end_of_date(text: &[u8]) -> Option<usize> {
    let at = |place: usize| text.get(place).copied();
    let is_digit = |place: usize| at(place).is_some_and(|byte| byte.is_ascii_digit());
    match (at(4)?, at(5)?, at(6)?) {
        (b'-', b'W', _) if at(8) == Some(b'-') && text.len() > 10 && is_digit(10) => Some(8),
        (b'-', b'W', _) if at(8) == Some(b'-') => Some(10),
        (b'-', b'W', _) => Some(8),
        (b'-', _, _) => Some(10),
        (b'W', _, _) => {
            let digits_end = 7 + text.get(7..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
            Some(if digits_end < 9 { digits_end } else { 7 + digits_end % 2 })
        }
        _ if text.len() == 7 => Some(7),
        _ => Some(8),
    }
}

fn python_date(text: &str) -> Option<Date> {
    let mut cursor = Cursor::new(text);
    let year = cursor.number(4, 4)?;
    let dashed = cursor.take('-');
    let day = if cursor.take('W') {
        let week = cursor.number(2, 2)?;
        let weekday = if cursor.is_at_end() {
            1
        } else if dashed == cursor.take('-') {
            cursor.number(1, 1)?
        } else {
            return None;
        };
        day_of_week(year, week, weekday)?
    } else {
        let month = cursor.number(2, 2)?;
        if dashed {
            cursor.literal('-')?;
        }
        date(year, month, cursor.number(2, 2)?)?
    };
    cursor.is_at_end().then_some(day)
}

fn day_of_week(year: u32, week: u32, weekday: u32) -> Option<Date> {
    let weekday = Weekday::from_monday_one_offset(i8::try_from(weekday).ok()?).ok()?;
    let day = ISOWeekDate::new(i16::try_from(year).ok()?, i8::try_from(week).ok()?, weekday).ok()?;
    Some(day.date()).filter(|day| year > 0 && day.year() > 0)
}

fn python_time(cursor: &mut Cursor<'_>) -> Option<Time> {
    let hour = cursor.number(2, 2)?;
    let separated = cursor.take(':');
    let (mut minute, mut second, mut micros) = (0, 0, 0);
    if separated || cursor.sees_digit() {
        minute = cursor.number(2, 2)?;
        if separated && cursor.take(':') || !separated && cursor.sees_digit() {
            second = cursor.number(2, 2)?;
            if cursor.take('.') || cursor.take(',') {
                micros = cursor.fraction()?;
            }
        }
    }
    time(hour, minute, second, micros)
}

/// Nothing, `Z`, or hours, minutes and seconds with a sign.
fn offset(cursor: &mut Cursor<'_>) -> Option<SignedDuration> {
    if cursor.is_at_end() || cursor.take('Z') {
        return Some(SignedDuration::ZERO);
    }
    let is_west = cursor.take('-');
    if !is_west {
        cursor.literal('+')?;
    }
    let time = python_time(cursor)?;
    let offset = time.duration_since(Time::midnight());
    Some(if is_west { -offset } else { offset })
}

/// What Django's own pattern takes beside that: numbers of one digit, blanks before the offset.
pub(super) fn django(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let year = cursor.number(4, 4)?;
    cursor.literal('-')?;
    let month = cursor.number(1, 2)?;
    cursor.literal('-')?;
    let day = date(year, month, cursor.number(1, 2)?)?;
    if !cursor.take('T') {
        cursor.literal(' ')?;
    }
    let hour = cursor.number(1, 2)?;
    cursor.literal(':')?;
    let minute = cursor.number(1, 2)?;
    let second = if cursor.take(':') { Some(cursor.number(1, 2)?) } else { None };
    let has_fraction = second.is_some() && (cursor.take('.') || cursor.take(','));
    let micros = if has_fraction { cursor.fraction()? } else { 0 };
    cursor.blanks();
    instant(day, time(hour, minute, second.unwrap_or(0), micros)?, short_offset(cursor)?)
}

/// Nothing, `Z`, or hours and minutes with a sign.
fn short_offset(cursor: &mut Cursor<'_>) -> Option<SignedDuration> {
    if cursor.is_at_end() || cursor.take('Z') {
        return Some(SignedDuration::ZERO);
    }
    let is_west = cursor.take('-');
    if !is_west {
        cursor.literal('+')?;
    }
    let hours = cursor.number(2, 2)?;
    let minutes = if cursor.take(':') || cursor.sees_digit() { cursor.number(2, 2)? } else { 0 };
    let minutes = i64::from(hours * 60 + minutes);
    let offset = SignedDuration::from_mins(if is_west { -minutes } else { minutes });
    (minutes < 24 * 60).then_some(offset)
}
