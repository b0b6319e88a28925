//! Errors that say something about this machine and nothing about the endpoint.

use std::io;

/// No file descriptor left, in this process and on the whole machine: the same numbers on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Whether a socket could not be had because we ran out of something.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) || error.kind() == io::ErrorKind::OutOfMemory
}
