//! How late a thread comes to work that is due: the one figure that tells that something blocks it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::metrics::Histogram;

/// How often a thread is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Counts how late the thread that runs this is, for ever. A timer four times a second, and nothing else.
pub async fn watch_lag(lag: Arc<Histogram>) {
    loop {
        let due = Instant::now() + ASK_EVERY;
        sleep_until(due).await;
        lag.add_duration(Instant::now().saturating_duration_since(due));
    }
}
