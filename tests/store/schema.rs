//! The hand-written schema, the two sets of migrations, and what they make, agree.

use std::{collections::BTreeSet, fs, path::Path};

use postrider::store::{AnyConnection, Queried, connection::unmigrate};

#[cfg(feature = "mysql")]
mod cut_off;

use crate::{
    scene::{Scene, no_keys},
    sql,
    support::database::{Database, on_both},
};

on_both! {
    the_schema_is_what_the_migrations_make,
    migrations_go_up_down_and_up_again,
    processes_that_start_together_migrate_once,
}

/// Each column as `table.column -> Type`, the type and its nullability as `schema.rs` writes them.
type Columns = BTreeSet<String>;

async fn the_schema_is_what_the_migrations_make(database: Database) {
    let scene = Scene::of(&database).await;
    let (made, written) = (scene.read(columns_of_the_database).await, columns_of_the_schema());
    let only_made: Vec<_> = made.difference(&written).collect();
    let only_written: Vec<_> = written.difference(&made).collect();
    assert!(only_made.is_empty() && only_written.is_empty(), "made: {only_made:#?}, written: {only_written:#?}");
    assert!(!made.is_empty());
}

async fn migrations_go_up_down_and_up_again(database: Database) {
    let scene = Scene::of(&database).await;
    let before = scene.read(columns_of_the_database).await;
    let mut connection = sql::connect(&database.database_url());
    unmigrate(&mut connection).expect("every migration can be undone");
    assert_eq!(columns_of_the_database(&mut connection).expect("it answers"), Columns::new());
    let ran = scene.store.migrate().await.expect("they run again");
    assert_eq!(ran.len(), folders("sqlite").len());
    assert_eq!(columns_of_the_database(&mut connection).expect("it answers"), before);
    assert_eq!(scene.store.migrate().await.expect("nothing is left to do"), Vec::<String>::new());
}

async fn processes_that_start_together_migrate_once(database: Database) {
    let stores: Vec<_> = (0..6).map(|_| postrider::store::Store::new(database.database_url(), no_keys())).collect();
    let results = futures_util::future::join_all(stores.iter().map(postrider::store::Store::migrate)).await;
    let ran: Vec<String> = results.into_iter().flat_map(|result| result.expect("nobody fails")).collect();
    assert_eq!(ran.len(), folders("sqlite").len(), "{ran:?}");
}

#[test]
fn each_migration_is_there_for_both_databases() {
    assert_eq!(folders("mysql"), folders("sqlite"));
}

fn folders(database: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let entries = fs::read_dir(path).expect("the folder is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// `schema.rs` is private to the store, so it is read as text: `name -> Type,` between `table (keys) {` and `}`.
fn columns_of_the_schema() -> Columns {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/schema.rs");
    let text = fs::read_to_string(path).expect("the schema is there");
    let mut columns = Columns::new();
    let mut table = "";
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name;
        } else if let Some(column) = line.strip_suffix(',').filter(|line| line.contains(" -> ")) {
            columns.insert(format!("{table}.{column}"));
        }
    }
    columns
}

fn columns_of_the_database(connection: &mut AnyConnection) -> Queried<Columns> {
    let rows = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(_) => {
            "SELECT CONCAT_WS(' ', table_name, column_name, is_nullable = 'YES', column_type) AS value \
             FROM information_schema.columns WHERE table_schema = DATABASE()"
        }
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(_) => {
            "SELECT t.name || ' ' || c.name || ' ' || (c.\"notnull\" = 0) || ' ' || c.type AS value \
             FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        }
    };
    let mut columns = Columns::new();
    for row in sql::values(connection, rows)? {
        let mut words = row.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (table, column, is_nullable, kind) = (word(), word(), word(), word());
        if table == "__diesel_schema_migrations" {
            continue;
        }
        let kind = diesel_type(&table, &column, &kind);
        let kind = if is_nullable == "1" { format!("Nullable<{kind}>") } else { kind.to_owned() };
        columns.insert(format!("{table}.{column} -> {kind}"));
    }
    Ok(columns)
}

/// What diesel calls a column type of either database.
fn diesel_type(table: &str, column: &str, kind: &str) -> &'static str {
    // A row id of SQLite has 64 bits and must be spelled INTEGER.
    if kind == "INTEGER" && column == "id" && ["events", "deliveries"].contains(&table) {
        return "BigInt";
    }
    let name = kind.split('(').next().unwrap_or_default().to_lowercase();
    match name.as_str() {
        "tinyint" | "boolean" => "Bool",
        "smallint" => "SmallInt",
        "int" | "integer" => "Integer",
        "bigint" => "BigInt",
        "varchar" | "text" | "mediumtext" => "Text",
        "varbinary" | "blob" | "mediumblob" => "Binary",
        other => panic!("{table}.{column} has the type {other}, which this test does not know"),
    }
}
