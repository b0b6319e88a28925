//! How the databases find what replays and the janitor ask for: never by reading a table, however many deliveries there are.

use postrider::{
    domain::{
        delivery::State,
        id::{DeliveryId, EventId, SubscriptionId},
        replay::Filter,
        retention::{Keep, Retention},
        time::Timestamp,
    },
    store::{
        AnyConnection, Queried,
        erase::{Erasure, erase_settled, withhold_event},
        expiry::{Place, expire, find_expired},
        prune::{clear_deliveries, erase_payloads, find_deliveries, find_payloads, find_unwanted},
        replays::{Ordered, count, move_on, order, running},
        subscriptions::aging,
    },
};

use crate::{
    plans::{crowd, explain, overhear, rows_read},
    scene::{NOW, Scene, at},
    sql,
    support::database::{Database, on_both},
};

on_both! {
    a_replay_finds_its_deliveries_by_the_index,
    what_is_too_old_is_found_by_the_index_alone,
    what_is_outdated_is_found_and_cleared_by_primary_keys,
    what_is_erased_is_found_by_keys,
    what_lies_between_the_erased_is_not_read,
}

/// 12,000 attempts for the crowd, and as many decisions of persons.
async fn attempted(database: &Database) -> (Scene, Vec<SubscriptionId>) {
    let (scene, subscriptions) = crowd(database).await;
    let attempts = "INSERT INTO attempts (delivery_id, number, started_at, duration_us, status) \
                    SELECT id, 1, 1, 1, 200 FROM deliveries WHERE attempts = 1";
    scene.write(|c| sql::execute(c, attempts)).await;
    let decisions = "INSERT INTO interventions (delivery_id, decision, decided_by, decided_at)                      SELECT id, 0, 'ops', 1 FROM deliveries WHERE attempts = 1";
    scene.write(|c| sql::execute(c, decisions)).await;
    if database.is_mariadb() {
        scene.write(|c| sql::execute(c, "ANALYZE TABLE attempts, interventions")).await;
    }
    (scene, subscriptions)
}

/// Overhears `work` and makes sure that no statement reads a whole table or index.
async fn scans_nothing(
    scene: &Scene,
    work: impl Fn(&mut AnyConnection) -> Queried<()> + Send + 'static,
) -> Vec<String> {
    let overheard = scene.write(move |c| overhear(c, &work)).await;
    assert!(!overheard.is_empty());
    for statement in overheard.iter().filter(|statement| !statement.starts_with("INSERT")) {
        let plan = scene.read(explain(statement)).await;
        assert!(plan.scans_nothing(), "{statement}\n{plan:#?}");
    }
    overheard
}

async fn a_replay_finds_its_deliveries_by_the_index(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let filter = Filter {
        subscription: subscriptions[0],
        states: vec![State::Delivered, State::Dead],
        from: Some(NOW),
        to: at(10),
        event_type: None,
    };
    let (ordered, counted) = (filter.clone(), filter);
    let id = match scene.write(move |c| order(c, &ordered, None, "oms", NOW)).await {
        Ordered::Made(replay) => replay.id,
        other @ (Ordered::Running(_) | Ordered::Erasing) => panic!("{other:?}"),
    };
    for overheard in [
        scans_nothing(&scene, move |c| move_on(c, id, at(20)).map(drop)).await,
        scans_nothing(&scene, move |c| count(c, &counted, 600).map(drop)).await,
    ] {
        let mut candidates = 0;
        for statement in overheard.iter().filter(|s| s.contains("due_at") && s.starts_with("SELECT")) {
            let plan = scene.read(explain(statement)).await;
            assert!(plan.uses_the_queue_index_alone(), "{statement}\n{plan:#?}");
            candidates += 1;
        }
        assert!(candidates >= 2, "{overheard:#?}");
    }
    scans_nothing(&scene, |c| running(c, 10).map(drop)).await;
}

async fn what_is_too_old_is_found_by_the_index_alone(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    for subscription in [subscriptions[0], subscriptions[7]] {
        let find = move |c: &mut AnyConnection| {
            let first = find_expired(c, subscription, Place::default(), NOW, 50)?;
            let second = find_expired(c, subscription, Place::default(), at(1), 50)?;
            find_expired(c, subscription, first.next.or(second.next).unwrap_or_default(), at(1), 50).map(drop)
        };
        for statement in scans_nothing(&scene, find).await {
            let plan = scene.read(explain(&statement)).await;
            assert!(plan.uses_the_queue_index_alone(), "{statement}\n{plan:#?}");
        }
    }
    scene.write(|c| sql::execute(c, "UPDATE subscriptions SET max_age_seconds = 60 WHERE id % 20 = 0")).await;
    scans_nothing(&scene, |c| aging(c).map(drop)).await;
    assert_eq!(scene.read(aging).await.len(), 2);
    let found = scene.read(move |c| find_expired(c, subscriptions[0], Place::default(), at(1), 200)).await;
    assert_eq!(found.ids.len(), 200);
    scans_nothing(&scene, move |c| expire(c, &found.ids, at(1), at(2)).map(drop)).await;
}

fn retention() -> Retention {
    let keep = Keep::For(std::time::Duration::from_secs(1));
    Retention { delivered: keep, given_up: keep, payloads: keep, audit: keep }
}

async fn what_is_outdated_is_found_and_cleared_by_primary_keys(database: Database) {
    let (scene, _) = attempted(&database).await;
    let now: Timestamp = at(100);
    let middle = scene.count("deliveries WHERE state = 1").await;
    assert!(middle > 1_000);
    let find = move |after: i64| {
        move |c: &mut AnyConnection| {
            find_deliveries(c, DeliveryId::from_raw(after), &retention(), 1_000, now)?;
            find_unwanted(c, EventId::from_raw(after), now, 1_000)?;
            find_payloads(c, EventId::from_raw(after), now, 1_000).map(drop)
        }
    };
    let start = EventId::before(NOW).as_raw();
    for after in [0, start, start + 100_000] {
        scans_nothing(&scene, find(after)).await;
    }
    let found = scene.read(move |c| find_deliveries(c, DeliveryId::from_raw(0), &retention(), 1_000, now)).await;
    assert_eq!(found.ids.len(), 250);
    let ids = found.ids;
    scans_nothing(&scene, move |c| clear_deliveries(c, &ids, &retention(), now).map(drop)).await;
    scene.write(|c| sql::execute(c, "UPDATE deliveries SET state = 1, due_at = 0 WHERE id % 4 = 2")).await;
    let payloads = scene.read(move |c| find_payloads(c, EventId::from_raw(0), now, 250)).await;
    let overheard = scans_nothing(&scene, move |c| erase_payloads(c, &payloads.ids, now).map(drop)).await;
    assert!(overheard.iter().any(|statement| statement.starts_with("UPDATE")), "{overheard:#?}");
}

async fn what_is_erased_is_found_by_keys(database: Database) {
    let (scene, subscriptions) = attempted(&database).await;
    let some = scene.owe(subscriptions[0], 1).await[0];
    let event = scene.delivery(some).await.0.delivery.event;
    scans_nothing(&scene, move |c| withhold_event(c, event, NOW).map(drop)).await;
    let erasure = |subscription: SubscriptionId| Erasure {
        subscription,
        up_to: some,
        ordered_by: "oms".to_owned(),
        ordered_at: NOW,
    };
    for subscription in [subscriptions[0], subscriptions[7]] {
        let erasure = erasure(subscription);
        scans_nothing(&scene, move |c| erase_settled(c, &erasure, 250).map(drop)).await;
    }
}

/// Of every 78 deliveries two are of this subscription's events.
async fn what_lies_between_the_erased_is_not_read(database: Database) {
    const LIMIT: i64 = 100;
    if !database.is_mariadb() {
        return; // SQLite does not tell how many rows it read.
    }
    let (scene, subscriptions) = crowd(&database).await;
    let erasure = Erasure {
        subscription: subscriptions[7],
        up_to: DeliveryId::from_raw(i64::MAX),
        ordered_by: "oms".to_owned(),
        ordered_at: NOW,
    };
    let work = move |c: &mut _| erase_settled(c, &erasure, LIMIT).map(drop);
    let read = scene.write(move |c| rows_read(c, &work)).await;
    assert!(read <= 20 * LIMIT, "{read} rows read to erase {LIMIT} deliveries");
}
