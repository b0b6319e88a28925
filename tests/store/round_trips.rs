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
fn an_event_costs_eight_round_trips_and_one_statement_to_prepare() {
    run(async {
        let database = Database::mariadb();
        let scene = Scene::of(&database).await;
        let subscription = scene.subscription("one").await;
        let events = [(); 3].map(|()| scene.acceptance("{}", &[subscription]));
        scene
            .write(move |c| {
                let mut costs = Vec::new();
                for event in &events {
                    let delivered = record(event.deliveries[0].0, 1, 200, Verdict::Delivered);
                    let before = asked(c)?;
                    accept_events(c, std::slice::from_ref(event), Run::First, NOW)?;
                    record_attempts(c, std::slice::from_ref(&delivered), NOW)?;
                    let after = asked(c)?;
                    costs.push([after[0] - before[0], after[1] - before[1], after[2] - before[2]]);
                }
                // The first may be the first of its kind on this connection. To count takes statements of its own. diesel
                // believes of no UPDATE that it may stay prepared.
                let expected = [STATEMENTS + COUNTING, 1 + COUNTING, 0];
                assert_eq!(costs[1..], [expected; 2], "executed, prepared, other commands");
                Ok(())
            })
            .await;
    });
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
