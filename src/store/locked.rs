//! Deliveries with their events, held still until the transaction ends.
//!
//! A replay must not put back a delivery whose payload is being erased, and clearing away must not take what is being put
//! back. Whoever does either holds the rows first, always deliveries and events together.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};

use super::{
    AnyConnection, Queried,
    schema::{deliveries, events},
};

/// What is asked of a delivery before it is moved or cleared away.
pub(super) struct Locked {
    pub(super) id: i64,
    pub(super) state: i16,
    pub(super) recorded_at: Option<i64>,
    pub(super) event: i64,
    pub(super) event_type: String,
    pub(super) accepted_at: i64,
    /// How many deliveries the event owed.
    pub(super) owed: i32,
    pub(super) payload_erased: bool,
}

type Row = (i64, i16, Option<i64>, i64, String, i64, i32, Option<i64>);

/// Deliveries joined with their events, as [`Row`].
macro_rules! facts_of {
    ($ids:expr) => {
        deliveries::table
            .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
            .filter(deliveries::id.eq_any($ids))
            .select((
                deliveries::id,
                deliveries::state,
                deliveries::recorded_at,
                events::id,
                events::event_type,
                events::accepted_at,
                events::deliveries,
                events::payload_erased_at,
            ))
    };
}

/// Reads deliveries and their events, in no particular order, and lets nobody else change them until the transaction ends.
/// On `SQLite` the transaction itself does that.
pub(super) fn lock(connection: &mut AnyConnection, ids: &[i64]) -> Queried<Vec<Locked>> {
    let rows: Vec<Row> = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => facts_of!(ids).for_update().load(connection)?,
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => facts_of!(ids).load(connection)?,
    };
    Ok(rows.into_iter().map(Locked::from).collect())
}

/// The same for a look that changes nothing.
pub(super) fn look(connection: &mut AnyConnection, ids: &[i64]) -> Queried<Vec<Locked>> {
    let rows: Vec<Row> = facts_of!(ids).load(connection)?;
    Ok(rows.into_iter().map(Locked::from).collect())
}

impl From<Row> for Locked {
    fn from((id, state, recorded_at, event, event_type, accepted_at, owed, erased_at): Row) -> Self {
        Self { id, state, recorded_at, event, event_type, accepted_at, owed, payload_erased: erased_at.is_some() }
    }
}
