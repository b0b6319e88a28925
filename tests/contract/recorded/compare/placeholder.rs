//! Texts that stand for values which change from run to run.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// The reader of JSON tells what is wrong in the words of a library; only this is the contract's.
const PARSE_ERROR: &str = "JSON parse error - ";

/// Whether `got` is this text, or what it stands for.
pub(super) fn fits(wanted: &str, got: &Value) -> bool {
    if let Some(length) = number_in(wanted, "<list of ", ">") {
        return got.as_array().is_some_and(|items| items.len() == length);
    }
    if let Some(length) = number_in(wanted, "<datetime x ", ">") {
        let is_datetime = |item: &Value| item.as_str().is_some_and(is_datetime);
        return got.as_array().is_some_and(|items| items.len() == length && items.iter().all(is_datetime));
    }
    match (wanted, got.as_str()) {
        ("<any>", _) => true,
        ("<int>", _) => got.is_i64() || got.is_u64(),
        (_, None) => false,
        ("<uuid>", Some(text)) => text.len() == 36 && Uuid::try_parse(text).is_ok(),
        ("<datetime>", Some(text)) => is_datetime(text),
        ("<duration>", Some(text)) => is_duration(text),
        ("<seconds-str>", Some(text)) => is_decimal(text),
        // Not an answer of the endpoint, which is shown as Python shows bytes.
        ("<error text>", Some(text)) => !text.trim().is_empty() && !text.starts_with("b'") && !text.starts_with("b\""),
        (wanted, Some(text)) if wanted.starts_with(PARSE_ERROR) => text.starts_with(PARSE_ERROR),
        (wanted, Some(text)) => wanted == text,
    }
}

fn number_in(text: &str, before: &str, after: &str) -> Option<usize> {
    text.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
}

/// In UTC, to the microsecond at most.
fn is_datetime(text: &str) -> bool {
    let is_short = text.split_once('.').is_none_or(|(_, fraction)| fraction.len() <= "356102Z".len());
    text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && is_short && text.parse::<Timestamp>().is_ok()
}

/// `00:00:00.012345`, with days before it when there are some.
fn is_duration(text: &str) -> bool {
    let (days, time) = text.rsplit_once(' ').unwrap_or(("0", text));
    let parts: Vec<&str> = time.split(':').collect();
    let two_digits = |part: &&str| part.len() == 2 && is_digits(part);
    let [hours, minutes, seconds] = parts[..] else { return false };
    let whole = seconds.split('.').next().unwrap_or_default();
    is_digits(days) && [hours, minutes, whole].iter().all(two_digits) && (whole == seconds || is_decimal(seconds))
}

fn is_decimal(text: &str) -> bool {
    text.split_once('.').is_some_and(|(whole, fraction)| is_digits(whole) && is_digits(fraction))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
