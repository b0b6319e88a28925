//! Secrets at rest: sealed in the database, opened by whoever has the key, and moved from one key to another.

use postrider::{
    domain::{
        headers::AdditionalHeaders,
        id::SubscriptionId,
        owner::Scope,
        secret::{Retiring, Secret},
        subscription::{Config, Flow, Subscription, Terms},
    },
    store::{
        Keyring, Lane, StoreError,
        reseal::{Census, Resealed, reseal_page, take_census},
        subscriptions::{Change, change_terms, create, get, page},
    },
};
use serde_json::json;

use crate::{
    scene::{NOW, Scene, at, no_keys, terms},
    sql,
    support::database::{Database, on_both},
};

on_both! {
    nothing_secret_is_in_the_database,
    what_was_written_before_there_was_a_key_is_read_and_sealed_with_the_next_change,
    without_the_right_key_nothing_is_read_and_nothing_is_lost,
    a_sealed_value_opens_in_its_own_row_only,
    secrets_move_to_the_first_key_page_by_page,
    a_change_that_comes_in_between_is_kept,
    a_wrong_key_moves_nothing,
    a_secret_that_looks_sealed_survives_the_migration,
}

const TEXTS: [&str; 4] = ["hunter2-secret", "hunter2-retiring", "hunter2-header", "hunter2-password"];

/// Keys with these ids, the same for the same id.
fn keys(ids: &str) -> Keyring {
    let key = |id: &str| format!("{id}:{}", id.repeat(64).chars().take(64).collect::<String>());
    ids.split(',').map(key).collect::<Vec<_>>().join(",").parse().expect("ids of hex digits make keys")
}

/// Terms with a secret in each of the columns that may hold one.
fn secretive(name: &str) -> Terms {
    let [secret, retiring, header, password] = TEXTS;
    let headers = vec![("Authorization".to_owned(), Some(header.to_owned()))];
    let config = json!({"auth": {"auth_type": "basic", "username": "u", "password": password}});
    Terms {
        secret: Some(Secret::new(secret)),
        retiring: vec![Retiring { secret: Secret::new(retiring), until: at(60) }],
        additional_headers: AdditionalHeaders::new(headers).expect("a header"),
        config: Config::new(serde_json::from_value(config).expect("an object")).expect("a config"),
        ..terms(name)
    }
}

async fn made(scene: &Scene, keys: &Keyring, terms: &Terms) -> Subscription {
    let (owner, terms, keys) = (scene.owner, terms.clone(), keys.clone());
    match scene.write(move |c| create(c, &keys, owner, &terms, NOW)).await {
        Change::Made(subscription) => *subscription,
        change @ (Change::AlreadyRegistered | Change::Outdated(_) | Change::NotFound) => panic!("{change:?}"),
    }
}

async fn read(scene: &Scene, keys: &Keyring, id: SubscriptionId) -> Result<Subscription, StoreError> {
    let keys = keys.clone();
    let found = scene.store.run(Lane::Read, move |c| get(c, &keys, Scope::All, id)).await;
    found.map(|found| found.expect("it was made"))
}

/// What stands in the columns with secrets of all rows.
async fn stored(scene: &Scene) -> Vec<String> {
    let columns = ["secret_key", "retiring_secrets", "additional_headers", "config"];
    let mut values = Vec::new();
    for column in columns {
        let query = format!("SELECT {column} AS value FROM subscriptions WHERE {column} IS NOT NULL ORDER BY id");
        values.extend(scene.read(move |c| sql::values(c, &query)).await);
    }
    values
}

async fn census(scene: &Scene, keys: &Keyring) -> Census {
    let keys = keys.clone();
    let work = move |c: &mut _| {
        let mut census = Census::default();
        take_census(c, &keys, &mut census, SubscriptionId::from_raw(0), 1_000)?;
        Ok(census)
    };
    scene.read(work).await
}

async fn reseal(scene: &Scene, keys: &Keyring, after: SubscriptionId, limit: i64) -> Result<Resealed, StoreError> {
    let keys = keys.clone();
    scene.store.run(Lane::Write, move |c| reseal_page(c, &keys, after, limit)).await
}

async fn nothing_secret_is_in_the_database(database: Database) {
    let scene = Scene::of(&database).await;
    let (terms, keys) = (secretive("one"), keys("a"));
    let made = made(&scene, &keys, &terms).await;
    assert_eq!(made.terms, terms);
    assert_eq!(read(&scene, &keys, made.id).await.expect("the key is there"), made);
    let page_keys = keys.clone();
    let all = scene.read(move |c| page(c, &page_keys, Scope::All, SubscriptionId::from_raw(0), 10)).await;
    assert_eq!(all, [made]);
    let stored = stored(&scene).await;
    assert_eq!(stored.len(), 4);
    for value in stored {
        assert!(value.starts_with("sealed:1:a:"), "{value}");
        assert!(TEXTS.iter().all(|text| !value.contains(text)), "{value}");
    }
}

async fn what_was_written_before_there_was_a_key_is_read_and_sealed_with_the_next_change(database: Database) {
    let scene = Scene::of(&database).await;
    let like_sealed = Terms { secret: Some(Secret::new("sealed:1:a:AAAA")), ..secretive("one") };
    let plain = made(&scene, &no_keys(), &like_sealed).await;
    assert_eq!(plain.terms, like_sealed);
    let keys = keys("a");
    assert_eq!(read(&scene, &keys, plain.id).await.expect("plain text is readable"), plain);
    assert_eq!(census(&scene, &keys).await, Census { plain: 4, ..Census::default() });
    let (id, edit_keys) = (plain.id, keys.clone());
    scene.write(move |c| change_terms(c, &edit_keys, Scope::All, id, &Clone::clone, at(1))).await;
    assert_eq!(read(&scene, &keys, id).await.expect("the key is there").terms, like_sealed);
    assert_eq!(census(&scene, &keys).await.sealed.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 4)]);
}

async fn without_the_right_key_nothing_is_read_and_nothing_is_lost(database: Database) {
    let scene = Scene::of(&database).await;
    let right = keys("a");
    let id = made(&scene, &right, &secretive("one")).await.id;
    let wrong: Keyring = format!("a:{}", "b".repeat(64)).parse().expect("a key");
    for (keys, reason) in [(no_keys(), "not among"), (keys("b"), "not among"), (wrong, "not opened")] {
        let error = read(&scene, &keys, id).await.expect_err("the key is missing");
        assert!(matches!(&error, StoreError::Sealed(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("\"a\"") && text.contains(reason) && text.contains("POSTRIDER_SECRET_KEY"), "{text}");
        let change = scene.store.run(Lane::Write, move |c| change_terms(c, &keys, Scope::All, id, &Clone::clone, NOW));
        assert!(matches!(change.await, Err(StoreError::Sealed(_))), "what cannot be read is not overwritten");
    }
    assert_eq!(read(&scene, &right, id).await.expect("the key is there").terms, secretive("one"));
}

async fn a_sealed_value_opens_in_its_own_row_only(database: Database) {
    let scene = Scene::of(&database).await;
    let keys = keys("a");
    let (one, two) = (made(&scene, &keys, &secretive("one")).await.id, made(&scene, &keys, &terms("two")).await.id);
    let other = scene.add_owner("other").await;
    let swap = format!(
        "UPDATE subscriptions SET config = (SELECT s.config FROM (SELECT config FROM subscriptions WHERE id = {one}) s) \
         WHERE id = {two}"
    );
    scene.write(move |c| sql::execute(c, &swap)).await;
    let error = read(&scene, &keys, two).await.expect_err("the value is that of another row").to_string();
    assert!(error.contains(&format!("config of subscription {two}")), "{error}");
    let give_away = format!("UPDATE subscriptions SET owner_id = {other} WHERE id = {one}");
    scene.write(move |c| sql::execute(c, &give_away)).await;
    assert!(read(&scene, &keys, one).await.is_err(), "the row is another owner's");
}

async fn secrets_move_to_the_first_key_page_by_page(database: Database) {
    let scene = Scene::of(&database).await;
    let mut all = Vec::new();
    for number in 0..5 {
        let old = if number % 2 == 0 { keys("a") } else { no_keys() };
        all.push(made(&scene, &old, &secretive(&format!("s{number}"))).await);
    }
    let both = keys("b,a");
    let first = reseal(&scene, &both, SubscriptionId::from_raw(0), 2).await.expect("both keys are there");
    assert_eq!(first, Resealed { seen: 2, moved: 2, contested: 0, last: Some(all[1].id) });
    // Stopped here, and started again from the beginning.
    let again = reseal(&scene, &both, SubscriptionId::from_raw(0), 100).await.expect("both keys are there");
    assert_eq!(again, Resealed { seen: 5, moved: 3, contested: 0, last: Some(all[4].id) });
    let end = reseal(&scene, &both, all[4].id, 2).await.expect("both keys are there");
    assert_eq!(end, Resealed::default());
    let found = census(&scene, &keys("b")).await;
    assert_eq!((found.plain, found.unopened_count, found.sealed["b"]), (0, 0, 20));
    for subscription in all {
        let read = read(&scene, &keys("b"), subscription.id).await.expect("the new key alone will do");
        assert_eq!(read, subscription, "nothing is different but the key, not even the version");
    }
}

async fn a_change_that_comes_in_between_is_kept(database: Database) {
    let scene = Scene::of(&database).await;
    let id = made(&scene, &keys("a"), &secretive("one")).await.id;
    let both = keys("b,a");
    let url = database.database_url();
    // Whoever reads the row first and writes it last must not undo what was written between.
    for round in 0..20 {
        let (mover, changer) = (sql::connect(&url), sql::connect(&url));
        let (move_keys, edit_keys) = (if round % 2 == 0 { keys("b,a") } else { keys("a,b") }, both.clone());
        let resealing = tokio::task::spawn_blocking(move || {
            let mut connection = mover;
            reseal_page(&mut connection, &move_keys, SubscriptionId::from_raw(0), 10).map_err(StoreError::from)
        });
        let edit = tokio::task::spawn_blocking(move || {
            let mut connection = changer;
            let faster = |terms: &Terms| Terms { flow: with_slots(terms.flow.max_in_flight + 1), ..terms.clone() };
            change_terms(&mut connection, &edit_keys, Scope::All, id, &faster, NOW).map_err(StoreError::from)
        });
        let (resealed, change) = (resealing.await.expect("no panic"), edit.await.expect("no panic"));
        assert!(matches!(change, Ok(Change::Made(_))), "{change:?}");
        assert!(resealed.is_ok(), "{resealed:?}");
    }
    let found = read(&scene, &both, id).await.expect("both keys are there");
    let expected = Terms { flow: with_slots(Flow::default().max_in_flight + 20), ..secretive("one") };
    assert_eq!((found.terms, found.version), (expected, 21));
}

fn with_slots(max_in_flight: u16) -> Flow {
    Flow { max_in_flight, ..Flow::default() }
}

async fn a_wrong_key_moves_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    made(&scene, &no_keys(), &secretive("one")).await;
    made(&scene, &keys("a"), &secretive("two")).await;
    let before = stored(&scene).await;
    let wrong: Keyring = format!("b:{0},a:{0}", "c".repeat(64)).parse().expect("keys");
    let refused = reseal(&scene, &wrong, SubscriptionId::from_raw(0), 10).await;
    assert!(matches!(refused, Err(StoreError::Sealed(_))), "{refused:?}");
    assert_eq!(stored(&scene).await, before);
    let found = census(&scene, &wrong).await;
    assert_eq!((found.plain, found.sealed["a"], found.unopened_count), (4, 4, 4));
    assert!(found.unopened[0].contains("\"a\""), "{found:?}");
}

async fn a_secret_that_looks_sealed_survives_the_migration(database: Database) {
    let scene = Scene::of(&database).await;
    let odd = Terms { secret: Some(Secret::new("sealed:plain:x")), ..terms("one") };
    let id = made(&scene, &no_keys(), &odd).await.id;
    let down = if database.is_mariadb() { MYSQL_DOWN } else { SQLITE_DOWN };
    scene.write(move |c| sql::execute(c, down)).await;
    assert_eq!(stored_before(&scene).await, ["sealed:plain:x"]);
    scene.write(|c| sql::execute(c, "DELETE FROM __diesel_schema_migrations WHERE version = '0002'")).await;
    assert_eq!(scene.store.migrate().await.expect("it runs again").len(), 1);
    assert_eq!(read(&scene, &no_keys(), id).await.expect("it is plain text").terms, odd);
}

const MYSQL_DOWN: &str = include_str!("../../migrations/mysql/0002_secrets_and_holds/down.sql");
const SQLITE_DOWN: &str = include_str!("../../migrations/sqlite/0002_secrets_and_holds/down.sql");

async fn stored_before(scene: &Scene) -> Vec<String> {
    scene.read(|c| sql::values(c, "SELECT secret_key AS value FROM subscriptions")).await
}
