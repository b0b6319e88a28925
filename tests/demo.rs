//! The demo, as a person runs it: everything arrives, also when the engine is killed on the way.
#![cfg(feature = "sqlite")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// A demo that ended.
struct Seen {
    lines: Vec<String>,
    is_success: bool,
    err: String,
}

/// Runs the demo; `watch` sees each line as it comes, and what came before it.
fn demo(args: &[&str], mut watch: impl FnMut(&[String], &str)) -> Seen {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["demo", "--port", "0"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let mut lines = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("UTF-8");
        watch(&lines, &line);
        lines.push(line);
    }
    let output = child.wait_with_output().expect("the binary ends");
    Seen { lines, is_success: output.status.success(), err: String::from_utf8_lossy(&output.stderr).into_owned() }
}

impl Seen {
    /// Everything, when a test wants to know more.
    fn all(&self) -> String {
        format!("{}\n{}", self.lines.join("\n"), self.err)
    }

    fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(text)).count()
    }

    /// Where the first line that begins with `name` says that something is.
    fn place(&self, name: &str) -> &str {
        let line =
            self.lines.iter().find_map(|line| line.trim_start().strip_prefix(name)).expect("the opening says so");
        line.split_whitespace().next().expect("a place")
    }
}

#[test]
fn everything_arrives_and_nothing_is_left_behind() {
    let seen = demo(&["--events", "7", "--interval", "20"], |_, _| {});
    assert!(seen.is_success, "{}", seen.all());
    assert_eq!(seen.err, "");
    assert_eq!(seen.count("  accepted  "), 7, "{}", seen.all());
    assert_eq!(seen.count("  delivered  "), 9, "{}", seen.all());
    // Each of the two deliveries to the receiver that refuses is refused twice.
    assert_eq!(seen.count("2nd attempt  503   signed ✓ ✓  again in 2 s"), 2, "{}", seen.all());
    assert_eq!(
        seen.lines.last().map(String::as_str),
        Some("7 events accepted, 9 of 9 deliveries arrived, 4 attempts refused on purpose, every signature valid")
    );
    assert!(!std::path::Path::new(seen.place("folder")).exists());
}

#[test]
fn an_engine_that_is_killed_owes_what_it_owed() {
    let mut is_killed = false;
    let seen = demo(&["--events", "7", "--interval", "100"], |before, line| {
        // A retry is owed now, and its engine does not live to make it.
        if line.contains("  failed  ") && !std::mem::replace(&mut is_killed, true) {
            let crash =
                before.iter().find_map(|line| line.trim_start().strip_prefix("crash")).expect("a crash is offered");
            let pid = crash.rsplit(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw).expect("a pid");
            kill_process(pid, Signal::KILL).expect("the engine runs");
        }
    });
    assert!(seen.is_success, "{}", seen.all());
    assert_eq!(seen.count("is gone (signal: 9 (SIGKILL)); starting it again"), 1, "{}", seen.all());
    assert_eq!(seen.count("  answers again after "), 1, "{}", seen.all());
    assert!(
        seen.lines.last().is_some_and(|line| line.starts_with("7 events accepted, 9 of 9 deliveries arrived")),
        "{}",
        seen.all()
    );
}
