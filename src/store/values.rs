//! Small values as the columns hold them. The numbers are stored: never change one, only add.

use bytes::Bytes;
use diesel::result::Error as DieselError;

use super::Queried;
use crate::domain::{
    attempt::FailureClass,
    delivery::State,
    hold::HoldMode,
    intervention::Decision,
    ordering::{KeyHash, Ordering},
    owner::Role,
    replay::Stage,
    time::Timestamp,
};

/// A row that this version cannot read.
pub(super) fn corrupt(what: impl Into<String>) -> DieselError {
    DieselError::DeserializationError(what.into().into())
}

pub(super) const fn state_number(state: State) -> i16 {
    match state {
        State::Pending => 0,
        State::Delivered => 1,
        State::Dead => 2,
        State::Expired => 3,
        State::Cancelled => 4,
        State::SetAside => 5,
    }
}

pub(super) fn state_from(number: i16) -> Queried<State> {
    find(State::ALL, number, state_number, "state of a delivery")
}

/// Several states in one number: a bit for each.
pub(super) fn states_number(states: &[State]) -> i16 {
    states.iter().fold(0, |bits, state| bits | (1 << state_number(*state)))
}

pub(super) fn states_from(bits: i16) -> Vec<State> {
    State::ALL.into_iter().filter(|state| bits & (1 << state_number(*state)) != 0).collect()
}

pub(super) const fn stage_number(stage: Stage) -> i16 {
    match stage {
        Stage::Running => 0,
        Stage::Done => 1,
        Stage::Cancelled => 2,
    }
}

pub(super) fn stage_from(number: i16) -> Queried<Stage> {
    find(Stage::ALL, number, stage_number, "stage of a replay")
}

pub(super) const fn decision_number(decision: Decision) -> i16 {
    match decision {
        Decision::Skip => 0,
        Decision::SetAside => 1,
    }
}

pub(super) fn decision_from(number: i16) -> Queried<Decision> {
    find(Decision::ALL, number, decision_number, "decision about a delivery")
}

pub(super) const fn role_number(role: Role) -> i16 {
    match role {
        Role::Subscriber => 0,
        Role::Publisher => 1,
        Role::Admin => 2,
    }
}

pub(super) fn role_from(number: i16) -> Queried<Role> {
    find([Role::Subscriber, Role::Publisher, Role::Admin], number, role_number, "role of an owner")
}

pub(super) const fn hold_mode_number(mode: HoldMode) -> i16 {
    match mode {
        HoldMode::Keep => 0,
        HoldMode::Drop => 1,
    }
}

pub(super) fn hold_mode_from(number: i16) -> Queried<HoldMode> {
    find(HoldMode::ALL, number, hold_mode_number, "mode of a hold")
}

pub(super) const fn ordering_number(ordering: Ordering) -> i16 {
    match ordering {
        Ordering::None => 0,
        Ordering::Key => 1,
        Ordering::Subscription => 2,
    }
}

pub(super) fn ordering_from(number: i16) -> Queried<Ordering> {
    find(Ordering::ALL, number, ordering_number, "ordering of a subscription")
}

pub(super) const fn failure_number(class: FailureClass) -> i16 {
    match class {
        FailureClass::Forbidden => 1,
        FailureClass::Dns => 2,
        FailureClass::Connect => 3,
        FailureClass::Tls => 4,
        FailureClass::Timeout => 5,
        FailureClass::Protocol => 6,
        FailureClass::Request => 7,
    }
}

pub(super) fn failure_from(number: i16) -> Queried<FailureClass> {
    find(FailureClass::ALL, number, failure_number, "failure of an attempt")
}

fn find<T: Copy, const N: usize>(all: [T; N], number: i16, number_of: fn(T) -> i16, what: &str) -> Queried<T> {
    all.into_iter()
        .find(|value| number_of(*value) == number)
        .ok_or_else(|| corrupt(format!("unknown {what}: {number}")))
}

/// Where `due_at` says that a delivery is parked behind its ordering key: from here on, and the key's hash. No time is as
/// late (year 148,109), and the index finds the parked deliveries of one key together, in the order of their ids.
pub(super) const PARKED: i64 = 1 << 62;

/// How `due_at` is stored: 0 while nothing holds the delivery back.
pub(super) fn due_column(due_at: Option<Timestamp>) -> i64 {
    due_at.map_or(0, |at| at.as_micros().clamp(1, PARKED - 1))
}

/// `None` also for a parked delivery: when it is due depends on the one before it.
pub(super) fn due_from(column: i64) -> Option<Timestamp> {
    (0 < column && column < PARKED).then_some(Timestamp::from_micros(column))
}

/// How `due_at` is stored while the delivery is parked behind `key`.
pub(super) fn parked_column(key: KeyHash) -> i64 {
    PARKED + i64::try_from(key.as_raw()).unwrap_or_default()
}

/// The key behind which a delivery is parked; `None` when it is not parked.
pub(super) fn parked_behind(column: i64) -> Option<KeyHash> {
    u64::try_from(column.checked_sub(PARKED)?).ok().map(KeyHash::from_raw)
}

/// `text`, cut to at most `bytes` bytes at the border of a character.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A payload for people who look. No JSON is empty: an empty one was erased, and is shown as `null`.
pub(super) fn payload_from(payload: Vec<u8>) -> Bytes {
    if payload.is_empty() { Bytes::from_static(b"null") } else { payload.into() }
}

/// A count as the columns hold it.
pub(super) fn count_from(number: i32) -> u16 {
    u16::try_from(number).unwrap_or(if number < 0 { 0 } else { u16::MAX })
}
