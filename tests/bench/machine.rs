//! Where it was measured: figures mean little without.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use diesel::{Connection, MysqlConnection, RunQueryDsl, SqliteConnection, dsl::sql, select, sql_types::Text};

use crate::support::{bed::Bed, waits::Waits};

/// Above it the machine has other work that shows in every figure.
const QUIET: f64 = 0.5;

/// Processor, kernel, and where commits go, with the time that a synced write takes there.
pub(crate) fn description() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let folder = std::env::temp_dir();
    let sync = sync_time(&folder).map_or_else(|error| error.to_string(), |time| format!("{time:.0?}"));
    format!(
        "{cores} cores ({model}), Linux {}, databases in {} ({}, a synced write of 4 KiB: {sync})",
        kernel.trim(),
        folder.display(),
        file_system(&folder)
    )
}

/// The median of a hundred.
fn sync_time(folder: &Path) -> io::Result<Duration> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut waits = Waits::default();
    for _ in 0..100 {
        let start = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        waits.add(start.elapsed());
    }
    Ok(waits.percentile(50.0))
}

/// What to say beside figures that a busy machine has spoiled; `load` is its load average at the start.
pub(crate) fn warning(load: &str) -> Option<String> {
    let is_quiet = load.parse::<f64>().is_ok_and(|load| load <= QUIET);
    (!is_quiet).then(|| format!("warning: the load average was {load} at the start; above {QUIET} other work shows"))
}

/// The name and version of the database that an engine works on.
pub(crate) fn database_version(bed: &Bed) -> String {
    match &bed.server {
        None => {
            let mut memory = SqliteConnection::establish(":memory:").expect("SQLite is compiled in");
            let version: String = select(sql::<Text>("sqlite_version()")).get_result(&mut memory).expect("it says so");
            format!("SQLite {version}")
        }
        Some(server) => {
            let mut server = MysqlConnection::establish(&server.url()).expect("the server runs");
            let version: String = select(sql::<Text>("version()")).get_result(&mut server).expect("it says so");
            format!("MariaDB {version}")
        }
    }
}

/// The kind of the file system that a folder is on: on `tmpfs` no commit waits for a disk.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holds = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        folder.starts_with(at).then(|| (at.len(), kind.to_owned()))
    };
    // Of two mounts at one place the later one is seen.
    mounts.lines().filter_map(holds).max_by_key(|(length, _)| *length).map_or_else(String::new, |(_, kind)| kind)
}
