//! Numbers: large ones in groups, bounded counts with their bound, and the tiles that show the most important ones.

use maud::{Markup, html};

use super::badge::Tone;

/// `12,345`.
pub(in crate::pages) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count that went no further than its bound: `10,000+`.
pub(in crate::pages) fn counted(count: u64, is_exact: bool) -> String {
    format!("{}{}", number(count), if is_exact { "" } else { "+" })
}

/// A rate: `0.4`, `12`, `1,250`.
pub(in crate::pages) fn rate(per_second: f64) -> String {
    match per_second {
        ..0.0005 => "0".to_owned(),
        ..0.095 => format!("{per_second:.3}"),
        ..9.95 => format!("{per_second:.1}"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is small and not negative")]
        _ => number(per_second.round() as u64),
    }
}

/// A share in percent; `None` without anything to share.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(in crate::pages) fn percent(part: u64, whole: u64) -> Option<String> {
    let share = (whole > 0).then(|| part as f64 * 100.0 / whole as f64)?;
    // Rounding must not hide that something failed.
    Some(if share < 100.0 && share > 99.9 {
        "> 99.9 %".to_owned()
    } else {
        format!("{}", (share * 10.0).round() / 10.0) + " %"
    })
}

/// A number that stands out, what it counts, and a remark.
pub(in crate::pages) fn tile(name: &str, figure: &str, tone: Tone, remark: Markup) -> Markup {
    let class = match tone {
        Tone::Good | Tone::Calm => "tile",
        Tone::Warn => "tile warn",
        Tone::Bad => "tile bad",
    };
    html! {
        div class=(class) {
            dt { (name) }
            dd { strong { (figure) } span.soft { (remark) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_can_be_read() {
        assert_eq!([number(0), number(999), number(1_000), number(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([counted(10_000, false), counted(7, true)], ["10,000+", "7"]);
        assert_eq!(
            [rate(0.0), rate(0.05), rate(0.42), rate(12.3), rate(1_234.5)],
            ["0", "0.050", "0.4", "12", "1,235"]
        );
    }

    #[test]
    fn a_share_hides_no_failure() {
        assert_eq!(percent(0, 0), None);
        assert_eq!(percent(1, 3).as_deref(), Some("33.3 %"));
        assert_eq!(percent(5, 5).as_deref(), Some("100 %"));
        assert_eq!(percent(99_999, 100_000).as_deref(), Some("> 99.9 %"));
    }
}
