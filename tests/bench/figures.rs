//! What was measured, and the one table in which it is told.

use std::fmt;

/// What one run of a load has shown.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) database_version: String,
    /// Deliveries per second, from the first post to the last arrival.
    pub(crate) rate: f64,
    /// Processor seconds per 1,000 deliveries.
    pub(crate) engine: f64,
    /// What of that its threads used.
    pub(crate) shares: Shares,
    /// Processor seconds per 1,000 deliveries; `None` where the database is part of the engine.
    pub(crate) database: Option<f64>,
    /// The same.
    pub(crate) receiver: f64,
    /// Processor seconds per 1,000 events.
    pub(crate) publisher: f64,
    /// Milliseconds from the post to the arrival.
    pub(crate) post_median: f64,
    pub(crate) post_p99: f64,
    /// Milliseconds from the answer 202 to the arrival.
    pub(crate) answer_median: f64,
    pub(crate) answer_p99: f64,
    /// Memory of the engine before the first event.
    pub(crate) idle_mib: f64,
    /// The most under the load.
    pub(crate) most_mib: f64,
    /// Milliseconds from the start of the engine to the first delivery of what it owed; `None` when it owed nothing.
    pub(crate) start: Option<f64>,
    /// Deliveries that arrived once more than owed.
    pub(crate) repeated: f64,
}

/// Parts of the engine's processor time, in per cent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// The threads that publishers speak to.
    pub(crate) server: f64,
    /// Those that send, with the actors of the subscriptions.
    pub(crate) client: f64,
    /// Those on which the database is written and read.
    pub(crate) store: f64,
    /// The one that decides what is accepted and recorded together.
    pub(crate) router: f64,
}

/// A line of the table: what it tells, with how many decimals, and where it is found.
struct Line(&'static str, usize, fn(&Figures) -> Option<f64>);

const LINES: [Line; 17] = [
    Line("deliveries per second", 0, |run| Some(run.rate)),
    Line("CPU s per 1,000 deliveries: engine", 3, |run| Some(run.engine)),
    Line("… of it taking requests, %", 0, |run| Some(run.shares.server)),
    Line("… of it delivering, %", 0, |run| Some(run.shares.client)),
    Line("… of it storing, %", 0, |run| Some(run.shares.store)),
    Line("… of it routing and gathering, %", 0, |run| Some(run.shares.router)),
    Line("… database", 3, |run| run.database),
    Line("… our receiver", 3, |run| Some(run.receiver)),
    Line("CPU s per 1,000 events: our publishers", 3, |run| Some(run.publisher)),
    Line("post to arrival, ms: median", 2, |run| Some(run.post_median)),
    Line("… p99", 2, |run| Some(run.post_p99)),
    Line("202 to arrival, ms: median", 2, |run| Some(run.answer_median)),
    Line("… p99", 2, |run| Some(run.answer_p99)),
    Line("memory of the engine, MiB: idle", 1, |run| Some(run.idle_mib)),
    Line("… under load", 1, |run| Some(run.most_mib)),
    Line("start to first delivery, ms", 0, |run| run.start),
    Line("arrived more than once", 0, |run| Some(run.repeated)),
];

/// The runs of one load on one database.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) head: String,
    pub(crate) runs: Vec<Figures>,
}

impl Column {
    /// The median of all runs; `None` when nothing was measured.
    pub(crate) fn median(&self, value: fn(&Figures) -> Option<f64>) -> Option<f64> {
        let values = self.sorted(value);
        values.get(values.len() / 2).copied()
    }

    fn sorted(&self, value: fn(&Figures) -> Option<f64>) -> Vec<f64> {
        let mut values: Vec<_> = self.runs.iter().filter_map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    fn cell(&self, Line(_, decimals, value): &Line) -> String {
        let values = self.sorted(*value);
        match (self.median(*value), &*values) {
            (Some(median), [least, .., most]) => format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})"),
            (Some(median), _) => format!("{median:.decimals$}"),
            (None, _) => "–".to_owned(),
        }
    }
}

/// Markdown that can be read as it stands, without the lines that have no figure.
pub(crate) struct Table<'a>(pub(crate) &'a [Column]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> =
            LINES.iter().filter(|line| self.0.iter().any(|column| column.median(line.2).is_some())).collect();
        let names = lines.iter().map(|line| line.0.to_owned());
        let mut columns: Vec<Vec<String>> = vec![[String::new(), "---".to_owned()].into_iter().chain(names).collect()];
        for column in self.0 {
            let cells = lines.iter().map(|line| column.cell(line));
            columns.push([column.head.clone(), "---".to_owned()].into_iter().chain(cells).collect());
        }
        let width = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = columns.iter().map(width).collect();
        for line in 0..lines.len() + 2 {
            for (column, width) in columns.iter().zip(&widths) {
                write!(f, "| {:width$} ", column[line])?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}
