//! Files that a person can read, and code that cannot panic by a slip.

use crate::{none, source::sources};

/// Most files have a third of it. Tests at the end of a file do not count.
const MOST_LINES: usize = 400;

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for source in sources("src", "rs").iter().chain(&sources("tests", "rs")) {
        let lines = match source.code_without_tests().lines().count() {
            // A file of tests.
            0 => source.text.lines().count(),
            lines => lines,
        };
        if lines > MOST_LINES {
            complaints.push(format!("{}:{lines}: {lines} lines, at most {MOST_LINES}: divide it", source.path));
        }
    }
    none(&complaints);
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let mut complaints = Vec::new();
    for source in sources("src", "rs") {
        for (line, text) in (1..).zip(source.code_without_tests().lines()) {
            if text.contains(".unwrap()") {
                complaints.push(format!("{}:{line}: use expect, and state what makes it impossible", source.path));
            }
        }
    }
    none(&complaints);
}

#[test]
fn tests_neither_sleep_nor_are_left_out() {
    let mut complaints = Vec::new();
    for source in sources("tests", "rs").iter().chain(&sources("src", "rs")) {
        let in_tests = if source.path.starts_with("src/") {
            source.code_without_tests().lines().count()
        } else if source.path.starts_with("tests/support/") {
            // The one place that may wait.
            usize::MAX
        } else {
            0
        };
        for (line, text) in (1..).zip(source.code().lines()).skip(in_tests) {
            if text.contains("thread::sleep(") || text.contains("#[ignore") {
                complaints.push(format!("{}:{line}: wait with eventually(…), and leave no test out", source.path));
            }
        }
    }
    none(&complaints);
}
