//! Deliveries that a person skips or sets aside.

use postrider::{
    domain::{
        delivery::{State, Verdict},
        id::DeliveryId,
        intervention::{Decision, Intervention},
        queue::ReadOrder,
    },
    store::{
        deliveries::backlog,
        interventions::{intervene, intervention_in, release},
        prune::erase_payloads,
        record::{Reach, cancel_owed},
    },
};

use crate::{
    scene::{NOW, Scene, all, at, record},
    support::database::{Database, on_both},
};

on_both! {
    a_decision_takes_a_delivery_out_of_the_way_and_is_remembered,
    what_is_settled_cannot_be_decided_about,
    what_is_set_aside_is_found_by_nobody_and_comes_back_when_released,
    an_attempt_in_flight_counts_and_an_arrival_is_a_fact,
    what_is_set_aside_keeps_its_payload,
    the_end_of_a_subscription_calls_it_off_and_a_resumption_that_skips_does_not,
}

fn order(decision: Decision) -> Intervention {
    Intervention { decision, by: "ops".to_owned(), reason: Some("poison".to_owned()), at: at(7) }
}

async fn decide(scene: &Scene, id: DeliveryId, decision: Decision) -> bool {
    scene.write(move |c| intervene(c, id, &order(decision))).await
}

async fn a_decision_takes_a_delivery_out_of_the_way_and_is_remembered(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 3).await;
    assert!(decide(&scene, ids[0], Decision::Skip).await);
    assert!(decide(&scene, ids[1], Decision::SetAside).await);
    assert!(decide(&scene, ids[0], Decision::Skip).await, "a second run of the same transaction");
    assert_eq!(scene.states(&ids).await, [State::Dead, State::SetAside, State::Pending]);
    let (first, second) = (ids[0], ids[1]);
    assert_eq!(scene.read(move |c| intervention_in(c, first)).await, Some(order(Decision::Skip)));
    let backlog = scene.read(move |c| backlog(c, subscription)).await;
    assert_eq!((backlog.owed, backlog.set_aside), (1, 1));
    assert!(decide(&scene, second, Decision::Skip).await, "what is set aside can be given up");
    assert_eq!(scene.state(second).await, State::Dead);
}

async fn what_is_settled_cannot_be_decided_about(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 1).await;
    scene.settle(&ids, Verdict::Delivered, NOW).await;
    for decision in Decision::ALL {
        assert!(!decide(&scene, ids[0], decision).await);
    }
    assert_eq!(scene.state(ids[0]).await, State::Delivered);
    let id = ids[0];
    assert!(!scene.write(move |c| release(c, id, NOW)).await);
    assert_eq!(scene.count("interventions").await, 0);
}

async fn what_is_set_aside_is_found_by_nobody_and_comes_back_when_released(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    scene.record(vec![record(ids[0], 1, 500, Verdict::RetryAt(at(5)))], NOW).await;
    decide(&scene, ids[0], Decision::SetAside).await;
    let scene = scene.reopened(&database).await;
    let page = scene.page(subscription, ReadOrder { keys: true, ..all() }, at(1_000)).await;
    assert_eq!((page.fresh.len(), page.due.len(), page.next_due), (1, 0, None));

    let id = ids[0];
    assert!(scene.write(move |c| release(c, id, at(2_000))).await);
    let page = scene.page(subscription, all(), at(2_000)).await;
    let released = &page.due[0];
    assert_eq!((released.id, released.attempts, released.course.counted(2)), (id, 1, 1), "its policy begins again");
}

async fn an_attempt_in_flight_counts_and_an_arrival_is_a_fact(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 4).await;
    for (id, decision) in ids.iter().zip([Decision::Skip, Decision::SetAside, Decision::Skip, Decision::SetAside]) {
        decide(&scene, *id, decision).await;
    }
    let retry = Verdict::RetryAt(at(60));
    let records = vec![
        record(ids[0], 1, 500, retry),
        record(ids[1], 1, 500, retry),
        record(ids[2], 1, 200, Verdict::Delivered),
        record(ids[3], 1, 200, Verdict::Delivered),
    ];
    scene.record(records, at(9)).await;
    assert_eq!(scene.states(&ids).await, [State::Dead, State::SetAside, State::Delivered, State::Delivered]);
    for id in ids {
        assert_eq!(scene.delivery(id).await.0.delivery.attempts, 1);
    }
}

async fn what_is_set_aside_keeps_its_payload(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    decide(&scene, ids[0], Decision::SetAside).await;
    decide(&scene, ids[1], Decision::Skip).await;
    let mut events = Vec::new();
    for id in &ids {
        events.push(scene.delivery(*id).await.0.delivery.event);
    }
    assert_eq!(scene.write(move |c| erase_payloads(c, &events, at(1_000_000))).await, 1);
    assert_eq!(scene.count("events WHERE payload_erased_at IS NULL").await, 1);
}

async fn the_end_of_a_subscription_calls_it_off_and_a_resumption_that_skips_does_not(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    let last = ids[1];
    decide(&scene, ids[0], Decision::SetAside).await;
    assert_eq!(scene.write(move |c| cancel_owed(c, subscription, Reach::Pending, last, 10, NOW)).await, 1);
    assert_eq!(scene.states(&ids).await, [State::SetAside, State::Cancelled]);
    assert_eq!(scene.write(move |c| cancel_owed(c, subscription, Reach::Unfinished, last, 10, NOW)).await, 1);
    assert_eq!(scene.states(&ids).await, [State::Cancelled, State::Cancelled]);
}
