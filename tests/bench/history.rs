//! What grows with the past: the same load on an empty database, and on one that remembers millions of deliveries.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use diesel::connection::SimpleConnection;
use postrider::{
    clock::Clock,
    domain::{id::EventId, time::Timestamp},
    store::AnyConnection,
};

use super::load::{Load, TYPE};
use crate::support::database::Database;

const EVENTS: usize = 50_000;
/// Deliveries of each event of the past, one to each subscription.
const FAN_OUT: usize = 10;
/// What the first subscription is owed at the start.
pub(crate) const OWED: usize = 1_000;
/// What the receiver takes for an event; nothing that is measured reads the payloads of the past, so they are short.
const PAYLOAD: Bytes = Bytes::from_static(br#"{"id": 999999}"#);
/// Between two events of the past: ten million deliveries are a week.
const STEP: Duration = Duration::from_millis(600);
/// Events that are written in one transaction.
const CHUNK: usize = 10_000;

pub(crate) const fn loads(deliveries: usize) -> [Load; 2] {
    [behind("nothing before", 0), behind("a long past", deliveries)]
}

const fn behind(name: &'static str, past: usize) -> Load {
    Load { name, events: EVENTS, rate: None, fan_out: 1, endpoints: 1, others: FAN_OUT - 1, past }
}

/// Writes that so many deliveries were made to these ten subscriptions until a minute ago, with an attempt each, and that
/// the first is still owed [`OWED`].
///
/// # Panics
/// When the database refuses it.
pub(crate) fn write(database: &Database, subscriptions: &[i64], deliveries: usize) {
    let mut connection = database.database_url().connect().expect("the database is there");
    if database.is_mariadb() {
        execute(&mut connection, &format!("SET SESSION max_recursive_iterations = {CHUNK}"));
    }
    let made = deliveries / FAN_OUT;
    let all = u32::try_from(made + OWED).expect("some millions");
    let past = Past { start: Clock::system().now().before(Duration::from_mins(1) + STEP * all) };
    for first in (0..made).step_by(CHUNK) {
        eprint!("\r{} of {deliveries} deliveries of the past … ", first * FAN_OUT);
        let events = first..made.min(first + CHUNK);
        execute(&mut connection, &past.events(&events, FAN_OUT));
        execute(&mut connection, &past.deliveries(&events, subscriptions, true));
        execute(&mut connection, &past.attempts(&events));
    }
    let owed = made..made + OWED;
    execute(&mut connection, &past.events(&owed, 1));
    execute(&mut connection, &past.deliveries(&owed, &subscriptions[..1], false));
}

fn execute(connection: &mut AnyConnection, statement: &str) {
    connection.batch_execute(statement).expect("the database takes it");
}

/// Its events are numbered from 0 on. The statements are those that both databases understand.
struct Past {
    start: Timestamp,
}

impl Past {
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
             SELECT {id} + n * {}, 1, '{TYPE}', {} + n * {}, {deliveries}, X'{PAYLOAD:x}' FROM numbers",
            events.len(),
            next - id,
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
