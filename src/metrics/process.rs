//! What Linux tells of this process: memory, files, CPU time. Elsewhere nothing is told.

use std::fs;

/// A few figures of the process, under the names that Prometheus has for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Process {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// CPU time used so far, in seconds.
    pub cpu_seconds: f64,
    /// Open file descriptors: files, connections, timers.
    pub open_files: u64,
    /// How many may be open; `None` for no limit.
    pub max_files: Option<u64>,
}

impl Process {
    /// The present figures; `None` when the system does not tell.
    #[must_use]
    pub fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let (virtual_bytes, resident_bytes) = memory(&fs::read_to_string("/proc/self/statm").ok()?)?;
        Some(Self {
            resident_bytes,
            virtual_bytes,
            cpu_seconds: cpu_seconds(&stat)?,
            // The one that is reading the folder does not count.
            open_files: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
            max_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
        })
    }
}

/// Address space and memory in use, in bytes: the first two fields are pages.
fn memory(statm: &str) -> Option<(u64, u64)> {
    let page = rustix::param::page_size() as u64;
    let mut pages = statm.split(' ').map_while(|field| field.parse::<u64>().ok());
    Some((pages.next()? * page, pages.next()? * page))
}

/// Fields 14 and 15 count ticks. The name in field 2 may have blanks, so fields are counted from its end.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let mut ticks = behind_name.split(' ').skip(11).map_while(|field| field.parse::<u64>().ok());
    Some((ticks.next()? + ticks.next()?) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (post ) rider) S 1 7 7 0 -1 4194304 100 0 0 0 {ticks} {ticks} 0 0 20 0 9 0 1 2 3");
        assert_eq!(cpu_seconds(&stat), Some(2.0));
        assert_eq!(cpu_seconds("7"), None);
        let page = rustix::param::page_size() as u64;
        assert_eq!(memory("9 4 1 0 0 0 0\n"), Some((9 * page, 4 * page)));
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let process = Process::read().expect("the tests run on Linux");
        assert!(process.resident_bytes > 1 << 20 && process.resident_bytes <= process.virtual_bytes, "{process:?}");
        assert!(process.open_files > 0, "{process:?}");
    }
}
