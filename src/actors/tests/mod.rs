//! Actors at work on SQLite, in virtual time, with a deliverer that does what the test says.
//!
//! Everything runs on one thread with a paused clock, which moves only when nothing else is left to do: tokio does not
//! move it while a blocking task runs, so a query takes no time, and a wait of a month takes none of ours.

mod changing;
mod deaths;
mod failing_notes;
mod fake;
mod life_cycle;
mod news;
mod orders;
mod scene;
mod trickling;
mod waiting;
mod word;
