//! Programs in Python that judge the engine, in the environment that `scripts/prepare tests` makes beside the build.

#![allow(clippy::print_stdout, reason = "what the programs say is what a person needs")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where the build is, and what stays of tests for people to look at.
pub fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder")
}

/// A program of the Python environment.
///
/// # Panics
/// When it is not installed.
pub fn python(name: &str) -> Command {
    let program: PathBuf = target().join("python").join("bin").join(name);
    assert!(
        program.exists(),
        "there is no {}: run scripts/prepare tests, which needs python3-venv and PyPI",
        program.display()
    );
    let mut command = Command::new(program);
    // A developer's own settings must not leak in.
    command.env_clear().env("HOME", target()).env("PATH", "/usr/bin:/bin").env("COLUMNS", "160");
    command
}

/// Runs a program to its end, and shows what it says.
///
/// # Panics
/// When it does not end well.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}", output.status);
}
