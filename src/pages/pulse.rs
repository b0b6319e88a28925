//! How the engine did in the last hour, for whoever opens the overview: what is counted anyway, remembered every ten seconds.
//!
//! In memory, so after a restart it begins anew. What a single subscription did is stored; see `rollups` of the store.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::parts::chart::Bar;
use crate::metrics::{Metrics, Totals};

/// How often the counts are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// Looks in an hour, and the one before it.
const REMEMBERED: usize = 361;
/// Looks in one bar of the chart: a minute.
const PER_BAR: usize = 6;
/// Bars of the chart: an hour.
pub(super) const BARS: usize = 60;

/// What was seen; cloning shares it.
#[derive(Clone, Default)]
pub struct Pulse(Arc<Mutex<VecDeque<Totals>>>);

impl Pulse {
    /// Looks at `metrics` from now on, for as long as the thread lives.
    pub fn watch(&self, metrics: Metrics) {
        let pulse = self.clone();
        actix_web::rt::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                pulse.note(metrics.totals());
            }
        });
    }

    fn seen(&self) -> MutexGuard<'_, VecDeque<Totals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, totals: Totals) {
        let mut seen = self.seen();
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(totals);
    }

    /// What came in the last `length`, or since the start, up to `now`; and how long that is, which is not nothing.
    pub(super) fn last(&self, length: Duration, now: &Totals) -> (Totals, Duration) {
        let looks = usize::try_from(length.as_secs() / EVERY.as_secs()).unwrap_or(REMEMBERED);
        let seen = self.seen();
        let first = seen.len().saturating_sub(looks.max(1));
        let earlier = seen.get(first).cloned().unwrap_or_default();
        let looks = u32::try_from(seen.len() - first).unwrap_or(u32::MAX).max(1);
        (now.since(&earlier), EVERY * looks)
    }

    /// What came of the attempts in each minute of the last hour, the oldest first.
    pub(super) fn bars(&self) -> Vec<Bar> {
        let seen = self.seen();
        let mut bars = vec![Bar::default(); BARS];
        for (place, (earlier, later)) in seen.iter().zip(seen.iter().skip(1)).rev().enumerate() {
            let came = later.since(earlier);
            if let Some(bar) = bars.iter_mut().rev().nth(place / PER_BAR) {
                bar.good += came.succeeded;
                bar.bad += came.failed;
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(succeeded: u64) -> Totals {
        Totals { succeeded, ..Totals::default() }
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let pulse = Pulse::default();
        assert_eq!(pulse.last(Duration::from_mins(1), &totals(3)), (totals(3), EVERY));
        for look in 0..=20 {
            pulse.note(totals(look * 10));
        }
        let (came, length) = pulse.last(Duration::from_mins(1), &totals(205));
        assert_eq!((came.succeeded, length), (55, Duration::from_mins(1)));
    }

    #[test]
    fn the_newest_minute_stands_on_the_right() {
        let pulse = Pulse::default();
        for look in 0..REMEMBERED as u64 + 10 {
            pulse.note(totals(look));
        }
        let bars = pulse.bars();
        assert_eq!((bars.len(), bars[0].good, bars[BARS - 1].good), (BARS, 6, 6));
        let young = Pulse::default();
        young.note(totals(0));
        young.note(totals(5));
        assert_eq!((young.bars()[BARS - 1].good, young.bars()[BARS - 2].good), (5, 0));
    }
}
