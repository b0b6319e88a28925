//! All deliveries of somebody that wait for their first attempt, or for the end of it.

use bytes::Bytes;
use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, dsl::count_star};

use super::{Direction, List, Skip, in_order, lower, skipping, then_by};
use crate::{
    domain::{
        delivery::State,
        event_type::EventType,
        id::{DeliveryId, SubscriptionId},
        owner::Scope,
        time::Timestamp,
    },
    store::{
        AnyConnection, Keyring, Queried,
        schema::{deliveries, events, subscriptions},
        values::{corrupt, state_number},
    },
};

/// A delivery that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The delivery.
    pub id: DeliveryId,
    /// To whom.
    pub subscription: SubscriptionId,
    /// What happened.
    pub event_type: EventType,
    /// To what, in the publisher's own bytes.
    pub payload: Bytes,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
}

/// What waiting deliveries can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// When the event was accepted.
    AcceptedAt,
    /// The subscription.
    Subscription,
    /// The event type.
    EventType,
}

/// Which waiting deliveries, in which order.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub scope: Scope,
    /// This one only.
    pub delivery: Option<DeliveryId>,
    /// Of events of this type, in lower or upper case.
    pub event_type: Option<String>,
    /// The order; what it leaves open is in the order of the ids.
    pub order: Vec<(Key, Direction)>,
}

/// Deliveries with their event.
macro_rules! joined {
    () => {
        deliveries::table
            .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
            .filter(deliveries::state.eq(state_number(State::Pending)))
            .filter(deliveries::attempts.eq(0))
    };
}

/// A boxed query with the filters of a [`Filter`].
macro_rules! filtered {
    ($list:expr, $selection:expr) => {{
        let everybodys = subscriptions::table.select(subscriptions::id);
        let query = joined!().select($selection).into_boxed();
        // Said also when the scope is everything: by subscription and state the index finds what waits.
        let mut query = match $list.scope {
            Scope::All => query.filter(deliveries::subscription_id.eq_any(everybodys)),
            Scope::Of(owner) => {
                let theirs = everybodys.filter(subscriptions::owner_id.eq(owner.as_raw()));
                query.filter(deliveries::subscription_id.eq_any(theirs))
            }
        };
        if let Some(delivery) = $list.delivery {
            query = query.filter(deliveries::id.eq(delivery.as_raw()));
        }
        if let Some(event_type) = &$list.event_type {
            query = query.filter(lower(events::event_type).eq(lower(event_type)));
        }
        query
    }};
}

/// The sum hides the id from the database, which would else walk through all deliveries ever made to get the few that wait
/// in the order of their ids, instead of finding them by the index and sorting them.
fn by_id() -> diesel::helper_types::Add<deliveries::id, i64> {
    deliveries::id + 0
}

impl List for Filter {
    type Row = Waiting;

    fn by_id(&self) -> Option<Direction> {
        match self.order.first() {
            None => Some(Direction::Ascending),
            Some((Key::Id, direction)) => Some(*direction),
            Some(_) => None,
        }
    }

    fn count(&self, connection: &mut AnyConnection) -> Queried<i64> {
        filtered!(self, count_star()).first(connection)
    }

    fn ids(&self, connection: &mut AnyConnection, skip: Skip, limit: i64) -> Queried<Vec<i64>> {
        let query = filtered!(self, deliveries::id).limit(limit);
        let mut query = skipping!(query, skip, self.by_id(), deliveries::id, i64);
        for (key, direction) in &self.order {
            query = match key {
                Key::Id => then_by!(query, direction, by_id()),
                Key::AcceptedAt => then_by!(query, direction, events::accepted_at),
                Key::Subscription => then_by!(query, direction, deliveries::subscription_id),
                Key::EventType => then_by!(query, direction, events::event_type),
            };
        }
        query.then_order_by(by_id()).load(connection)
    }

    fn rows(&self, connection: &mut AnyConnection, _: &Keyring, ids: &[i64]) -> Queried<Vec<Waiting>> {
        let rows: Vec<(i64, i32, String, Vec<u8>, i64)> = joined!()
            .filter(deliveries::id.eq_any(ids))
            .select((
                deliveries::id,
                deliveries::subscription_id,
                events::event_type,
                events::payload,
                events::accepted_at,
            ))
            .load(connection)?;
        let rows = rows
            .into_iter()
            .map(|(id, subscription, event_type, payload, accepted_at)| {
                Ok(Waiting {
                    id: DeliveryId::from_raw(id),
                    subscription: SubscriptionId::from_raw(subscription),
                    event_type: EventType::parse(&event_type).map_err(|error| corrupt(error.to_string()))?,
                    payload: payload.into(),
                    accepted_at: Timestamp::from_micros(accepted_at),
                })
            })
            .collect::<Queried<Vec<_>>>()?;
        Ok(in_order(ids, rows, |waiting| waiting.id.as_raw()))
    }
}
