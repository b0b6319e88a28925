//! Bars over time, drawn as SVG: what went well from the ground up, and what did not on top of it.

use maud::{Markup, html};

/// What came of the attempts of one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pages) struct Bar {
    /// Attempts that arrived.
    pub(in crate::pages) good: u64,
    /// Attempts that did not.
    pub(in crate::pages) bad: u64,
}

/// Width and height of the drawing for each bar and in all; how large it is shown is the style sheet's business.
const WIDTH: usize = 4;
const HEIGHT: usize = 32;

/// A picture of `bars`, the oldest first; `class` is `spark` or `chart`. `what` says what is counted, for those who hear it.
pub(in crate::pages) fn bars(bars: &[Bar], class: &str, what: &str) -> Markup {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or_default();
    let (good, bad) = bars.iter().fold((0, 0), |(good, bad), bar| (good + bar.good, bad + bar.bad));
    let label = format!("{what}: {good} arrived, {bad} failed");
    let view = format!("0 0 {} {HEIGHT}", (bars.len() * WIDTH).max(1));
    html! {
        svg class=(class) role="img" aria-label=(label) viewBox=(view) preserveAspectRatio="none" {
            @for (place, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.good + bar.bad > 0) {
                @let (good, bad) = (height(bar.good, most), height(bar.bad, most));
                @if good > 0 { rect.good x=(place * WIDTH) y=(HEIGHT - good) width=(WIDTH - 1) height=(good) {} }
                @if bad > 0 { rect.bad x=(place * WIDTH) y=(HEIGHT.saturating_sub(good + bad)) width=(WIDTH - 1) height=(bad) {} }
            }
            rect.ground x="0" y=(HEIGHT - 1) width=(bars.len() * WIDTH) height="1" {}
        }
    }
}

/// At least 2, so that little can be seen beside much.
fn height(count: u64, most: u64) -> usize {
    if count == 0 {
        return 0;
    }
    let height = count.saturating_mul(HEIGHT as u64) / most.max(1);
    usize::try_from(height).unwrap_or(HEIGHT).clamp(2, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_failure_among_many_can_be_seen() {
        let picture = bars(&[Bar { good: 10_000, bad: 1 }, Bar::default()], "spark", "Attempts").into_string();
        assert!(picture.contains("aria-label=\"Attempts: 10000 arrived, 1 failed\""), "{picture}");
        assert!(picture.contains("class=\"bad\" x=\"0\" y=\"0\" width=\"3\" height=\"2\""), "{picture}");
        assert_eq!(picture.matches("class=\"good\"").count(), 1);
        assert!(bars(&[], "spark", "Attempts").into_string().contains("viewBox=\"0 0 1 32\""));
    }
}
