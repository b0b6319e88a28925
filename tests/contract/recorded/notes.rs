//! What differed in a section, told at its end, all of it.

use std::fmt::Write;

use super::compare::Difference;

/// Cases that were played, and what was wrong with them.
pub(crate) struct Notes {
    section: String,
    played: usize,
    faults: String,
    /// Nothing more to tell.
    told: bool,
}

impl Notes {
    pub(crate) fn new(section: &str) -> Self {
        Self { section: section.to_owned(), played: 0, faults: String::new(), told: false }
    }

    /// A case was played. `asked` says what was done, for whoever reads about the differences.
    pub(crate) fn played(&mut self, case: &str, asked: &str, differences: &[Difference]) {
        self.played += 1;
        if !differences.is_empty() {
            writeln!(self.faults, "{} / {case}\n    asked     {asked}", self.section).expect("a String takes any text");
        }
        for Difference { at, wanted, got } in differences {
            writeln!(self.faults, "    {at}\n        expected  {wanted}\n        got       {got}")
                .expect("a String takes any text");
        }
    }

    /// # Panics
    /// With all differences, or when other than `written` cases were played.
    #[track_caller]
    pub(crate) fn end(mut self, written: usize) {
        self.told = true;
        assert!(self.faults.is_empty(), "\n{}", self.faults);
        assert_eq!(self.played, written, "cases played and cases written in {}", self.section);
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        // A step that prepares something failed: what differed before it may be why.
        if std::thread::panicking() && !self.told {
            eprintln!("after {} cases of {}:\n{}", self.played, self.section, self.faults);
        }
    }
}
