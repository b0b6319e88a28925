//! Erasing: nothing of it is left, and nothing else is touched.

use postrider::{
    domain::{
        delivery::{State, Verdict},
        id::{DeliveryId, EventId, SubscriptionId},
        replay::{DEFAULT_STATES, Filter, Stage},
    },
    store::{
        backlog::{Wanted, read_one},
        erase::{
            Erasure, carried_out, delete_deliveries, delete_event, erase_settled, erasure_of, erasures, order_erasure,
            withhold_event,
        },
        record::{Reach, cancel_owed},
        replays::{Ordered, get, order},
    },
};

use crate::{
    scene::{NOW, Scene, at},
    support::database::{Database, on_both},
};

on_both! {
    a_withheld_event_is_owed_to_nobody_and_has_no_payload,
    an_erased_event_leaves_nothing,
    what_a_subscription_was_sent_is_erased_and_the_events_of_others_stay,
    nothing_is_replayed_or_redelivered_while_it_is_erased,
    a_newer_order_reaches_further,
}

async fn a_withheld_event_is_owed_to_nobody_and_has_no_payload(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let batch: Vec<_> = (0..2).map(|_| scene.acceptance(r#"{"name":"Ayşe"}"#, &[one, other])).collect();
    let (event, ids) = (batch[0].event.id, batch[0].deliveries.clone());
    let untouched = batch[1].deliveries[0].0;
    scene.accept(batch).await;
    scene.settle(&[ids[0].0], Verdict::Delivered, at(1)).await;

    let withheld = scene.write(move |c| withhold_event(c, event, at(2))).await.expect("it is there");
    assert_eq!(withheld, [(one, ids[0].0), (other, ids[1].0)]);
    assert_eq!(
        scene.states(&[ids[0].0, ids[1].0, untouched]).await,
        [State::Delivered, State::Cancelled, State::Pending]
    );
    let (to, id) = (ids[1].1, ids[1].0);
    let wanted = scene.read(move |c| read_one(c, to, id)).await;
    assert!(matches!(wanted, Wanted::Erased), "{wanted:?}");
    assert_eq!(scene.write(|c| withhold_event(c, EventId::from_raw(7), at(2))).await, None);
}

async fn an_erased_event_leaves_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let one = scene.subscription("one").await;
    let batch = vec![scene.acceptance("{}", &[one]), scene.acceptance("{}", &[]), scene.acceptance("{}", &[one])];
    let (wanted, unwanted) = (batch[0].event.id, batch[1].event.id);
    let (erased, kept) = (batch[0].deliveries[0].0, batch[2].deliveries[0].0);
    scene.accept(batch).await;
    scene.settle(&[erased, kept], Verdict::Dead, at(1)).await;
    for event in [wanted, unwanted] {
        let deliveries = scene.write(move |c| withhold_event(c, event, at(2))).await.expect("it is there");
        let ids: Vec<DeliveryId> = deliveries.into_iter().map(|(_, id)| id).collect();
        scene.write(move |c| delete_deliveries(c, &ids)).await;
        scene.write(move |c| delete_event(c, event)).await;
    }
    assert_eq!(scene.count("events").await, 1);
    assert_eq!(scene.count("attempts").await, 1);
    assert_eq!(scene.state(kept).await, State::Dead);
}

fn erasure(subscription: SubscriptionId, up_to: DeliveryId) -> Erasure {
    Erasure { subscription, up_to, ordered_by: "oms".to_owned(), ordered_at: NOW }
}

async fn what_a_subscription_was_sent_is_erased_and_the_events_of_others_stay(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, other) = (scene.subscription("one").await, scene.subscription("other").await);
    let shared: Vec<_> = (0..10).map(|_| scene.acceptance("{}", &[one, other])).collect();
    let shared_ids: Vec<_> = shared.iter().map(|item| item.deliveries[0].0).collect();
    scene.accept(shared).await;
    let own = scene.owe(one, 10).await;
    let later = scene.owe(one, 1).await;
    scene.settle(&shared_ids, Verdict::Delivered, at(1)).await;
    scene.settle(&own[..5], Verdict::Dead, at(1)).await;

    let order = erasure(one, own[9]);
    let stored = order.clone();
    scene.write(move |c| order_erasure(c, &stored)).await;
    assert_eq!(scene.read(|c| erasures(c, 10)).await, std::slice::from_ref(&order));
    let last = own[9];
    assert_eq!(scene.write(move |c| cancel_owed(c, one, Reach::Unfinished, last, 100, at(2))).await, 5);
    let mut pages = Vec::new();
    loop {
        let order = order.clone();
        match scene.write(move |c| erase_settled(c, &order, 8)).await {
            cleared if cleared.deliveries == 0 => break,
            cleared => pages.push((cleared.deliveries, cleared.events)),
        }
    }
    assert_eq!(pages.iter().map(|page| page.0).sum::<usize>(), 20);
    assert_eq!(pages.iter().map(|page| page.1).sum::<usize>(), 10);
    assert!(pages.iter().all(|page| page.0 <= 8), "{pages:?}");
    assert_eq!(scene.count("deliveries").await, 11);
    assert_eq!((scene.count("events").await, scene.count("attempts").await), (11, 0));
    assert_eq!(scene.states(&later).await, [State::Pending]);
    scene.write(move |c| carried_out(c, &order)).await;
    assert_eq!(scene.read(|c| erasures(c, 10)).await, []);
}

async fn nothing_is_replayed_or_redelivered_while_it_is_erased(database: Database) {
    let scene = Scene::of(&database).await;
    let one = scene.subscription("one").await;
    let ids = scene.owe(one, 2).await;
    scene.settle(&ids, Verdict::Dead, at(1)).await;
    let filter = Filter { subscription: one, states: DEFAULT_STATES.into(), from: None, to: at(100), event_type: None };
    let (first, again) = (filter.clone(), filter);
    let running = match scene.write(move |c| order(c, &first, None, "oms", NOW)).await {
        Ordered::Made(replay) => replay.id,
        other @ (Ordered::Running(_) | Ordered::Erasing) => panic!("{other:?}"),
    };
    let stored = erasure(one, ids[0]);
    scene.write(move |c| order_erasure(c, &stored)).await;
    let replay = scene.read(move |c| get(c, postrider::domain::owner::Scope::All, running)).await;
    assert_eq!(replay.map(|replay| replay.stage), Some(Stage::Cancelled));
    assert_eq!(scene.write(move |c| order(c, &again, None, "oms", NOW)).await, Ordered::Erasing);
    let (inside, outside) = (ids[0], ids[1]);
    let wanted = scene.read(move |c| read_one(c, one, inside)).await;
    assert!(matches!(wanted, Wanted::Erased), "{wanted:?}");
    let wanted = scene.read(move |c| read_one(c, one, outside)).await;
    assert!(matches!(wanted, Wanted::Found(_)), "{wanted:?}");
}

async fn a_newer_order_reaches_further(database: Database) {
    let scene = Scene::of(&database).await;
    let one = scene.subscription("one").await;
    let (first, second) = (erasure(one, DeliveryId::from_raw(5)), erasure(one, DeliveryId::from_raw(9)));
    for order in [first.clone(), second.clone()] {
        scene.write(move |c| order_erasure(c, &order)).await;
    }
    assert_eq!(scene.read(move |c| erasure_of(c, one)).await, Some(second.clone()));
    // The first is carried out; the second is not.
    scene.write(move |c| carried_out(c, &first)).await;
    assert_eq!(scene.read(move |c| erasure_of(c, one)).await, Some(second));
}
