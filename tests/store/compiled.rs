//! `SQLite` as it is compiled in: `.cargo/config.toml` says how, and is read from the folder in which cargo runs.
#![cfg(feature = "sqlite")]

use crate::{
    scene::Scene,
    sql,
    support::database::{Database, run},
};

#[test]
fn sqlite_is_compiled_for_what_it_does_here() {
    run(async {
        let database = Database::sqlite();
        let scene = Scene::of(&database).await;
        let options =
            scene.read(|c| sql::values(c, "SELECT compile_options AS value FROM pragma_compile_options")).await;
        assert!(options.iter().any(|option| option == "THREADSAFE=2"), "{options:?}");
        for costly in ["ENABLE_STAT4", "ENABLE_MEMORY_MANAGEMENT", "ENABLE_API_ARMOR"] {
            assert!(options.iter().all(|option| option != costly), "{options:?}");
        }
    });
}
