//! Subscriptions with what is known of their last hour, for lists.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::{parts::chart::Bar, pulse::BARS};
use crate::{
    actors::subscription::Status,
    domain::{id::SubscriptionId, rollup::Rollup, subscription::Subscription, time::Timestamp},
    http::{State, live::status, problem::Problem},
    store::{
        Lane,
        deliveries::{Backlog, backlog},
        rollups,
    },
};

/// How far back figures and drawings go.
pub(super) const WINDOW: Duration = Duration::from_hours(1);

/// What came of a subscription's attempts.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// In all.
    pub(super) sum: Rollup,
    /// Minute by minute, the oldest first.
    pub(super) bars: Vec<Bar>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { sum: Rollup::default(), bars: vec![Bar::default(); BARS] }
    }
}

impl Activity {
    fn add(&mut self, at: Timestamp, rollup: &Rollup, now: Timestamp) {
        self.sum.merge(rollup);
        let minutes = usize::try_from(now.since(at).as_secs() / 60).unwrap_or(BARS);
        if let Some(bar) = self.bars.iter_mut().rev().nth(minutes) {
            bar.good += rollup.succeeded;
            bar.bad += rollup.failed;
        }
    }

    /// Adds what another subscription did.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        for (bar, more) in self.bars.iter_mut().zip(&other.bars) {
            bar.good += more.good;
            bar.bad += more.bad;
        }
    }
}

/// What these subscriptions did in the last hour. One query.
pub(super) async fn activities(
    state: &State,
    of: Vec<SubscriptionId>,
) -> Result<HashMap<SubscriptionId, Activity>, Problem> {
    let now = state.clock.now();
    let mut found: HashMap<SubscriptionId, Activity> = HashMap::with_capacity(of.len());
    // In this order, what is written down in between is left out once and not counted twice.
    for id in &of {
        found.entry(*id).or_default().add(now, &state.tally.unwritten(*id), now);
    }
    let work = move |connection: &mut _| rollups::series(connection, &of, now.before(WINDOW));
    for (id, at, rollup) in state.store.run(Lane::Read, work).await? {
        found.entry(id).or_default().add(at, &rollup, now);
    }
    Ok(found)
}

/// A subscription as lists show it.
pub(super) struct Row {
    pub(super) subscription: Subscription,
    pub(super) backlog: Backlog,
    pub(super) activity: Activity,
    /// What it says itself; `None` while it has nothing to do.
    pub(super) status: Option<Status>,
}

/// All that lists show of `subscriptions`, of which there are few.
pub(super) async fn rows(state: &State, subscriptions: Vec<Subscription>) -> Result<Vec<Row>, Problem> {
    let ids: Vec<SubscriptionId> = subscriptions.iter().map(|subscription| subscription.id).collect();
    let statuses = join_all(ids.iter().map(|id| status(state, *id, None, None))).await;
    let mut activities = activities(state, ids.clone()).await?;
    let work = move |connection: &mut _| ids.iter().map(|id| backlog(connection, *id)).collect();
    let backlogs: Vec<Backlog> = state.store.run(Lane::Read, work).await?;
    let rows = subscriptions.into_iter().zip(backlogs).zip(statuses).map(|((subscription, backlog), status)| {
        let activity = activities.remove(&subscription.id).unwrap_or_default();
        Ok(Row { activity, subscription, backlog, status: status? })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_a_minute_ago_stands_beside_the_newest() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut activity = Activity::default();
        let came = Rollup { succeeded: 3, failed: 1, ..Rollup::default() };
        for minutes in [0, 1, 59, 60] {
            activity.add(now.before(Duration::from_mins(minutes)), &came, now);
        }
        assert_eq!((activity.sum.succeeded, activity.bars.len()), (12, BARS));
        let filled: Vec<usize> = (0..BARS).filter(|place| activity.bars[*place].good == 3).collect();
        assert_eq!(filled, [0, BARS - 2, BARS - 1]);
        let mut twice = activity.clone();
        twice.merge(&activity);
        assert_eq!((twice.sum.failed, twice.bars[0].bad), (8, 2));
    }
}
