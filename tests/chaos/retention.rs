//! Clearing away under load: of a million outdated deliveries thousands go every second, and what happens today arrives
//! hardly later. The rows are short: payloads of a few bytes, attempts without an answer's body.
//!
//! Both in turns: "alone" everything is kept for ever.

use std::time::Duration;

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use postrider::{
    clock::Clock,
    domain::{event_type::OMS_EVENT_TYPES, id::DeliveryId},
    store::AnyConnection,
};
use serde_json::json;

use crate::{
    bed::{Bed, loopback},
    load::{Ledger, Phase},
    report::{Report, median, ratio},
    support::{
        past::Past,
        sink::{Keep, Sink},
    },
};

const TYPE: &str = OMS_EVENT_TYPES[0];
/// Each event of the past was delivered to all.
const SUBSCRIPTIONS: usize = 10;
const EVENTS: usize = 100_000;
/// Before today; a day is kept.
const AGO: Duration = Duration::from_hours(48);
const KEEP: &str = "POSTRIDER_KEEP_DELIVERED";
const ROUNDS: usize = 3;
const RATE: u32 = 200;
const PHASE: Duration = Duration::from_secs(10);
/// As many as many a shop makes in its best minute.
const LEAST: u64 = 1_000;
const END_WITHIN: Duration = Duration::from_secs(20);
const FACTOR: f64 = 1.3;
const GRACE: Duration = Duration::from_millis(5);

pub(crate) fn run(mut bed: Bed, report: &mut Report) {
    let (ledger, endpoint) = (Ledger::default(), Sink::start_at(&[loopback(7, 0)], Keep::Nothing));
    ledger.watch(&endpoint, "/0");
    let subscriptions: Vec<_> = (0..SUBSCRIPTIONS)
        .map(|n| bed.api.subscribe(OMS_EVENT_TYPES[n], &endpoint.url(&format!("/{n}")), json!({})))
        .collect();
    bed.engine.terminate(END_WITHIN);
    Past::new(TYPE, EVENTS, 0, Clock::system().now().before(AGO)).write(&bed.database, &subscriptions);
    bed.engine.start_again();

    let mut slower = Vec::new();
    for _ in 0..ROUNDS {
        let alone = phase(&mut bed, &ledger, "forever");
        let before = stored(&bed);
        let beside = phase(&mut bed, &ledger, "1");
        let cleared = before.saturating_sub(stored(&bed)) / PHASE.as_secs();
        report.note("publishing to arrival, alone", &alone.arrivals);
        report.note("publishing to arrival, while outdated deliveries go", &beside.arrivals);
        report.check("deliveries cleared per second", cleared, &format!("at least {LEAST}"), cleared >= LEAST);
        let refused = alone.refused + beside.refused;
        report.check("refused", refused, "none", refused == 0);
        slower.push(ratio(beside.arrivals.percentile(99.0), alone.arrivals.percentile(99.0) + GRACE));
    }
    report.at_most("p99 while they go, in times of alone (and 5 ms)", median(slower.into_iter()), FACTOR);
}

fn phase(bed: &mut Bed, ledger: &Ledger, keep: &str) -> Phase {
    bed.engine.terminate(END_WITHIN);
    bed.engine.set(KEEP, keep);
    bed.engine.set("POSTRIDER_SWEEP", "1");
    bed.engine.start_again();
    ledger.phase(&bed.api, RATE, PHASE, |_| (TYPE, 1))
}

/// Deliveries of the past that there are.
fn stored(bed: &Bed) -> u64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        deliveries: i64,
    }
    let today = DeliveryId::before(Clock::system().now().before(AGO / 2)).as_raw();
    let query = sql_query(format!("SELECT COUNT(*) AS deliveries FROM deliveries WHERE id <= {today}"));
    let row: Row = match bed.database.database_url().connect().expect("the database is there") {
        AnyConnection::Mysql(mut connection) => query.get_result(&mut connection),
        AnyConnection::Sqlite(mut connection) => query.get_result(&mut connection),
    }
    .expect("the table is there");
    u64::try_from(row.deliveries).expect("a count")
}
