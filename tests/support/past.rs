//! What an engine has behind it that has run for long: deliveries that were made, and some that are still owed.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use diesel::connection::SimpleConnection;
use postrider::{
    domain::{id::EventId, time::Timestamp},
    store::AnyConnection,
};

use super::database::Database;

/// Short: what is measured reads no payload of the past. Clearing away long ones costs more.
const PAYLOAD: Bytes = Bytes::from_static(br#"{"id": 999999}"#);
/// Between two events: a million are a week.
const STEP: Duration = Duration::from_millis(600);
/// Events that are written in one transaction.
const CHUNK: usize = 10_000;

/// Events of one type, of which each was delivered to all of some subscriptions, with one attempt.
pub struct Past {
    /// Events that were delivered.
    pub delivered: usize,
    /// Events after them that are still owed to the first subscription.
    pub owed: usize,
    event_type: &'static str,
    /// When the first was accepted.
    start: Timestamp,
}

impl Past {
    /// The last of its events was accepted at about `end`.
    pub fn new(event_type: &'static str, delivered: usize, owed: usize, end: Timestamp) -> Self {
        let events = u32::try_from(delivered + owed).expect("some millions");
        Self { delivered, owed, event_type, start: end.before(STEP * events) }
    }

    /// Writes it down, telling how far it is.
    ///
    /// # Panics
    /// When the database refuses it.
    pub fn write(&self, database: &Database, subscriptions: &[i64]) {
        let mut connection = database.database_url().connect().expect("the database is there");
        if database.is_mariadb() {
            execute(&mut connection, &format!("SET SESSION max_recursive_iterations = {CHUNK}"));
        }
        for first in (0..self.delivered).step_by(CHUNK) {
            eprint!("\r{first} of {} events of the past … ", self.delivered);
            let events = first..self.delivered.min(first + CHUNK);
            execute(&mut connection, &self.events(&events, subscriptions.len()));
            execute(&mut connection, &self.deliveries(&events, subscriptions, true));
            execute(&mut connection, &self.attempts(&events));
        }
        if self.owed > 0 {
            let owed = self.delivered..self.delivered + self.owed;
            execute(&mut connection, &self.events(&owed, 1));
            execute(&mut connection, &self.deliveries(&owed, &subscriptions[..1], false));
        }
    }

    /// No id of this event or of a later one is less.
    fn first_id(&self, event: usize) -> i64 {
        let step = u32::try_from(event).expect("some millions");
        EventId::before(self.start.after(STEP * step)).as_raw() + 1
    }

    /// The deliveries of an event follow it, as those that the engine mints do.
    fn ids(&self, events: &Range<usize>) -> String {
        format!("BETWEEN {} AND {}", self.first_id(events.start), self.first_id(events.end) - 1)
    }

    fn events(&self, events: &Range<usize>, deliveries: usize) -> String {
        let (id, next) = (self.first_id(events.start), self.first_id(events.start + 1));
        let at = self.start.after(STEP * u32::try_from(events.start).expect("some millions"));
        format!(
            "INSERT INTO events (id, publisher_id, event_type, accepted_at, deliveries, payload) \
             WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {}) \
             SELECT {id} + n * {}, 1, '{}', {} + n * {}, {deliveries}, X'{PAYLOAD:x}' FROM numbers",
            events.len(),
            next - id,
            self.event_type,
            at.as_micros(),
            STEP.as_micros(),
        )
    }

    fn deliveries(&self, events: &Range<usize>, subscriptions: &[i64], are_made: bool) -> String {
        let (state, attempts, recorded_at) = if are_made { (1, 1, "accepted_at") } else { (0, 0, "NULL") };
        let receivers: Vec<_> =
            (1..).zip(subscriptions).map(|(n, id)| format!("SELECT {n} AS n, {id} AS id")).collect();
        format!(
            "INSERT INTO deliveries \
             (id, event_id, subscription_id, state, attempts, due_at, first_recorded_at, recorded_at) \
             SELECT events.id + receivers.n, events.id, receivers.id, {state}, {attempts}, 0, {recorded_at}, {recorded_at} \
             FROM events CROSS JOIN ({}) AS receivers WHERE events.id {}",
            receivers.join(" UNION ALL "),
            self.ids(events),
        )
    }

    fn attempts(&self, events: &Range<usize>) -> String {
        format!(
            "INSERT INTO attempts (delivery_id, number, started_at, duration_us, status) \
             SELECT id, 1, recorded_at, 1000, 200 FROM deliveries WHERE id {}",
            self.ids(events),
        )
    }
}

/// A statement that both databases understand.
fn execute(connection: &mut AnyConnection, statement: &str) {
    connection.batch_execute(statement).expect("the database takes it");
}
