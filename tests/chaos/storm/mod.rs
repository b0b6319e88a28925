//! Everything at once.
use std::time::Duration;

use crate::{bed::Kind, report::Report};

pub(crate) fn run(_kind: Kind, _time: Duration, _seed: u64, _report: &mut Report) {}
