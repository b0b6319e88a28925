//! How the databases read the lists for people: in the order of an index, and no more than a page may cost.

use postrider::{
    domain::{delivery::State, endpoint::parse_host, event_type::EventType, owner::Scope},
    store::{
        deliveries::list::{Filter as DeliveryFilter, list as list_deliveries, retrying},
        events,
    },
};

use crate::{
    plans::{crowd, explain, overhear, rows_read},
    support::database::{Database, on_both},
};

on_both! {
    lists_for_people_sort_nothing_and_read_no_more_than_they_may,
    events_are_listed_along_their_key,
    what_waits_for_a_retry_is_found_by_the_index_of_the_queue,
}

async fn lists_for_people_sort_nothing_and_read_no_more_than_they_may(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let all = || DeliveryFilter::all(Scope::All, 20);
    let of_one = || DeliveryFilter { subscription: Some(subscriptions[0]), ..all() };
    let host = parse_host("s7.example").expect("a host");
    let nobody = || Some("nobody:1".to_owned());
    for (filter, most) in [
        (all(), 200),
        // Nothing is dead: the index says so without a walk.
        (DeliveryFilter { state: Some(State::Dead), ..all() }, 200),
        (DeliveryFilter { state: Some(State::Delivered), ..of_one() }, 200),
        (DeliveryFilter { scope: Scope::Of(scene.owner), ..all() }, 2_000),
        (DeliveryFilter { host: Some(host), ..all() }, 2_000),
        // 3,000 of one subscription wait for a retry, and are ordered by hand.
        (of_one(), 7_000),
        // A walk to its bound.
        (DeliveryFilter { ordering_key: nobody(), ..all() }, 20_000),
    ] {
        let told = format!("{filter:?}");
        let list = move |c: &mut _| list_deliveries(c, &filter).map(drop);
        let list_again = list.clone();
        let overheard = scene.read(move |c| overhear(c, &list)).await;
        for statement in overheard.iter().filter(|statement| !statement.contains("FROM `subscriptions`")) {
            let plan = scene.read(explain(statement)).await;
            assert!(plan.scans_nothing() && !plan.sorts(), "{told}: {statement:.500}\n{plan:#?}");
        }
        if database.is_mariadb() {
            let read = scene.read(move |c| rows_read(c, &list_again)).await;
            assert!(read <= most, "{told}: {read} rows read to list 20 deliveries");
        }
    }
}

async fn events_are_listed_along_their_key(database: Database) {
    let (scene, _) = crowd(&database).await;
    let other = EventType::parse("package.other").expect("a type");
    for (event_type, most) in [(None, 600), (Some(other), 6_000)] {
        let filter = events::Filter { event_type, limit: 20, ..events::Filter::default() };
        let list = move |c: &mut _| events::list(c, &filter).map(drop);
        let list_again = list.clone();
        for statement in scene.read(move |c| overhear(c, &list)).await {
            let plan = scene.read(explain(&statement)).await;
            assert!(plan.scans_nothing() && !plan.sorts(), "{statement}\n{plan:#?}");
        }
        if database.is_mariadb() {
            let read = scene.read(move |c| rows_read(c, &list_again)).await;
            assert!(read <= most, "{read} rows read to list 20 events");
        }
    }
}

async fn what_waits_for_a_retry_is_found_by_the_index_of_the_queue(database: Database) {
    let (scene, subscriptions) = crowd(&database).await;
    let of = subscriptions[0];
    let list = move |c: &mut _| retrying(c, of, 20).map(drop);
    for statement in scene.read(move |c| overhear(c, &list)).await {
        let plan = scene.read(explain(&statement)).await;
        assert!(plan.scans_nothing() && !plan.sorts(), "{statement}\n{plan:#?}");
    }
    let found = scene.read(move |c| retrying(c, of, 20)).await;
    assert_eq!(found.len(), 20);
    assert!(found.is_sorted_by_key(|listed| listed.delivery.due_at), "those that are due first come first");
    assert!(found.iter().all(|listed| listed.delivery.subscription == of && listed.delivery.attempts == 1));
    if database.is_mariadb() {
        let read = scene.read(move |c| rows_read(c, &move |c: &mut _| retrying(c, of, 20).map(drop))).await;
        assert!(read <= 200, "{read} rows read to list 20 deliveries");
    }
}
