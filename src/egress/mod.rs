//! Between "attempt this delivery" and "this is what happened".
//!
//! ```text
//! Terms ──▶ Template ──request──▶ Request ──▶ Client ──▶ Outcome, Trace
//!                                               │ one awc client per origin
//!                                            Dialler: resolve, check, connect, TLS
//! ```
//!
//! Relies on awc for HTTP and on `domain` for what is sent and what an outcome is. Decides nothing about what follows from an
//! outcome, knows no database and no actor. What awc would do by itself and we do not
//! want is refused in `client.rs` and `origin.rs`, with the reason beside it.

mod body;
mod classify;
mod client;
mod dialler;
mod exhaustion;
mod framing;
mod guard;
mod head;
mod limbo;
mod line;
mod names;
mod notes;
mod origin;
mod policy;
mod request;
mod spelling;
mod template;

pub use client::{Client, Sent};
pub use guard::{Guard, Refusal};
pub use names::{Names, Reply};
pub use request::Request;
pub use template::Template;
