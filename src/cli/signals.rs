//! When a command is asked to end: Ctrl-C, SIGTERM, or the terminal that is closed.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for any of the signals that end a command.
pub(super) struct End {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// From now on the signals no longer end the process by themselves.
///
/// # Errors
/// When the runtime cannot take them.
pub(super) fn end() -> io::Result<End> {
    Ok(End {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hang_up: signal(SignalKind::hangup())?,
    })
}

impl End {
    /// Returns at the next of them.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
