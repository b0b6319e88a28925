//! All subscriptions of somebody.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::count_star};

use super::{Direction, List, Skip, in_order, lower, skipping, then_by};
use crate::{
    domain::{id::SubscriptionId, owner::Scope, subscription::Subscription},
    store::{AnyConnection, Keyring, Queried, schema::subscriptions, subscriptions::of_ids},
};

/// What subscriptions can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// When it was written first.
    CreatedAt,
    /// When it was written last.
    ModifiedAt,
    /// Whose it is.
    Owner,
    /// The endpoint as given.
    TargetUrl,
    /// Inactive ones before active ones.
    IsActive,
    /// The secret, as it is stored: of sealed ones no order means anything; those without one behind the others.
    Secret,
    /// The event type.
    EventType,
    /// The callback; those without one behind the others.
    Callback,
}

/// Which subscriptions, in which order.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Whose.
    pub scope: Scope,
    /// With this endpoint, in lower or upper case.
    pub target_url: Option<String>,
    /// Of this event type, in lower or upper case.
    pub event_type: Option<String>,
    /// Active ones, or inactive ones.
    pub is_active: Option<bool>,
    /// The order; what it leaves open is in the order of the ids.
    pub order: Vec<(Key, Direction)>,
}

/// A boxed query with the filters of a [`Registered`].
macro_rules! filtered {
    ($list:expr, $selection:expr) => {{
        let mut query = subscriptions::table.select($selection).into_boxed();
        if let Scope::Of(owner) = $list.scope {
            query = query.filter(subscriptions::owner_id.eq(owner.as_raw()));
        }
        if let Some(url) = &$list.target_url {
            query = query.filter(lower(subscriptions::target_url).eq(lower(url)));
        }
        if let Some(event_type) = &$list.event_type {
            query = query.filter(lower(subscriptions::event_type).eq(lower(event_type)));
        }
        if let Some(is_active) = $list.is_active {
            query = query.filter(subscriptions::is_active.eq(is_active));
        }
        query
    }};
}

impl List for Registered {
    type Row = Subscription;

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
        let query = filtered!(self, subscriptions::id).limit(limit);
        let mut query = skipping!(query, skip, self.by_id(), subscriptions::id, i32);
        for (key, direction) in &self.order {
            query = match key {
                Key::Id => then_by!(query, direction, subscriptions::id),
                Key::CreatedAt => then_by!(query, direction, subscriptions::created_at),
                Key::ModifiedAt => then_by!(query, direction, subscriptions::modified_at),
                Key::Owner => then_by!(query, direction, subscriptions::owner_id),
                Key::TargetUrl => then_by!(query, direction, subscriptions::target_url),
                Key::IsActive => then_by!(query, direction, subscriptions::is_active),
                Key::EventType => then_by!(query, direction, subscriptions::event_type),
                Key::Secret => {
                    let query = then_by!(query, direction, subscriptions::secret_key.is_null());
                    then_by!(query, direction, subscriptions::secret_key)
                }
                Key::Callback => {
                    let query = then_by!(query, direction, subscriptions::callback.is_null());
                    then_by!(query, direction, subscriptions::callback)
                }
            };
        }
        let ids: Vec<i32> = query.then_order_by(subscriptions::id).load(connection)?;
        Ok(ids.into_iter().map(i64::from).collect())
    }

    fn rows(&self, connection: &mut AnyConnection, keys: &Keyring, ids: &[i64]) -> Queried<Vec<Subscription>> {
        let wanted: Vec<_> =
            ids.iter().filter_map(|id| i32::try_from(*id).ok()).map(SubscriptionId::from_raw).collect();
        let rows = of_ids(connection, keys, &wanted)?;
        Ok(in_order(ids, rows, |subscription| subscription.id.as_raw().into()))
    }
}
