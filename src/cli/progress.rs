//! How far a long piece of work has come: one line on standard error that replaces itself, on a terminal only.

use std::io::{self, IsTerminal, Write};

/// How many characters the bar is wide.
const WIDTH: u64 = 24;

/// The line. Scripts and files see nothing of it.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// On standard error, if that is a terminal.
    pub(super) fn stderr() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    /// Whether anybody sees it.
    pub(super) const fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Shows `text` in the place of what was there.
    pub(super) fn show(&self, text: &str) {
        if self.is_shown {
            let mut stderr = io::stderr();
            // Without it nothing is lost.
            write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush()).ok();
        }
    }

    /// Makes room for a line that stays.
    pub(super) fn clear(&self) {
        self.show("");
    }
}

/// `done` of `total` as a bar with its percentage; more than all is all.
#[must_use]
pub(super) fn bar(done: u64, total: u64) -> String {
    let share = |whole: u64| {
        let part = u128::from(done.min(total)) * u128::from(whole) / u128::from(total.max(1));
        u64::try_from(part).unwrap_or(whole)
    };
    let filled = usize::try_from(share(WIDTH)).unwrap_or_default();
    let empty = usize::try_from(WIDTH).unwrap_or_default() - filled;
    format!("[{}{}] {:>3} %", "#".repeat(filled), "-".repeat(empty), share(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_leaves_its_bounds() {
        assert_eq!(bar(0, 10), "[------------------------]   0 %");
        assert_eq!(bar(5, 10), "[############------------]  50 %");
        assert_eq!(bar(999, 1_000), "[#######################-]  99 %");
        assert_eq!(bar(20, 10), "[########################] 100 %");
        assert_eq!(bar(0, 0), "[------------------------]   0 %");
        assert_eq!(bar(u64::MAX, u64::MAX), "[########################] 100 %");
    }
}
