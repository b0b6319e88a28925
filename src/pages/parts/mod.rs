//! What several pages show: badges, times, charts, fields.

pub(super) mod badge;
pub(super) mod chart;
pub(super) mod field;
pub(super) mod figure;
pub(super) mod retries;
pub(super) mod table;
pub(super) mod time;
