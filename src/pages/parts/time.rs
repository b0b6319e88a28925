//! Times and lengths of time, as people say them.

use std::time::Duration;

use maud::{Markup, html};

use crate::{clock::rfc3339, domain::time::Timestamp};

/// What is nearer is now.
const A_MOMENT: Duration = Duration::from_secs(1);

/// `3 min ago` or `in 3 min`, with the instant itself for whoever points at it.
pub(in crate::pages) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let instant = rfc3339(at);
    let text = match (at.since(now), now.since(at)) {
        (ahead, _) if ahead >= A_MOMENT => format!("in {}", span(ahead)),
        (_, behind) if behind >= A_MOMENT => format!("{} ago", span(behind)),
        (ahead, _) if ahead.is_zero() => "just now".to_owned(),
        (_, _) => "in a moment".to_owned(),
    };
    html! { time datetime=(instant) title=(instant) { (text) } }
}

/// The same, or a dash.
pub(in crate::pages) fn maybe_ago(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| html! { span.soft { "–" } }, |at| ago(at, now))
}

/// `2026-11-24 14:24:24.123`, in UTC.
pub(in crate::pages) fn exact(at: Timestamp) -> Markup {
    let instant = rfc3339(at);
    let text = instant.get(..23).unwrap_or(&instant).replace('T', " ");
    html! { time datetime=(instant) title="UTC" { (text) } }
}

/// A length of time in its two greatest units: `2 d 3 h`, `45 s`, `120 ms`.
pub(in crate::pages) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let two = |great: u64, unit: &str, small: u64, smaller: &str| {
        if small == 0 { format!("{great} {unit}") } else { format!("{great} {unit} {small} {smaller}") }
    };
    match seconds {
        0 => millis(length),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long an attempt took.
pub(in crate::pages) fn millis(length: Duration) -> String {
    let millis = length.as_secs_f64() * 1_000.0;
    match millis {
        ..1.0 => "< 1 ms".to_owned(),
        1.0..10.0 => format!("{millis:.1} ms"),
        10.0..1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([said(59), said(60), said(61)], ["59 s", "1 min", "1 min 1 s"]);
        assert_eq!([said(3_600), said(3_661), said(90_000)], ["1 h", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(span(Duration::from_millis(250)), "250 ms");
        assert_eq!(span(Duration::ZERO), "< 1 ms");
        assert_eq!([millis(Duration::from_micros(2_500)), millis(Duration::from_millis(1_500))], ["2.5 ms", "1.5 s"]);
    }

    #[test]
    fn an_instant_lies_behind_or_ahead() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let text = |at| ago(at, now).into_string();
        assert!(text(now.before(Duration::from_mins(3))).contains(">3 min ago<"));
        assert!(text(now.before(Duration::from_millis(3))).contains(">just now<"));
        assert!(text(now.after(Duration::from_hours(2))).contains(">in 2 h<"));
        assert!(exact(now).into_string().contains("2027-01-15 08:00:00.000"));
    }
}
