//! What was measured, beside what was promised.

use std::{fmt, time::Duration};

use crate::support::process::load_average;

/// One measurement.
struct Line {
    scenario: String,
    database: &'static str,
    what: String,
    seen: String,
    promise: String,
    /// `None` when nothing was promised about it.
    kept: Option<bool>,
}

/// All measurements of a run, in their order.
#[derive(Default)]
pub(crate) struct Report {
    scenario: String,
    database: &'static str,
    lines: Vec<Line>,
}

impl Report {
    /// From now on it is about this scenario on this database.
    pub(crate) fn begin(&mut self, scenario: &str, database: &'static str) {
        scenario.clone_into(&mut self.scenario);
        self.database = database;
        println!("\n== {scenario} on {database}, load {}", load_average());
    }

    /// Something worth knowing.
    pub(crate) fn note(&mut self, what: impl Into<String>, seen: impl fmt::Display) {
        self.add(what.into(), seen.to_string(), String::new(), None);
    }

    /// Something promised: `promise` in words, and whether it was kept.
    pub(crate) fn check(&mut self, what: impl Into<String>, seen: impl fmt::Display, promise: &str, kept: bool) {
        self.add(what.into(), seen.to_string(), promise.to_owned(), Some(kept));
    }

    /// Something that must not exceed a bound.
    pub(crate) fn at_most<T: PartialOrd + fmt::Debug + Copy>(&mut self, what: impl Into<String>, seen: T, bound: T) {
        let kept = seen <= bound;
        self.check(what, format!("{seen:.2?}"), &format!("at most {bound:?}"), kept);
    }

    /// Whether every promise was kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.lines.iter().all(|line| line.kept != Some(false))
    }

    fn add(&mut self, what: String, seen: String, promise: String, kept: Option<bool>) {
        let line = Line { scenario: self.scenario.clone(), database: self.database, what, seen, promise, kept };
        println!("   {:6} {}: {}  {}", line.mark(), line.what, line.seen, line.promise);
        self.lines.push(line);
    }
}

impl Line {
    fn mark(&self) -> &'static str {
        match self.kept {
            Some(true) => "kept",
            Some(false) => "BROKEN",
            None => "",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| scenario | database | what | measured | promise | |\n|---|---|---|---|---|---|")?;
        for line in &self.lines {
            let Line { scenario, database, what, seen, promise, .. } = line;
            writeln!(f, "| {scenario} | {database} | {what} | {seen} | {promise} | {} |", line.mark())?;
        }
        let promises = self.lines.iter().filter(|line| line.kept.is_some()).count();
        let broken = self.lines.iter().filter(|line| line.kept == Some(false)).count();
        write!(f, "\n{promises} promises measured, {broken} broken")
    }
}

/// `count` per second of `time`.
pub(crate) fn per_second(count: usize, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(count as u128 * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// How many times `of` is in `this`.
pub(crate) fn ratio(this: Duration, of: Duration) -> f64 {
    this.as_secs_f64() / of.as_secs_f64().max(1e-6)
}

/// The middle one; there is at least one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}
