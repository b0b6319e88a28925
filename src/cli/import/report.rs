//! What became of every row, for a person or for the next program.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::{
    CliError,
    progress::Progress,
    terminal::{BAD, GOOD, ODD, Terminal, paint, table},
};

/// What a row brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An owner.
    User,
    /// A token.
    Token,
    /// A subscription.
    Subscription,
    /// An event that waits for its first attempt.
    Waiting,
    /// An event that waits for its next attempt.
    Retrying,
}

impl Kind {
    const ALL: [Self; 5] = [Self::User, Self::Token, Self::Subscription, Self::Waiting, Self::Retrying];

    const fn one(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Subscription => "subscription",
            Self::Waiting => "queue row",
            Self::Retrying => "undelivered event",
        }
    }

    const fn many(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Token => "tokens",
            Self::Subscription => "subscriptions",
            Self::Waiting => "queue rows",
            Self::Retrying => "undelivered events",
        }
    }
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It comes in.
    New,
    /// It is here already.
    Present,
    /// It cannot be used.
    Skipped,
    /// Something else has its place; nothing is written for it.
    Conflict,
}

/// One row and its fate.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) kind: Kind,
    /// The name of a user, whose token it is, or a primary key of the dump.
    pub(super) id: String,
    pub(super) fate: Fate,
    /// What a person should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// What receivers saw as `event.uuid`, or would have seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) old_uuid: Option<String>,
    /// What they see from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new_uuid: Option<String>,
}

impl Line {
    pub(super) fn new(kind: Kind, id: impl Into<String>, fate: Fate, note: Option<String>) -> Self {
        Self { kind, id: id.into(), fate, note, old_uuid: None, new_uuid: None }
    }
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For a person: what deserves a look.
    Notable,
    /// For a person: every row.
    Everything,
    /// One JSON object per row.
    Json,
}

/// Writes lines and counts.
pub(super) struct Report<'a> {
    terminal: &'a mut Terminal,
    form: Form,
    counts: [[u64; 4]; 5],
    /// Attempted events of which nothing is owed.
    pub(super) delivered: u64,
    /// Those that were attempted as often as they may be.
    pub(super) given_up: u64,
    /// What was owed for too long.
    pub(super) too_old: u64,
    progress: Progress,
}

#[derive(Serialize)]
struct Summary<'a> {
    dry_run: bool,
    counts: BTreeMap<&'static str, [u64; 4]>,
    delivered_before: u64,
    given_up_before: u64,
    too_old: u64,
    ignored: &'a BTreeMap<String, u64>,
}

impl<'a> Report<'a> {
    pub(super) fn new(terminal: &'a mut Terminal, form: Form) -> Self {
        Self {
            terminal,
            form,
            counts: [[0; 4]; 5],
            delivered: 0,
            given_up: 0,
            too_old: 0,
            progress: Progress::stderr(),
        }
    }

    /// Tells what became of a row.
    pub(super) fn tell(&mut self, line: &Line) -> Result<(), CliError> {
        self.counts[line.kind as usize][line.fate as usize] += 1;
        match self.form {
            Form::Json => self.write(&serde_json::to_string(line).expect("texts are JSON")),
            Form::Notable if line.note.is_none() => Ok(()),
            Form::Notable | Form::Everything => self.write(&in_words(line)),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        self.progress("");
        Ok(self.terminal.line(text)?)
    }

    /// Shows how far it is, where a person looks; an empty text clears that away.
    pub(super) fn progress(&self, text: &str) {
        self.progress.show(text);
    }

    /// How many rows met something else in their place.
    pub(super) fn conflicts(&self) -> u64 {
        self.counts.iter().map(|counts| counts[Fate::Conflict as usize]).sum()
    }

    /// New, here already, skipped, and in conflict, of each kind.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, [u64; 4]> {
        Kind::ALL.iter().map(|kind| (kind.many(), self.counts[*kind as usize])).collect()
    }

    /// The sums at the end.
    pub(super) fn sum_up(mut self, ignored: &BTreeMap<String, u64>, is_dry: bool) -> Result<(), CliError> {
        if self.form == Form::Json {
            let summary = Summary {
                dry_run: is_dry,
                counts: self.counts(),
                delivered_before: self.delivered,
                given_up_before: self.given_up,
                too_old: self.too_old,
                ignored,
            };
            return self.write(&serde_json::to_string(&summary).expect("numbers are JSON"));
        }
        let new = if is_dry { "WOULD BE NEW" } else { "NEW" };
        let head = ["", new, "HERE ALREADY", "SKIPPED", "CONFLICTS"].map(str::to_owned);
        let row = |kind: &Kind| {
            let [new, present, skipped, conflicts] = self.counts[*kind as usize].map(|count| count.to_string());
            [kind.many().to_owned(), new, present, skipped, conflicts]
        };
        let rows: Vec<_> = std::iter::once(head).chain(Kind::ALL.iter().map(row)).collect();
        let mut lines = table(&rows);
        lines.push(format!("not owed: {} delivered, {} given up after 19 attempts", self.delivered, self.given_up));
        if self.too_old > 0 {
            lines.push(format!("left out because of --max-age: {}", self.too_old));
        }
        if !ignored.is_empty() {
            let ignored: Vec<String> = ignored.iter().map(|(label, rows)| format!("{label} ({rows})")).collect();
            lines.push(format!("ignored: {}", ignored.join(", ")));
        }
        if is_dry {
            lines.push("nothing was written".to_owned());
        }
        self.write(&lines.join("\n"))
    }
}

fn in_words(line: &Line) -> String {
    let (style, fate) = match line.fate {
        Fate::New => (GOOD, "new"),
        Fate::Present => (anstyle::Style::new(), "here already"),
        Fate::Skipped => (ODD, "skipped"),
        Fate::Conflict => (BAD, "conflict"),
    };
    let note = line.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    let of = if line.kind == Kind::Token { " of" } else { "" };
    format!("{} {}{of} {}{note}", paint(style, format_args!("{fate:<12}")), line.kind.one(), line.id)
}
