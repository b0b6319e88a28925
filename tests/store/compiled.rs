//! `SQLite` as it is compiled in: `.cargo/config.toml` says how, and is read from the folder in which cargo runs.
#![cfg(feature = "sqlite")]

use crate::{
    scene::Scene,
    sql,
    support::database::{Database, run},
};

/// A reset of the log beside whoever copies it could lose pages before: <https://sqlite.org/wal.html#walresetbug>.
#[test]
fn sqlite_may_begin_its_log_anew_while_it_is_copied() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let version = scene.read(|c| sql::values(c, "SELECT sqlite_version() AS value")).await;
        let parts: Vec<u32> = version[0].split('.').map(|part| part.parse().expect("a number")).collect();
        assert!(parts >= vec![3, 51, 3], "{version:?}");
    });
}

#[test]
fn sqlite_is_compiled_for_what_it_does_here() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let options =
            scene.read(|c| sql::values(c, "SELECT compile_options AS value FROM pragma_compile_options")).await;
        assert!(options.iter().any(|option| option == "THREADSAFE=2"), "{options:?}");
        assert!(options.iter().any(|option| option == "ENABLE_QPSG"), "{options:?}");
        for costly in ["ENABLE_STAT4", "ENABLE_MEMORY_MANAGEMENT", "ENABLE_API_ARMOR"] {
            assert!(options.iter().all(|option| option != costly), "{options:?}");
        }
    });
}
