//! Why a command did not do what it was asked, in one line for the person who asked.

use std::io;

use super::client::ApiError;
use crate::{app::StartError, store::StoreError};

/// What a command ends with when it does not end well.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was asked for cannot be; the text says what can.
    #[error("{0}")]
    Refused(String),
    /// The database did not take part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The engine did not do what it was asked.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Nobody reads the answer.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Whether the reader of our output left: the end of the work, and no failure.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What was asked for cannot be.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }
}
