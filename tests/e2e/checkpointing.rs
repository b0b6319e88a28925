//! The engine keeps the log of an `SQLite` file short.

use postrider::store::{
    Lane,
    checkpoint::{MANY, length},
};
use serde_json::json;

use crate::{
    scene::{SOON, Scene, TYPE},
    support::{
        database::{Database, run},
        eventually::eventually_async,
    },
};

#[test]
fn what_is_written_comes_from_the_log_into_the_file() {
    let database = Database::sqlite();
    let scene = Scene::new(&database, &[]);
    // Some 8,000 pages: twice as many as the engine leaves there, and too few for SQLite to copy them by itself.
    let event = json!({"event_type": TYPE, "payload": {"text": "x".repeat(1_000_000)}});
    for _ in 0..4 {
        scene.api.publish_batch(&vec![event.clone(); 8]);
    }
    run(async {
        let store = database.store().await;
        eventually_async("the log to be copied", SOON, async || match store.run(Lane::Read, length).await {
            Ok(log) if log.left() < MANY => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    });
}
