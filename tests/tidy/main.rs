//! The architecture as a test: walls, words, sizes, and what has to be there. It reads the sources as text.
//!
//! Each complaint names `file:line` and what to do. When a rule stands in the way of something clearer, change the rule here
//! and say why in `ARCHITECTURE.md`.

mod files;
mod sizes;
mod source;
mod walls;
mod words;

/// Fails with all complaints at once.
#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
