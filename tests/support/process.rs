//! What a process costs, as the kernel counts it. Linux only, like the rest of this folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::gettid,
};

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// Open file descriptors.
    pub files: usize,
}

impl Footprint {
    /// Of the process `id`; `None` when it is gone.
    pub fn of(id: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        let files = fs::read_dir(format!("/proc/{id}/fd")).ok()?.count();
        Some(Self { rss_kib, files })
    }

    /// Resident memory, in MiB.
    pub fn mib(self) -> u64 {
        self.rss_kib / 1_024
    }

    /// The greater of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { rss_kib: self.rss_kib.max(other.rss_kib), files: self.files.max(other.files) }
    }
}

impl std::fmt::Display for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} MiB, {} files", self.mib(), self.files)
    }
}

/// The processor time that the process `id` has used so far, to the hundredth of a second; zero when it is gone.
pub fn processor_time(id: u32) -> Duration {
    ticks_in(Path::new(&format!("/proc/{id}/stat")))
}

/// The same of one thread of this process, by the number that the kernel gave it.
pub fn processor_time_of_thread(id: u32) -> Duration {
    ticks_in(Path::new(&format!("/proc/self/task/{id}/stat")))
}

/// The processor time that the threads of the process `id` have used so far, by their names up to a dash.
pub fn processor_time_by_thread(id: u32) -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
        let folder = thread.path();
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        let name = name.trim().split('-').next().unwrap_or_default().to_owned();
        *times.entry(name).or_default() += ticks_in(&folder.join("stat"));
    }
    times
}

/// How a thread stands with the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// From -20, which comes first, to 19.
    pub nice: i32,
    /// How often it had nothing more to do, and waited.
    pub waits: u64,
}

/// That of the thread of this name of the process `id`.
pub fn standing_of_thread(id: u32, name: &str) -> Option<Standing> {
    let is_meant = |folder: &PathBuf| fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let folder = fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten().map(|entry| entry.path()).find(is_meant)?;
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let nice = stat.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok()?;
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()?;
    Some(Standing { nice, waits })
}

/// The kernel's number of this thread.
pub fn this_thread() -> u32 {
    u32::try_from(gettid().as_raw_nonzero().get()).expect("it is positive")
}

fn ticks_in(path: &Path) -> Duration {
    let stat = fs::read_to_string(path).unwrap_or_default();
    // The name of the program may have blanks and stands in parentheses.
    let behind_the_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_the_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    // Linux shows a hundred ticks a second to everybody, whatever it counts itself.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// The memory that the process `id` holds, in KiB; what it shares with others is divided among them. `None` when it is
/// gone.
pub fn proportional_kib(id: u32) -> Option<u64> {
    kib_in_all(id, "Pss:")
}

/// The memory that the process `id` has for itself and no file backs, in KiB: its heap and stacks. `None` when it is gone.
pub fn anonymous_kib(id: u32) -> Option<u64> {
    kib_in_all(id, "Anonymous:")
}

fn kib_in_all(id: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// How busy the machine is: what `uptime` says of the last minute.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Lets this process open as many files as the system allows; gives how many that are.
pub fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, what it was is what there is.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
