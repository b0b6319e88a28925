//! Writing for a person, or for the next program in a pipe.
//!
//! Colour appears only on a terminal and gives way to `NO_COLOR`; a pipe that is closed (`| head`) is an error value that
//! ends a command, never a panic.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

/// It went well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// It went wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// It deserves a look.
pub(super) const ODD: Style = AnsiColor::Yellow.on_default();
/// It is there for whoever looks for it.
pub(super) const QUIET: Style = Style::new().dimmed();
/// It is what the line is about.
pub(super) const STRONG: Style = Style::new().bold();

/// `text` in `style`. Pad before painting: the codes count as characters.
#[must_use]
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where a command's answer goes.
pub struct Terminal {
    out: Box<dyn Write>,
}

impl Terminal {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self { out: Box::new(AutoStream::auto(io::stdout())) }
    }

    /// Writes one line, or several.
    ///
    /// # Errors
    /// When nobody reads any more, or the disk is full.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// `text` that somebody else wrote, in one line and unable to steer the terminal.
#[must_use]
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Columns wide enough for what they hold, two blanks apart; the last one is not padded.
#[must_use]
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_moves_no_cursor() {
        assert_eq!(harmless("works\u{1b}[2J\non Ayşe's\rorder\u{9b}"), "works [2J on Ayşe's order ");
    }

    #[test]
    fn columns_line_up_whatever_the_alphabet() {
        let rows = [["name", "role"], ["Ayşe", "admin"], ["b", "subscriber"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["name  role", "Ayşe  admin", "b     subscriber"]);
    }
}
