//! The pages: who gets in, whose things are seen, what can be ordered, and that nothing that others write is run.

mod entering;
mod ordering;
mod playing;
mod seeing;
