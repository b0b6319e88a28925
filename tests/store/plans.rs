//! How the databases find what the engine asks for all the time: by the index, however many deliveries there are.
//!
//! The statements are those that the store really runs, overheard on the connection.

use std::sync::{Arc, Mutex};

use diesel::connection::{Connection, InstrumentationEvent};
use postrider::{
    domain::{
        delivery::Verdict,
        id::{DeliveryId, SubscriptionId},
        ordering::Ordering,
        owner::Scope,
        queue::ReadOrder,
    },
    store::{
        AnyConnection, Queried,
        accept::{Run, accept_events},
        backlog::{owing_subscriptions, read_page},
        lists::{List, Skip, waiting},
        record::{Reach, cancel_owed, record_attempts},
    },
};
#[cfg(feature = "mysql")]
use serde_json::Value;

use crate::{
    scene::{NOW, Scene, all, at, key, record},
    sql,
    support::database::{Database, on_both},
};

on_both! {
    a_page_is_chosen_by_the_index_alone,
    payloads_are_found_by_their_keys,
    keys_are_found_by_one_statement_and_by_the_index,
    who_is_owed_something_is_asked_of_the_index_alone,
    moving_a_delivery_finds_it_by_its_key,
    cancelling_finds_what_is_owed_by_the_index,
    idempotency_keys_are_found_by_their_key,
    what_waits_is_found_by_the_index_among_all_that_was_delivered,
}

const SUBSCRIPTIONS: usize = 40;

/// 24,000 deliveries: half of them owed to the first subscription, the rest to all others alike; a quarter delivered, a
/// quarter waiting for a retry.
pub(crate) async fn crowd(database: &Database) -> (Scene, Vec<SubscriptionId>) {
    let scene = Scene::of(database).await;
    let mut subscriptions = Vec::new();
    for number in 0..SUBSCRIPTIONS {
        subscriptions.push(scene.subscription(&format!("s{number}")).await);
    }
    for round in 0..12 {
        let to = |n: usize| [subscriptions[0], subscriptions[1 + (round * 1_000 + n) % (SUBSCRIPTIONS - 1)]];
        scene.accept((0..1_000).map(|n| scene.acceptance("{}", &to(n))).collect()).await;
    }
    scene
        .write(|c| {
            // The sequence of an id counts up by one.
            sql::execute(c, "UPDATE deliveries SET state = 1, attempts = 1, recorded_at = 1 WHERE id % 4 = 1")?;
            let due = at(60).as_micros();
            sql::execute(c, &format!("UPDATE deliveries SET attempts = 1, due_at = {due} + id % 97 WHERE id % 4 = 2"))
        })
        .await;
    if database.is_mariadb() {
        scene.write(|c| sql::execute(c, "ANALYZE TABLE deliveries, events, subscriptions, idempotency_keys")).await;
    }
    (scene, subscriptions)
}

async fn a_page_is_chosen_by_the_index_alone(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    for subscription in [subscriptions[0], subscriptions[7]] {
        let known = (0..50).map(DeliveryId::from_raw).collect();
        let order = ReadOrder { known, fresh: 100, due: 100, ..all() };
        let page = move |c: &mut _| read_page(c, subscription, &order, at(60), usize::MAX).map(drop);
        let overheard = scene.read(move |c| overhear(c, &page)).await;
        for statement in &overheard[..2] {
            let plan = scene.read(explain(statement)).await;
            assert!(plan.uses_the_queue_index_alone(), "{statement}\n{plan:#?}");
        }
    }
}

async fn payloads_are_found_by_their_keys(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let order = ReadOrder { known: std::collections::HashSet::new(), fresh: 100, due: 100, ..all() };
    let subscription = subscriptions[0];
    let page = move |c: &mut _| read_page(c, subscription, &order, at(600), usize::MAX).map(drop);
    let overheard = scene.read(move |c| overhear(c, &page)).await;
    assert!(overheard.len() > 2, "{overheard:#?}");
    for statement in &overheard[2..] {
        let plan = scene.read(explain(statement)).await;
        assert!(plan.scans_nothing() && plan.has("events") && plan.has("deliveries"), "{statement}\n{plan:#?}");
    }
}

async fn keys_are_found_by_one_statement_and_by_the_index(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let subscription = subscriptions[7];
    for ordering in [Ordering::None, Ordering::Key] {
        let order = ReadOrder { fresh: 0, due: 1, keys: true, ordering, ..all() };
        let page = move |c: &mut _| read_page(c, subscription, &order, at(0), usize::MAX).map(drop);
        let overheard = scene.read(move |c| overhear(c, &page)).await;
        // What moves from one to the other between two statements would be seen by neither.
        let [_due, keys] = &overheard[..] else { panic!("{overheard:#?}") };
        let plan = scene.read(explain(keys)).await;
        assert!(plan.of("deliveries").scans_nothing() && !plan.sorts(), "{keys}\n{plan:#?}");
    }
}

async fn who_is_owed_something_is_asked_of_the_index_alone(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let after = subscriptions[3];
    let asked = move |c: &mut _| owing_subscriptions(c, after, 10).map(drop);
    let overheard = scene.read(move |c| overhear(c, &asked)).await;
    let plan = scene.read(explain(&overheard[0])).await;
    assert!(plan.of("deliveries").uses_the_queue_index_alone(), "{}\n{plan:#?}", overheard[0]);
    if database.is_mariadb() {
        let asked = move |c: &mut _| owing_subscriptions(c, after, 10).map(drop);
        let read = scene.read(move |c| rows_read(c, &asked)).await;
        assert!(read <= 40, "{read} rows read to find 10 subscriptions");
    }
}

async fn moving_a_delivery_finds_it_by_its_key(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let ids = scene.owe(subscriptions[0], 200).await;
    let records: Vec<_> = ids.iter().map(|id| record(*id, 1, 200, Verdict::Delivered)).collect();
    let work = move |c: &mut _| record_attempts(c, &records, NOW);
    let overheard = scene.write(move |c| overhear(c, &work)).await;
    let update = overheard.iter().find(|statement| statement.starts_with("UPDATE")).expect("one moves them").clone();
    let plan = scene.read(explain(&update)).await;
    assert!(plan.scans_nothing(), "{update}\n{plan:#?}");
}

async fn cancelling_finds_what_is_owed_by_the_index(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let subscription = subscriptions[7];
    let last = DeliveryId::from_raw(i64::MAX);
    let work = move |c: &mut _| cancel_owed(c, subscription, Reach::Unfinished, last, 100, NOW).map(drop);
    for statement in scene.write(move |c| overhear(c, &work)).await {
        let plan = scene.read(explain(&statement)).await;
        assert!(plan.scans_nothing(), "{statement}\n{plan:#?}");
    }
}

async fn idempotency_keys_are_found_by_their_key(database: Database) {
    let scene = Scene::of(&database).await;
    let batch = |from: usize, to: usize| -> Vec<_> {
        let keyed = |n: usize| postrider::store::accept::Acceptance {
            key: Some(key(&format!("key {n}"), 1, at(1_000))),
            ..scene.acceptance("{}", &[])
        };
        (from..to).map(keyed).collect()
    };
    for thousand in 0..20 {
        scene.accept(batch(thousand * 1_000, thousand * 1_000 + 1_000)).await;
    }
    if database.is_mariadb() {
        scene.write(|c| sql::execute(c, "ANALYZE TABLE idempotency_keys")).await;
    }
    let (known, new) = (batch(100, 130), batch(50_000, 50_030));
    let both: Vec<_> = known.into_iter().chain(new).collect();
    let work = move |c: &mut _| accept_events(c, &both, Run::First, NOW).map(drop);
    let overheard = scene.write(move |c| overhear(c, &work)).await;
    let about_keys = |statement: &&String| {
        statement.contains("idempotency_keys") && (statement.starts_with("SELECT") || statement.starts_with("DELETE"))
    };
    let about_keys: Vec<_> = overheard.iter().filter(about_keys).collect();
    assert_eq!(about_keys.len(), 2, "{overheard:#?}");
    for statement in about_keys {
        let plan = scene.read(explain(statement)).await;
        assert!(plan.scans_nothing(), "{statement}\n{plan:#?}");
    }
}

async fn what_waits_is_found_by_the_index_among_all_that_was_delivered(database: Database) {
    let (scene, _) = crowd(&database).await;
    scene
        .write(|c| sql::execute(c, "UPDATE deliveries SET state = 1, attempts = 1, due_at = 0 WHERE id % 100 <> 0"))
        .await;
    if database.is_mariadb() {
        scene.write(|c| sql::execute(c, "ANALYZE TABLE deliveries, events, subscriptions")).await;
    }
    for scope in [Scope::All, Scope::Of(scene.owner)] {
        let filter = waiting::Filter { scope, delivery: None, event_type: None, order: Vec::new() };
        let list = move |c: &mut _| filter.ids(c, Skip::Rows(0), 10_000).map(drop);
        let overheard = scene.read(move |c| overhear(c, &list)).await;
        let plan = scene.read(explain(&overheard[0])).await.of("deliveries");
        assert!(plan.scans_nothing(), "{}\n{plan:#?}", overheard[0]);
    }
}

/// The statements that `work` runs, their parameters written out but for SQLite, whose plans do not depend on them.
pub(crate) fn overhear(
    connection: &mut AnyConnection,
    work: &impl Fn(&mut AnyConnection) -> Queried<()>,
) -> Queried<Vec<String>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let stated = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => written_out,
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(_) => without_parameters,
    };
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let query = query.to_string();
            if ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| query.starts_with(verb)) {
                ear.lock().expect("nothing panics here").push(stated(&query));
            }
        }
    });
    let done = work(connection);
    connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    done?;
    let mut heard = heard.lock().expect("nothing panics here");
    Ok(std::mem::take(&mut *heard))
}

/// `SELECT ? -- binds: [1]` as `SELECT ?`.
#[cfg(feature = "sqlite")]
fn without_parameters(query: &str) -> String {
    query.rsplit_once(" -- binds: ").map_or(query, |(statement, _)| statement).to_owned()
}

/// `SELECT ? -- binds: [1]` as `SELECT 1`. Diesel writes the parameters as Rust would, which for ours is JSON but for the
/// options; their texts have no parentheses.
#[cfg(feature = "mysql")]
fn written_out(query: &str) -> String {
    let (statement, parameters) = query.rsplit_once(" -- binds: ").unwrap_or((query, "[]"));
    let parameters = parameters.replace("Some(", "").replace(')', "").replace("None", "null");
    let parameters: Vec<Value> =
        serde_json::from_str(&parameters).unwrap_or_else(|error| panic!("{error} in {parameters}"));
    let mut pieces = statement.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for (piece, parameter) in pieces.zip(parameters) {
        text.push_str(&literal(&parameter));
        text.push_str(piece);
    }
    assert!(!text.contains('?'), "a parameter is missing: {query}");
    text
}

#[cfg(feature = "mysql")]
fn literal(parameter: &Value) -> String {
    match parameter {
        Value::Array(bytes) => {
            let hex = bytes.iter().map(|byte| format!("{:02x}", byte.as_u64().unwrap_or_default()));
            format!("x'{}'", hex.collect::<Vec<_>>().concat())
        }
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => parameter.to_string(),
    }
}

/// How many rows and index entries the server hands out for `work`.
pub(crate) fn rows_read(
    connection: &mut AnyConnection,
    work: &impl Fn(&mut AnyConnection) -> Queried<()>,
) -> Queried<i64> {
    let read = |c: &mut AnyConnection| {
        sql::number(
            c,
            "SUM(variable_value)",
            "information_schema.session_status WHERE variable_name LIKE 'HANDLER_READ%'",
        )
    };
    let (start, own) = (read(connection)?, read(connection)?);
    work(connection)?;
    let end = read(connection)?;
    Ok(end - own - (own - start))
}

/// What a database intends to do, a step per table.
#[derive(Debug)]
pub(crate) struct Plan(Vec<Step>);

#[derive(Clone, Debug)]
struct Step {
    table: String,
    /// The whole of a table or of an index is read.
    scans: bool,
    /// Only the index of the queue is read, in its order.
    queue_index_alone: bool,
    sorts: bool,
    /// In the words of the database, for the one who reads a failure.
    #[expect(dead_code, reason = "shown by Debug")]
    told: String,
}

impl Plan {
    pub(crate) fn uses_the_queue_index_alone(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|step| step.queue_index_alone && !step.sorts)
    }

    pub(crate) fn scans_nothing(&self) -> bool {
        !self.0.is_empty() && !self.0.iter().any(|step| step.scans)
    }

    pub(crate) fn sorts(&self) -> bool {
        self.0.iter().any(|step| step.sorts)
    }

    pub(crate) fn has(&self, table: &str) -> bool {
        self.0.iter().any(|step| step.table == table)
    }

    pub(crate) fn of(&self, table: &str) -> Self {
        Self(self.0.iter().filter(|step| step.table == table).cloned().collect())
    }
}

pub(crate) fn explain(statement: &str) -> impl FnMut(&mut AnyConnection) -> Queried<Plan> + Send + 'static {
    let statement = statement.to_owned();
    move |connection| match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => mariadb::explain(connection, &statement),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => sqlite::explain(connection, &statement),
    }
}

#[cfg(feature = "mysql")]
mod mariadb {
    use diesel::{
        MysqlConnection, QueryableByName, RunQueryDsl, sql_query,
        sql_types::{Nullable, Text},
    };

    use super::{Plan, Queried, Step};

    #[derive(Debug, QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        table: Option<String>,
        #[diesel(sql_type = Nullable<Text>, column_name = "type")]
        access: Option<String>,
        #[diesel(sql_type = Nullable<Text>)]
        key: Option<String>,
        #[diesel(sql_type = Nullable<Text>, column_name = "Extra")]
        extra: Option<String>,
    }

    pub(super) fn explain(connection: &mut MysqlConnection, statement: &str) -> Queried<Plan> {
        let rows: Vec<Row> = sql_query(format!("EXPLAIN {statement}")).load(connection)?;
        Ok(Plan(rows.into_iter().map(step).collect()))
    }

    fn step(row: Row) -> Step {
        let told = format!("{row:?}");
        let (access, extra) = (row.access.unwrap_or_default(), row.extra.unwrap_or_default());
        let answered_while_planning = extra.contains("Select tables optimized away");
        let by_queue_index = row.key.as_deref() == Some("deliveries_queue") && extra.contains("Using index");
        Step {
            table: row.table.unwrap_or_default(),
            scans: ["ALL", "index"].contains(&access.as_str()),
            queue_index_alone: answered_while_planning || (by_queue_index && access != "index"),
            sorts: extra.contains("filesort") || extra.contains("temporary"),
            told,
        }
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::{QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::Text};

    use super::{Plan, Queried, Step};

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    pub(super) fn explain(connection: &mut SqliteConnection, statement: &str) -> Queried<Plan> {
        let rows: Vec<Row> = sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(connection)?;
        Ok(Plan(rows.into_iter().filter(|row| is_step(&row.detail)).map(step).collect()))
    }

    /// `CORRELATED SCALAR SUBQUERY 1`, for example, is none.
    fn is_step(detail: &str) -> bool {
        ["SEARCH ", "SCAN ", "USE TEMP B-TREE"].iter().any(|start| detail.starts_with(start))
    }

    fn step(row: Row) -> Step {
        Step {
            table: row.detail.split(' ').nth(1).unwrap_or_default().to_owned(),
            scans: row.detail.starts_with("SCAN "),
            queue_index_alone: row.detail.starts_with("SEARCH ")
                && row.detail.contains("USING COVERING INDEX deliveries_queue"),
            sorts: row.detail.starts_with("USE TEMP B-TREE"),
            told: row.detail,
        }
    }
}
