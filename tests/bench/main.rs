//! What a delivery costs, end to end: an optimised engine on both databases, publishers and a receiver that cost little.
//!
//! A program of its own, because it takes minutes and wants a quiet machine: `make bench`. Rates and latencies can be compared
//! within one table only; CPU seconds bear more, but a processor with busy neighbours is a slower one. `--help` says more.
//! `benches/pure.rs` times the pure core alone.

#![allow(clippy::disallowed_methods, reason = "time is real")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports, and tells how far it is")]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod event;
mod figures;
mod growth;
mod history;
mod load;
mod machine;
mod publisher;
mod receiver;
mod wire;

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use figures::{Column, Table};
use load::Load;
use support::{
    bed::Kind,
    engine::binary,
    eventually::pass,
    process::{load_average, raise_file_limit},
};

/// Between two runs: what the last one left to the disk is written.
const BETWEEN: Duration = Duration::from_secs(1);

#[allow(clippy::doc_markdown, reason = "it is what --help shows")]
/// Measures what a delivery costs: CPU of engine and database, latency, memory.
///
/// Each run has an engine of its own on a new database with real commits; the MariaDB server is private. The engine is
/// the one that cargo has built for this program, or the binary that POSTRIDER_TEST_BINARY names. The table has the
/// median of all runs and, in parentheses, the least and the most.
#[derive(Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Args {
    /// What to measure
    #[arg(value_enum, default_value = "load")]
    what: What,

    /// On which database
    #[arg(long, value_enum, default_value = "both")]
    database: Which,

    /// Only the loads that have this in their name, as "endpoints"; the client alone has none
    #[arg(long, default_value = "", hide_default_value = true)]
    only: String,

    /// How often each is measured
    #[arg(long, default_value = "3")]
    runs: NonZeroUsize,

    /// Of the history: how many deliveries were made before; each takes about half a kilobyte of the disk
    #[arg(long, default_value = "10000000")]
    past: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// One subscription and ten at the highest rate, and 500 events a second
    Load,
    /// The same load among up to 10,000 subscriptions, and shared by up to 1,000 endpoints
    Growth,
    /// The same load on an empty database, and on one with --past deliveries; and a start on that
    History,
    /// The same requests by the HTTP client alone, without engine and database, to up to 1,000 endpoints
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Mariadb,
    Both,
}

const LOADS: [Load; 3] = [
    Load { name: "fan-out 1", events: 100_000, rate: None, fan_out: 1, endpoints: 1, others: 0, past: 0 },
    Load { name: "fan-out 10", events: 20_000, rate: None, fan_out: 10, endpoints: 1, others: 0, past: 0 },
    Load { name: "500 events/s", events: 5_000, rate: Some(500), fan_out: 1, endpoints: 1, others: 0, past: 0 },
];

fn main() {
    let args = Args::parse();
    let (busy, start) = (load_average(), Instant::now());
    raise_file_limit();
    eprintln!("engine {}, load {busy}", binary());
    if let Some(warning) = machine::warning(&busy) {
        eprintln!("{warning}");
    }
    if args.what == What::Client {
        println!("{}", client::table(args.runs.get()));
        println!("{} runs: median; {}", args.runs, machine::description());
        return;
    }
    let history = history::loads(args.past);
    let loads: &[Load] = match args.what {
        What::Load => &LOADS,
        What::Growth => &growth::LOADS,
        What::History => &history,
        What::Client => &[],
    };
    let kinds: &[Kind] = match args.database {
        Which::Sqlite => &[Kind::Sqlite],
        Which::Mariadb => &[Kind::MariaDb],
        Which::Both => &[Kind::Sqlite, Kind::MariaDb],
    };
    let loads: Vec<&Load> = loads.iter().filter(|load| load.name.contains(&args.only)).collect();
    assert!(!loads.is_empty(), "no load has {:?} in its name", args.only);
    let columns = measure(kinds, &loads, args.runs.get());

    println!("{}", Table(&columns));
    if args.what == What::Growth && args.only.is_empty() {
        for (kind, columns) in kinds.iter().zip(columns.chunks(loads.len())) {
            println!("{}: {}", kind.name(), growth::memory(columns).unwrap_or_default());
        }
    }
    let versions: BTreeSet<_> =
        columns.iter().flat_map(|column| &column.runs).map(|run| &*run.database_version).collect();
    let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
    println!("{} runs: median (least–most); payload {} bytes", args.runs, event::PAYLOAD_BYTES);
    println!("{}, {versions}", machine::description());
    println!("load {busy} at the start, {} at the end, {:.0?} in all", load_average(), start.elapsed());
    if let Some(warning) = machine::warning(&busy) {
        println!("{warning}");
    }
}

/// In rounds, so that whatever else the machine does befalls all columns.
fn measure(kinds: &[Kind], loads: &[&Load], runs: usize) -> Vec<Column> {
    let all: Vec<_> = kinds.iter().flat_map(|kind| loads.iter().map(move |load| (*kind, *load))).collect();
    let head = |kind: Kind, load: &Load| format!("{}, {}", kind.name(), load.name);
    let mut columns: Vec<_> =
        all.iter().map(|(kind, load)| Column { head: head(*kind, load), runs: Vec::new() }).collect();
    for round in 1..=runs {
        for ((kind, load), column) in all.iter().zip(&mut columns) {
            eprint!("round {round} of {runs}: {} … ", column.head);
            let run = load::measure(*kind, load);
            eprintln!("{:.0} deliveries/s, engine {:.3} CPU s per 1,000", run.rate, run.engine);
            column.runs.push(run);
            pass(BETWEEN);
        }
    }
    columns
}
