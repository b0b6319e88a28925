//! When the weather has cleared: is everything settled, is it where it should be, and is the engine as it was?

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Integer, Nullable, SmallInt},
};
use postrider::store::AnyConnection;

use super::{Scene, Subscription, publishers::Published, receiver::Counts};
use crate::{
    report::Report,
    support::{eventually::eventually, process::Footprint},
};

/// The one that gets everything one by one has to catch up.
const SETTLED_WITHIN: Duration = Duration::from_mins(5);
/// Connections that rest are closed after 30 s, those of the API after 75 s.
const BACK_WITHIN: Duration = Duration::from_mins(2);
const FILES_MORE: usize = 30;
const MIB_MORE: u64 = 64;

pub(crate) fn judge(scene: &Scene, published: &Published, before: Footprint, report: &mut Report) {
    let start = Instant::now();
    let replayed = replayed(scene);
    for subscription in &scene.subscriptions {
        eventually("the backlog to be settled", SETTLED_WITHIN, || match scene.bed.api.owed(subscription.id) {
            0 => Ok(()),
            owed => Err(format!("subscription {} is owed {owed}", subscription.id)),
        });
    }
    report.note("settled after the storm, in", format!("{:.1?}", start.elapsed()));
    let accepted = published.accepted();
    report.note("events accepted", accepted.len());
    report.note("refused, or without an answer", published.refused());
    report.note("put back by replays", replayed);

    let lost = lost(scene, published);
    report.check("accepted and lost", lost, "none", lost == 0);
    let unsettled = count(scene, &["pending", "dead", "expired"], |_| true);
    report.check("pending, dead or expired", unsettled, "none", unsettled == 0);
    let cancelled = count(scene, &["cancelled"], |one| !one.is_fickle);
    report.check("cancelled although never deactivated", cancelled, "none", cancelled == 0);
    let (told, stored) = (told(scene), stored(scene));
    let repeats: usize = scene.subscriptions.iter().map(|one| one.receiver.counts().repeats).sum();
    let seen_again = repeats + told.get("cancelled").copied().unwrap_or_default();
    let are_sent = u64::try_from(seen_again).is_ok_and(|seen_again| seen_again >= replayed);
    report.check("repeats, or called off", seen_again, "at least as many as were replayed", are_sent);
    let is_same = told == stored;
    report.check("deliveries by state, as the API tells", in_words(&told), "as they are stored", is_same);
    judge_arrivals(scene, report);
    let after = scene.bed.files_back(before.files + FILES_MORE, BACK_WITHIN);
    report.at_most("files after the storm", after.files, before.files + FILES_MORE);
    report.at_most("MiB after the storm", after.mib(), before.mib() + MIB_MORE);
}

/// How many deliveries all replays have put back, once they have ended.
fn replayed(scene: &Scene) -> u64 {
    eventually("the replays to end", SETTLED_WITHIN, || {
        let page = scene.bed.api.get_json("/api/v1/replays?limit=200");
        let replays = page["items"].as_array().cloned().unwrap_or_default();
        match replays.iter().filter(|replay| replay["state"] == "running").count() {
            0 => Ok(replays.iter().filter_map(|replay| replay["replayed"].as_u64()).sum()),
            running => Err(format!("{running} run")),
        }
    })
}

/// What the database answers.
macro_rules! load {
    ($scene:expr, $query:expr) => {
        match $scene.bed.database.database_url().connect().expect("the database is there") {
            AnyConnection::Mysql(mut connection) => $query.load(&mut connection),
            AnyConnection::Sqlite(mut connection) => $query.load(&mut connection),
        }
        .expect("the tables are there")
    };
}

/// How many deliveries there are in each state.
type Counted = BTreeMap<String, usize>;

/// As all pages of the API together tell it.
fn told(scene: &Scene) -> Counted {
    let mut told = Counted::new();
    for subscription in &scene.subscriptions {
        for delivery in scene.bed.api.all_deliveries(&format!("subscription={}", subscription.id)) {
            *told.entry(delivery["state"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    told
}

/// As the rows are. Their numbers of states are those of the tables.
fn stored(scene: &Scene) -> Counted {
    const STATES: [&str; 6] = ["pending", "delivered", "dead", "expired", "cancelled", "set_aside"];
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SmallInt)]
        state: i16,
        #[diesel(sql_type = BigInt)]
        deliveries: i64,
    }
    let query = sql_query("SELECT state, COUNT(*) AS deliveries FROM deliveries GROUP BY state");
    let rows: Vec<Row> = load!(scene, query);
    let named = |row: Row| {
        let (state, count) = (usize::try_from(row.state).expect("a state"), usize::try_from(row.deliveries));
        (STATES[state].to_owned(), count.expect("a count"))
    };
    rows.into_iter().map(named).collect()
}

/// What is stored of an attempt, for the one who reads a failure.
#[derive(Debug, QueryableByName)]
#[expect(dead_code, reason = "shown by Debug")]
struct StoredAttempt {
    #[diesel(sql_type = BigInt)]
    delivery: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    replayed_at: Option<i64>,
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = BigInt)]
    started_at: i64,
    #[diesel(sql_type = BigInt)]
    duration_us: i64,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    failure: Option<i16>,
}

/// The attempts of the event that was published with this number.
fn stored_attempts(scene: &Scene, subscription: i64, number: u32) -> Vec<StoredAttempt> {
    let query = sql_query(format!(
        "SELECT d.id AS delivery, d.replayed_at, a.number, a.started_at, a.duration_us, a.status, a.failure \
         FROM events e JOIN deliveries d ON d.event_id = e.id JOIN attempts a ON a.delivery_id = d.id \
         WHERE d.subscription_id = {subscription} AND INSTR(e.payload, '\"n\":{number},') > 0 ORDER BY d.id, a.number"
    ));
    load!(scene, query)
}

fn in_words(counted: &Counted) -> String {
    let states: Vec<_> = counted.iter().map(|(state, count)| format!("{count} {state}")).collect();
    states.join(", ")
}

/// Events that were accepted while a subscription to them was active, and never arrived there.
fn lost(scene: &Scene, published: &Published) -> usize {
    let accepted = published.accepted();
    let lost_by = |subscription: &Subscription| {
        let Some(owed_from) = subscription.owed_from else { return 0 };
        let owed = accepted.iter().filter(|one| one.event_type == subscription.event_type && one.number >= owed_from);
        owed.filter(|one| !subscription.receiver.has(one.number)).count()
    };
    scene.subscriptions.iter().map(lost_by).sum()
}

/// Deliveries in one of these states, as far as a page of the API shows them.
fn count(scene: &Scene, states: &[&str], of: impl Fn(&Subscription) -> bool) -> usize {
    let page = |id, state| scene.bed.api.deliveries(&format!("subscription={id}&state={state}")).len();
    let subscriptions = scene.subscriptions.iter().filter(|one| of(one));
    subscriptions.map(|one| states.iter().map(|state| page(one.id, state)).sum::<usize>()).sum()
}

fn judge_arrivals(scene: &Scene, report: &mut Report) {
    let mut all = Counts::default();
    let (mut events, mut uuids) = (0, 0);
    for subscription in &scene.subscriptions {
        let counts = subscription.receiver.counts();
        all.arrived += counts.arrived;
        all.repeats += counts.repeats;
        all.complaints += counts.complaints;
        all.disorder += counts.disorder;
        let (its_events, its_uuids) = subscription.receiver.events_and_uuids();
        events += its_events;
        uuids += its_uuids;
        for complaint in subscription.receiver.complaints() {
            println!("   subscription {}: {complaint}", subscription.id);
        }
        for number in subscription.receiver.suspects() {
            for attempt in stored_attempts(scene, subscription.id, number) {
                println!("   subscription {}: {number}: {attempt:?}", subscription.id);
            }
        }
    }
    report.note("attempts that arrived", all.arrived);
    report.note("of them repeats of what had been answered with 200", all.repeats);
    report.check("deliveries, and uuids", format!("{events}, {uuids}"), "one uuid each", events == uuids);
    report.check("out of order, under two uuids, or after a pause", all.complaints, "none", all.complaints == 0);
    report.check("out of order where no ordering is", all.disorder, "some, or this shows nothing", all.disorder > 0);
}
