//! Deliveries that a person skips or sets aside, and those put back.
//!
//! The state of the delivery says what holds; the row of the intervention says who decided it and why, and goes with its
//! delivery. Whoever calls this has copies in memory given up afterwards, as when a delivery is cancelled.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl, insert_into};

use super::{
    AnyConnection, Queried,
    connection::on_each,
    schema::{deliveries, interventions},
    transaction::in_transaction,
    values::{decision_from, decision_number, state_number},
};
use crate::domain::{
    delivery::State,
    id::DeliveryId,
    intervention::{Decision, Intervention},
    time::Timestamp,
};

#[derive(Insertable)]
#[diesel(table_name = interventions, treat_none_as_default_value = false)]
struct NewRow<'a> {
    delivery_id: i64,
    decision: i16,
    decided_by: &'a str,
    reason: Option<&'a str>,
    decided_at: i64,
}

/// Skips a delivery or sets it aside, if its state allows it; gives whether it did. One transaction; the same when it is run
/// again.
///
/// # Errors
/// A row that this version cannot read.
pub fn intervene(connection: &mut AnyConnection, delivery: DeliveryId, intervention: &Intervention) -> Queried<bool> {
    let Intervention { decision, by, reason, at } = intervention;
    let allowed = State::ALL.into_iter().filter(|state| decision.applies_to(*state)).map(state_number);
    in_transaction(connection, |connection| {
        let row = deliveries::table.find(delivery.as_raw()).filter(deliveries::state.eq_any(allowed.clone()));
        let moved = (deliveries::state.eq(state_number(decision.leads_to())), deliveries::due_at.eq(0));
        let moved = match decision {
            Decision::Skip => {
                diesel::update(row).set((moved, deliveries::recorded_at.eq(at.as_micros()))).execute(connection)?
            }
            // It is not settled.
            Decision::SetAside => diesel::update(row).set(moved).execute(connection)?,
        };
        if moved == 0 {
            // An earlier run may have been committed without our knowing.
            return Ok(intervention_in(connection, delivery)?.as_ref() == Some(intervention));
        }
        diesel::delete(interventions::table.find(delivery.as_raw())).execute(connection)?;
        let row = NewRow {
            delivery_id: delivery.as_raw(),
            decision: decision_number(*decision),
            decided_by: by,
            reason: reason.as_deref(),
            decided_at: at.as_micros(),
        };
        on_each!(connection, c => insert_into(interventions::table).values(&row).execute(c).map(drop))?;
        Ok(true)
    })
}

/// The latest decision about a delivery; `None` when nobody intervened. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn intervention_in(connection: &mut AnyConnection, delivery: DeliveryId) -> Queried<Option<Intervention>> {
    let row: Option<(i64, i16, String, Option<String>, i64)> =
        interventions::table.find(delivery.as_raw()).first(connection).optional()?;
    let Some((_, decision, by, reason, at)) = row else { return Ok(None) };
    Ok(Some(Intervention { decision: decision_from(decision)?, by, reason, at: Timestamp::from_micros(at) }))
}

/// Puts a delivery that is set aside back among those that are owed, due at `now`; its retry policy begins again, as after a
/// replay. Gives whether it was set aside. One statement.
///
/// # Errors
/// None of its own.
pub fn release(connection: &mut AnyConnection, delivery: DeliveryId, now: Timestamp) -> Queried<bool> {
    use deliveries::dsl;
    let aside =
        dsl::deliveries.find(delivery.as_raw()).filter(dsl::state.eq(state_number(Decision::SetAside.leads_to())));
    let released = diesel::update(aside)
        .set((
            dsl::state.eq(state_number(State::Pending)),
            dsl::due_at.eq(now.as_micros()),
            dsl::uncounted_attempts.eq(dsl::attempts),
            dsl::replayed_at.eq(now.as_micros()),
        ))
        .execute(connection)?;
    Ok(released > 0)
}
