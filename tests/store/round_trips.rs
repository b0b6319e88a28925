//! What one event costs at ordinary load, when it has its transactions for itself: every statement is a round trip.
#![cfg(feature = "mysql")]

use postrider::{
    domain::delivery::Verdict,
    store::{
        AnyConnection,
        accept::{Run, accept_events},
        record::record_attempts,
    },
};

use crate::{
    scene::{NOW, Scene, record},
    sql,
    support::database::{Database, run},
};

/// Begin, event, deliveries, commit; then begin, attempt, delivery, commit.
const STATEMENTS: i64 = 8;
/// What [`asked`] itself asks.
const COUNTING: i64 = 3;

/// MariaDB counts what it is asked; SQLite is asked without a trip.
#[test]
fn an_event_costs_eight_round_trips_and_nothing_is_prepared_for_it() {
    assert_eq!(costs_of_batches(&[1, 1, 1])[1..], [[STATEMENTS, 0, 0]; 2], "executed, prepared, other commands");
}

#[test]
fn what_comes_together_shares_them_and_nothing_is_prepared_for_a_number_that_was_there_before() {
    // Three inserts of 61 rows in two parts each.
    assert_eq!(costs_of_batches(&[61, 61, 61])[1..], [[STATEMENTS + 3, 0, 0]; 2]);
    // 256, 128, 64, 32 and 20 rows, then 256, 64 and 32; the lists of both have 512 ids.
    assert_eq!(costs_of_batches(&[500, 352])[1][1], 0);
}

/// What is executed, prepared and commanded otherwise for batches of so many events, one after the other on one connection.
fn costs_of_batches(sizes: &[usize]) -> Vec<[i64; 3]> {
    let sizes = sizes.to_vec();
    run(async move {
        let database = Database::mariadb();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        let batches: Vec<Vec<_>> =
            sizes.iter().map(|size| (0..*size).map(|_| scene.acceptance("{}", &[subscription])).collect()).collect();
        scene
            .write(move |c| {
                let mut costs = Vec::new();
                for batch in &batches {
                    let records: Vec<_> =
                        batch.iter().map(|event| record(event.deliveries[0].0, 1, 200, Verdict::Delivered)).collect();
                    let before = asked(c)?;
                    accept_events(c, batch, Run::First, NOW)?;
                    record_attempts(c, &records, NOW)?;
                    let after = asked(c)?;
                    // To count takes statements of its own.
                    let cost = |n: usize| after[n] - before[n];
                    costs.push([cost(0) - COUNTING, cost(1) - COUNTING, cost(2)]);
                }
                Ok(costs)
            })
            .await
    })
}

/// Statements executed and prepared so far, and commands that are no statements.
fn asked(connection: &mut AnyConnection) -> postrider::store::Queried<[i64; 3]> {
    let counter = |connection: &mut AnyConnection, name: &str| {
        sql::number(
            connection,
            "variable_value",
            &format!("information_schema.session_status WHERE variable_name = '{name}'"),
        )
    };
    Ok([
        counter(connection, "COM_STMT_EXECUTE")?,
        counter(connection, "COM_STMT_PREPARE")?,
        counter(connection, "COM_ADMIN_COMMANDS")?,
    ])
}
