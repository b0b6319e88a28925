//! Many deliveries attempted again, by a person's order.
//!
//! A replay puts settled deliveries back to pending, the oldest first. Their uuids stay, their attempts are numbered on,
//! and their retry policy begins again ([`super::delivery::Course`]); in which order and how fast they then go out is the
//! queue's business. Whose payload was erased cannot be replayed, and is counted as skipped.

use std::{num::NonZeroU16, time::Duration};

use super::{
    delivery::State,
    event_type::EventType,
    id::{DeliveryId, ReplayId, SubscriptionId},
    time::Timestamp,
};

/// What is replayed when nobody says otherwise: all that was given up.
pub const DEFAULT_STATES: [State; 3] = [State::Dead, State::Expired, State::Cancelled];
/// The most deliveries a second that can be asked for.
pub const MAX_PER_SECOND: u16 = 10_000;
/// The most deliveries that one step puts back: a short transaction.
const MAX_STEP: u16 = 500;
/// Steps a second, so that a slow pace does not come in bursts.
const STEPS_PER_SECOND: u16 = 10;
/// By how much ids may run ahead of the time ([`DeliveryId::before`]).
const IDS_AHEAD: Duration = Duration::from_hours(1);

/// Which deliveries are replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// To this subscription.
    pub subscription: SubscriptionId,
    /// In one of these states; none of them is [`State::Pending`], and there is at least one.
    pub states: Vec<State>,
    /// Of events accepted then or later.
    pub from: Option<Timestamp>,
    /// Of events accepted before.
    pub to: Timestamp,
    /// Of events of this type.
    pub event_type: Option<EventType>,
}

impl Filter {
    /// Whether deliveries of an event are meant.
    #[must_use]
    pub fn includes(&self, event_type: &str, accepted_at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= accepted_at)
            && accepted_at < self.to
            && self.event_type.as_ref().is_none_or(|wanted| wanted.as_str() == event_type)
    }

    /// No delivery that is meant has this id or a smaller one.
    #[must_use]
    pub fn begins_after(&self) -> DeliveryId {
        DeliveryId::before(self.from.unwrap_or(Timestamp::EPOCH))
    }

    /// No delivery that is meant has a greater id.
    #[must_use]
    pub fn ends_with(&self) -> DeliveryId {
        DeliveryId::before(self.to.after(IDS_AHEAD))
    }
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It puts deliveries back.
    Running,
    /// It has put back everything it was meant to.
    Done,
    /// Somebody called it off, or its subscription ended. What it had put back by then stays so.
    Cancelled,
}

impl Stage {
    /// Every stage, for tables.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A replay as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The row.
    pub id: ReplayId,
    /// Which deliveries.
    pub filter: Filter,
    /// How many a second at most; `None` for as fast as the database lets it.
    pub per_second: Option<NonZeroU16>,
    /// Where it stands.
    pub stage: Stage,
    /// Everything up to this id has been looked at.
    pub done_up_to: DeliveryId,
    /// Deliveries put back so far.
    pub replayed: u64,
    /// Deliveries left alone because their payload was erased.
    pub skipped: u64,
    /// The name of the owner who ordered it.
    pub ordered_by: String,
    /// When.
    pub ordered_at: Timestamp,
    /// When it was done or cancelled.
    pub ended_at: Option<Timestamp>,
}

impl Replay {
    /// How many deliveries the next step may put back.
    #[must_use]
    pub fn step(&self) -> u16 {
        self.per_second.map_or(MAX_STEP, |pace| pace.get().div_ceil(STEPS_PER_SECOND).min(MAX_STEP))
    }

    /// How long to wait, from its beginning, after a step that put back `replayed` and took `took`.
    #[must_use]
    pub fn pause_after(&self, replayed: u16, took: Duration) -> Duration {
        match self.per_second {
            Some(pace) => Duration::from_secs(u64::from(replayed)) / u32::from(pace.get()),
            // Others want to write as well: at most half of the time is ours.
            None => took * 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).after(Duration::from_secs(seconds))
    }

    fn filter() -> Filter {
        Filter {
            subscription: SubscriptionId::from_raw(1),
            states: DEFAULT_STATES.into(),
            from: Some(at(10)),
            to: at(20),
            event_type: None,
        }
    }

    fn replay(per_second: Option<u16>) -> Replay {
        Replay {
            id: ReplayId::from_raw(1),
            filter: filter(),
            per_second: per_second.and_then(NonZeroU16::new),
            stage: Stage::Running,
            done_up_to: DeliveryId::from_raw(0),
            replayed: 0,
            skipped: 0,
            ordered_by: "admin".to_owned(),
            ordered_at: at(0),
            ended_at: None,
        }
    }

    #[test]
    fn from_is_meant_and_to_is_not() {
        let meant = |seconds| filter().includes("package.created", at(seconds));
        assert_eq!([9, 10, 19, 20].map(meant), [false, true, true, false]);
        let open = Filter { from: None, ..filter() };
        assert!(open.includes("package.created", Timestamp::EPOCH));
    }

    #[test]
    fn another_type_is_not_meant() {
        let of_type = Filter { event_type: EventType::parse("package.created").ok(), ..filter() };
        assert!(of_type.includes("package.created", at(15)));
        assert!(!of_type.includes("package.updated", at(15)));
    }

    #[test]
    fn no_id_that_is_meant_lies_outside_of_the_bounds() {
        let filter = filter();
        assert_eq!(filter.begins_after(), DeliveryId::before(at(10)));
        // An id may have run ahead of its event's time.
        assert!(DeliveryId::before(at(20 + 3_599)) < filter.ends_with());
        assert!(Filter { from: None, ..filter }.begins_after() < DeliveryId::from_raw(0));
    }

    #[test]
    fn the_pace_is_kept_whatever_it_is() {
        for pace in [1, 2, 9, 10, 11, 100, 999, 5_000, MAX_PER_SECOND] {
            let replay = replay(Some(pace));
            let (step, pause) = (replay.step(), replay.pause_after(replay.step(), Duration::ZERO));
            assert!((1..=MAX_STEP).contains(&step), "{pace}");
            let per_second = f64::from(step) / pause.as_secs_f64();
            assert!((per_second - f64::from(pace)).abs() < 0.01, "{pace}: {per_second}");
            assert!(pause <= Duration::from_secs(1), "{pace}: {pause:?}");
        }
        assert_eq!(replay(Some(50)).pause_after(0, Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn without_a_pace_others_get_half_of_the_time() {
        assert_eq!(replay(None).pause_after(500, Duration::from_millis(30)), Duration::from_millis(60));
    }
}
