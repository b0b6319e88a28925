//! A bad day, with numbers: what the engine promises when endpoints, the database, publishers and machines misbehave.
//!
//! A program of its own, because it takes minutes and wants an optimised engine: `make chaos` runs everything once, `make
//! soak` the storm for as long as one likes. Each promise that is broken is named in the table at the end, and the exit
//! status is 1. `--help` says more.

#![allow(clippy::disallowed_methods, reason = "time is real")]
#![allow(clippy::print_stdout, reason = "it reports")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod backlog;
mod doors;
mod isolation;
mod load;
mod memory;
mod overload;
mod report;
mod retention;
mod storm;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use report::Report;
use support::{
    bed::{self, Bed, Kind},
    engine::binary,
    process::{load_average, raise_file_limit},
};

#[allow(clippy::doc_markdown, reason = "it is what --help shows")]
/// Shows what the engine does on a bad day, with numbers, and exits with 1 when it breaks a promise.
///
/// Each scenario starts an engine of its own on a new database; the MariaDB server is private, with real commits. The
/// engine is the one that cargo has built for this program, or the binary that POSTRIDER_TEST_BINARY names.
#[derive(Parser)]
#[command(name = "chaos", max_term_width = 100)]
struct Args {
    /// What to show; everything when nothing is named
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,

    /// On which database
    #[arg(long, value_enum, default_value = "both")]
    database: Which,

    /// Repeats the storm of another run; random when left out, and printed
    #[arg(long)]
    seed: Option<u64>,

    /// How long the storm takes, in seconds, on each database
    #[arg(long, default_value = "120")]
    seconds: u64,

    /// Deliveries in the backlog
    #[arg(long, default_value = "1000000")]
    owed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// What the engine weighs, and what a subscription with work adds
    Memory,
    /// 2,100 dead endpoints beside 10 healthy ones
    Isolation,
    /// Answers of 300 MB, and a byte a second
    Answers,
    /// Slow, idle and oversized connections at the engine's own door
    Doors,
    /// More events than the database can commit
    Overload,
    /// A million deliveries behind a pause, and a crash
    Backlog,
    /// Outdated deliveries go while others are made
    Retention,
    /// Everything at once, drawn from a seed: crashes, endpoints that flap, orders of people
    Storm,
}

impl Scenario {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Mariadb,
    Both,
}

impl Which {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Sqlite => &[Kind::Sqlite],
            Self::Mariadb => &[Kind::MariaDb],
            Self::Both => &[Kind::Sqlite, Kind::MariaDb],
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(rand::random);
    let files = raise_file_limit();
    println!("engine {}\nseed {seed}, at most {files} open files, load {}", binary(), load_average());
    let scenarios = match &*args.scenarios {
        [] => Scenario::value_variants(),
        named => named,
    };
    let started = Instant::now();
    let mut report = Report::default();
    for scenario in scenarios {
        for kind in args.database.kinds() {
            report.begin(&scenario.name(), kind.name());
            let run = || run(*scenario, *kind, &args, seed, &mut report);
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                report.check("it ends", "panicked, see above", "without a panic", false);
            }
        }
    }
    println!("\n{report}\nseed {seed}, {:.0?} in all, load {}", started.elapsed(), load_average());
    if report.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(scenario: Scenario, kind: Kind, args: &Args, seed: u64, report: &mut Report) {
    match scenario {
        Scenario::Memory => memory::run(Bed::new(kind, &[]), report),
        Scenario::Isolation => isolation::run(&Bed::new(kind, &[]), report),
        Scenario::Answers => answers::run(&Bed::new(kind, &[]), report),
        Scenario::Doors => doors::run(&Bed::new(kind, &[]), report),
        Scenario::Overload => overload::run(&Bed::new(kind, &[]), report),
        Scenario::Backlog => backlog::run(Bed::new(kind, &[]), args.owed, report),
        Scenario::Retention => retention::run(Bed::new(kind, &[]), report),
        Scenario::Storm => storm::run(kind, Duration::from_secs(args.seconds), seed, report),
    }
}
