//! Migrations that an engine or a server died over. On `MariaDB` each statement is a commit of its own.

use std::{fs, path::Path};

use postrider::store::StoreError;

use super::{columns_of_the_database, columns_of_the_schema, folders};
use crate::{
    scene::Scene,
    sql,
    support::database::{Database, run},
};

/// What diesel makes before the first migration; its comment says how far the one at work has come.
fn bookkeeping(progress: &str) -> String {
    let columns = "version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP";
    format!("CREATE TABLE __diesel_schema_migrations ({columns}) COMMENT = '{progress}';\n")
}

fn statements(migration: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/mysql").join(migration).join("up.sql");
    let text = fs::read_to_string(path).expect("the migration is there");
    text.split_inclusive(";\n").filter(|part| part.trim().ends_with(';')).map(str::to_owned).collect()
}

fn database_after(script: &str) -> Database {
    let database = Database::mariadb();
    sql::execute(&mut sql::connect(&database.database_url()), script).expect("the statements run");
    database
}

#[test]
fn a_migration_that_was_cut_off_is_completed() {
    let mut before = String::new();
    for migration in folders("mysql") {
        let statements = statements(&migration);
        assert!(!statements.is_empty(), "{migration}");
        for at_work in [statements.len() / 2, statements.len()] {
            // Nobody knows whether the statement at work took effect.
            for done in [at_work, at_work + 1].into_iter().filter(|done| *done <= statements.len()) {
                let script =
                    bookkeeping(&format!("running {migration} {at_work}")) + &before + &statements[..done].concat();
                let database = database_after(&script);
                run(async {
                    let scene = Scene::of(&database).await;
                    let made = scene.read(columns_of_the_database).await;
                    assert_eq!(made, columns_of_the_schema(), "{migration}, {done} of {at_work} statements done");
                });
            }
        }
        let version = migration.split('_').next().expect("a number");
        before += &statements.concat();
        before.extend(["INSERT INTO __diesel_schema_migrations (version) VALUES ('", version, "');\n"]);
    }
}

#[test]
fn tables_of_somebody_else_are_not_taken_over() {
    let database = database_after("CREATE TABLE events (theirs INT);");
    run(async {
        let store = postrider::store::Store::new(database.database_url(), postrider::store::Keyring::default());
        for _ in 0..2 {
            match store.migrate().await {
                Err(StoreError::Corrupt(text)) => assert!(text.contains("events"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    });
}
