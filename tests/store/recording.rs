//! *record*: attempts are kept, deliveries move on, and what is settled stays settled.

#[cfg(feature = "mysql")]
use std::time::Duration;

use bytes::Bytes;
use postrider::{
    domain::{
        attempt::{Answer, FailureClass, KEPT_BODY_BYTES, Outcome},
        delivery::{State, Verdict},
    },
    store::record::{Reach, Record, cancel_owed},
};

use crate::{
    scene::{NOW, Scene, all, answered, at, record, record_of},
    support::database::{Database, on_both},
};

on_both! {
    a_success_settles_the_delivery,
    a_failure_makes_it_due_again,
    each_of_many_that_fail_together_is_due_at_its_own_time,
    the_last_failure_makes_it_dead,
    an_attempt_comes_back_as_it_was,
    long_texts_are_cut_at_a_character,
    recording_twice_changes_nothing,
    an_old_record_does_not_turn_back_a_newer_one,
    attempts_of_one_delivery_may_share_a_batch,
    what_was_not_attempted_is_put_off_and_not_counted,
    a_settled_delivery_never_moves,
    an_attempt_by_hand_that_fails_counts_and_changes_nothing_else,
    an_attempt_by_hand_that_was_not_made_is_not_counted,
    an_attempt_by_hand_is_none_of_the_policys,
    what_arrived_is_counted_when_it_is_attempted_again,
    a_cancelled_delivery_that_arrived_is_delivered,
    a_large_batch_is_recorded_as_a_whole,
    what_is_owed_is_cancelled_in_pages,
    cancelling_leaves_others_and_later_ones_alone,
}

async fn a_success_settles_the_delivery(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record(id, 1, 200, Verdict::Delivered)], at(3)).await;
    let (listed, attempts) = scene.delivery(id).await;
    assert_eq!(listed.delivery.state, State::Delivered);
    assert_eq!((listed.delivery.attempts, listed.delivery.due_at), (1, None));
    assert_eq!((listed.delivery.course.first_recorded_at, listed.delivery.recorded_at), (Some(at(3)), Some(at(3))));
    assert_eq!(attempts.len(), 1);
}

async fn a_failure_makes_it_due_again(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record(id, 1, 503, Verdict::RetryAt(at(60)))], at(3)).await;
    scene.record(vec![record(id, 2, 503, Verdict::RetryAt(at(120)))], at(61)).await;
    let (listed, attempts) = scene.delivery(id).await;
    assert_eq!(listed.delivery.state, State::Pending);
    assert_eq!((listed.delivery.attempts, listed.delivery.due_at), (2, Some(at(120))));
    assert_eq!((listed.delivery.course.first_recorded_at, listed.delivery.recorded_at), (Some(at(3)), Some(at(61))));
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
}

/// More than share a statement, some of them at the same time, and one that was settled meanwhile.
async fn each_of_many_that_fail_together_is_due_at_its_own_time(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 250).await;
    scene.record(vec![record(ids[7], 1, 200, Verdict::Delivered)], at(2)).await;
    let due_at = |n: usize| at(60 + u64::try_from(n).expect("a few") / 2);
    let failures = ids.iter().enumerate().map(|(n, id)| record(*id, 1, 503, Verdict::RetryAt(due_at(n))));
    scene.record(failures.rev().collect(), at(3)).await;
    for (n, id) in ids.into_iter().enumerate() {
        let (listed, _) = scene.delivery(id).await;
        let expected = if n == 7 { (State::Delivered, None) } else { (State::Pending, Some(due_at(n))) };
        assert_eq!((listed.delivery.state, listed.delivery.due_at), expected, "{n}");
        assert_eq!(listed.delivery.attempts, 1);
    }
}

async fn the_last_failure_makes_it_dead(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record(id, 1, 500, Verdict::Dead)], at(3)).await;
    let (listed, _) = scene.delivery(id).await;
    assert_eq!((listed.delivery.state, listed.delivery.due_at), (State::Dead, None));
}

async fn an_attempt_comes_back_as_it_was(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let answer = |status, content_type: Option<&str>, body: Vec<u8>| {
        let content_type = content_type.map(str::to_owned);
        Outcome::Answered(Answer { status, retry_after: None, content_type, body: body.into() })
    };
    let mut outcomes: Vec<Outcome> = FailureClass::ALL.map(|class| Outcome::failed(class, "şöyle böyle 🚚")).into();
    outcomes.extend([100, 200, 599, 999].map(answered));
    outcomes.push(answer(200, Some("text/html; charset=\"ü\""), (0..=255).collect()));
    outcomes.push(answer(200, Some(&"x".repeat(255)), vec![0; KEPT_BODY_BYTES]));
    outcomes.push(Outcome::failed(FailureClass::Timeout, ""));

    let ids = scene.owe(subscription, outcomes.len()).await;
    let records: Vec<Record> = ids
        .iter()
        .zip(&outcomes)
        .map(|(id, outcome)| record_of(*id, 1, outcome.clone(), Verdict::RetryAt(at(9))))
        .collect();
    scene.record(records.clone(), NOW).await;
    for record in records {
        let (_, attempts) = scene.delivery(record.attempt.delivery).await;
        assert_eq!(attempts, [record.attempt]);
    }
}

async fn long_texts_are_cut_at_a_character(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 2).await;
    let long = Outcome::failed(FailureClass::Protocol, format!("x{}", "ş".repeat(5_000)));
    let content_type = Some("ş".repeat(500));
    let answer = Outcome::Answered(Answer { status: 200, retry_after: None, content_type, body: Bytes::new() });
    let batch = vec![record_of(ids[0], 1, long, Verdict::Dead), record_of(ids[1], 1, answer, Verdict::Delivered)];
    scene.record(batch, NOW).await;
    match &scene.delivery(ids[0]).await.1[0].outcome {
        Outcome::Failed(failure) => assert_eq!(failure.message, format!("x{}", "ş".repeat(499))),
        other @ (Outcome::Answered(_) | Outcome::NotAttempted) => panic!("{other:?}"),
    }
    match &scene.delivery(ids[1]).await.1[0].outcome {
        Outcome::Answered(answer) => assert_eq!(answer.content_type, Some("ş".repeat(127))),
        other @ (Outcome::Failed(_) | Outcome::NotAttempted) => panic!("{other:?}"),
    }
}

async fn recording_twice_changes_nothing(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 3).await;
    let batch = vec![
        record(ids[0], 1, 200, Verdict::Delivered),
        record(ids[1], 1, 503, Verdict::RetryAt(at(60))),
        record(ids[2], 1, 500, Verdict::Dead),
    ];
    scene.record(batch.clone(), at(1)).await;
    let first = all_of(&scene, &ids).await;
    scene.record(batch, at(2)).await;
    assert_eq!(all_of(&scene, &ids).await, first);
}

async fn an_old_record_does_not_turn_back_a_newer_one(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 1).await;
    let old = record(ids[0], 1, 503, Verdict::RetryAt(at(60)));
    scene.record(vec![old.clone()], at(1)).await;
    scene.record(vec![record(ids[0], 2, 503, Verdict::RetryAt(at(120)))], at(61)).await;
    let newest = all_of(&scene, &ids).await;
    scene.record(vec![old], at(62)).await;
    assert_eq!(all_of(&scene, &ids).await, newest);
}

/// A database that stalls gathers them.
async fn attempts_of_one_delivery_may_share_a_batch(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 40).await;
    let attempt = |number: u16| {
        let due_at = at(60 * u64::from(number));
        ids.iter().map(move |id| record(*id, number, 503, Verdict::RetryAt(due_at)))
    };
    scene.record([3, 1, 2].into_iter().flat_map(attempt).collect(), at(9)).await;
    for (listed, attempts) in all_of(&scene, &ids).await {
        assert_eq!((listed.delivery.attempts, listed.delivery.due_at), (3, Some(at(180))));
        assert_eq!(listed.delivery.course.first_recorded_at, Some(at(9)));
        assert_eq!(attempts.len(), 3);
    }
}

async fn what_was_not_attempted_is_put_off_and_not_counted(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record_of(id, 1, Outcome::NotAttempted, Verdict::Postponed(at(1)))], NOW).await;
    let (listed, attempts) = scene.delivery(id).await;
    assert_eq!((listed.delivery.state, listed.delivery.due_at), (State::Pending, Some(at(1))));
    assert_eq!((listed.delivery.attempts, listed.delivery.course.first_recorded_at), (0, None));
    assert_eq!(attempts, []);
    // The same number is then really attempted.
    scene.record(vec![record(id, 1, 200, Verdict::Delivered)], at(2)).await;
    assert_eq!(scene.state(id).await, State::Delivered);
}

async fn a_settled_delivery_never_moves(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let verdicts = [
        Verdict::Delivered,
        Verdict::RetryAt(at(60)),
        Verdict::Dead,
        Verdict::Postponed(at(60)),
        Verdict::Cancelled,
        Verdict::Kept,
    ];
    for (settled, state) in
        [(Verdict::Delivered, State::Delivered), (Verdict::Dead, State::Dead), (Verdict::Cancelled, State::Cancelled)]
    {
        let ids = scene.owe(subscription, verdicts.len()).await;
        scene.record(ids.iter().map(|id| record(*id, 1, 500, settled)).collect(), at(1)).await;
        let late = ids.iter().zip(verdicts).map(|(id, verdict)| record(*id, 2, 500, verdict)).collect();
        scene.record(late, at(2)).await;
        for (id, late) in ids.iter().zip(verdicts) {
            // An arrival is a fact.
            let expected = if late == Verdict::Delivered { State::Delivered } else { state };
            let (listed, _) = scene.delivery(*id).await;
            assert_eq!((listed.delivery.state, listed.delivery.due_at), (expected, None), "{settled:?}, then {late:?}");
        }
    }
}

async fn an_attempt_by_hand_that_fails_counts_and_changes_nothing_else(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 2).await;
    scene.record(vec![record(ids[0], 1, 503, Verdict::RetryAt(at(60)))], at(1)).await;
    scene.record(vec![record(ids[1], 1, 503, Verdict::Dead)], at(1)).await;
    scene.record(ids.iter().map(|id| record(*id, 2, 503, Verdict::Kept)).collect(), at(2)).await;
    let (owed, _) = scene.delivery(ids[0]).await;
    assert_eq!((owed.delivery.state, owed.delivery.due_at, owed.delivery.attempts), (State::Pending, Some(at(60)), 2));
    let (dead, _) = scene.delivery(ids[1]).await;
    assert_eq!((dead.delivery.state, dead.delivery.attempts, dead.delivery.recorded_at), (State::Dead, 2, Some(at(2))));
}

async fn an_attempt_by_hand_that_was_not_made_is_not_counted(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record(id, 1, 503, Verdict::RetryAt(at(60)))], at(1)).await;
    let before = scene.delivery(id).await;
    scene.record(vec![record_of(id, 2, Outcome::NotAttempted, Verdict::Kept)], at(2)).await;
    assert_eq!(scene.delivery(id).await, before);
}

async fn an_attempt_by_hand_is_none_of_the_policys(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 2).await;
    scene.record(ids.iter().map(|id| record(*id, 1, 503, Verdict::RetryAt(at(60)))).collect(), at(1)).await;
    scene.record(vec![record(ids[0], 2, 503, Verdict::Kept)], at(2)).await;
    scene.record(vec![record(ids[0], 3, 503, Verdict::Kept)], at(3)).await;
    let page = scene.page(subscription, all(), at(60)).await;
    let counted =
        |place: usize| (page.due[place].attempts, page.due[place].course.counted(page.due[place].attempts + 1));
    assert_eq!([counted(0), counted(1)], [(3, 2), (1, 2)]);
}

async fn what_arrived_is_counted_when_it_is_attempted_again(database: Database) {
    let scene = Scene::of(&database).await;
    let id = scene.owe(scene.subscription("one").await, 1).await[0];
    scene.record(vec![record(id, 1, 200, Verdict::Delivered)], at(1)).await;
    scene.record(vec![record(id, 2, 503, Verdict::Kept)], at(2)).await;
    scene.record(vec![record(id, 3, 200, Verdict::Delivered)], at(3)).await;
    let (listed, attempts) = scene.delivery(id).await;
    assert_eq!((listed.delivery.state, listed.delivery.attempts), (State::Delivered, 3));
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

async fn a_cancelled_delivery_that_arrived_is_delivered(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let id = scene.owe(subscription, 1).await[0];
    scene.write(move |c| cancel_owed(c, subscription, Reach::Unfinished, id, 10, at(1))).await;
    assert_eq!(scene.state(id).await, State::Cancelled);
    scene.record(vec![record(id, 1, 503, Verdict::RetryAt(at(60)))], at(2)).await;
    assert_eq!(scene.state(id).await, State::Cancelled);
    scene.record(vec![record(id, 2, 200, Verdict::Delivered)], at(3)).await;
    assert_eq!(scene.state(id).await, State::Delivered);
}

async fn a_large_batch_is_recorded_as_a_whole(database: Database) {
    let scene = Scene::of(&database).await;
    let ids = scene.owe(scene.subscription("one").await, 2_000).await;
    let body = Bytes::from(vec![b'x'; KEPT_BODY_BYTES]);
    let outcome = Outcome::Answered(Answer { status: 200, retry_after: None, content_type: None, body });
    let batch = ids.iter().map(|id| record_of(*id, 1, outcome.clone(), Verdict::Delivered)).collect();
    scene.record(batch, NOW).await;
    assert_eq!((scene.count("attempts").await, scene.count("deliveries WHERE state = 1").await), (2_000, 2_000));
}

async fn what_is_owed_is_cancelled_in_pages(database: Database) {
    let scene = Scene::of(&database).await;
    let subscription = scene.subscription("one").await;
    let ids = scene.owe(subscription, 25).await;
    scene.record(vec![record(ids[3], 1, 503, Verdict::RetryAt(at(60)))], NOW).await;
    scene.record(vec![record(ids[4], 1, 200, Verdict::Delivered)], NOW).await;
    let last = ids[24];
    let cancel = || scene.write(move |c| cancel_owed(c, subscription, Reach::Unfinished, last, 10, at(5)));
    assert_eq!((cancel().await, cancel().await, cancel().await), (10, 10, 4));
    assert_eq!(scene.state(ids[4]).await, State::Delivered);
    let (listed, _) = scene.delivery(ids[3]).await;
    assert_eq!((listed.delivery.state, listed.delivery.due_at), (State::Cancelled, None));
    assert_eq!(listed.delivery.recorded_at, Some(at(5)));
}

async fn cancelling_leaves_others_and_later_ones_alone(database: Database) {
    let scene = Scene::of(&database).await;
    let (one, two) = (scene.subscription("one").await, scene.subscription("two").await);
    let (mine, theirs) = (scene.owe(one, 3).await, scene.owe(two, 1).await);
    let last = mine[1];
    scene.write(move |c| cancel_owed(c, one, Reach::Unfinished, last, 100, NOW)).await;
    let mut states = Vec::new();
    for id in mine.into_iter().chain(theirs) {
        states.push(scene.state(id).await);
    }
    assert_eq!(states, [State::Cancelled, State::Cancelled, State::Pending, State::Pending]);
}

async fn all_of(
    scene: &Scene,
    ids: &[postrider::domain::id::DeliveryId],
) -> Vec<(postrider::store::deliveries::Listed, Vec<postrider::domain::attempt::Attempt>)> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.push(scene.delivery(*id).await);
    }
    found
}

/// What only a database with several writers can do wrong.
#[cfg(feature = "mysql")]
mod with_two_writers {
    use super::*;
    use crate::{
        sql,
        support::{database::run, eventually::eventually_async},
    };

    #[test]
    fn cancelling_does_not_overtake_a_success() {
        run(async {
            let database = Database::mariadb();
            let scene = Scene::of(&database).await;
            let subscription = scene.subscription("one").await;
            let ids = scene.owe(subscription, 3).await;
            let (arrived, last) = (ids[1], ids[2]);

            // A transaction that has recorded a success and is not yet committed...
            let mut recorder = sql::connect(&database.database_url());
            let delivered =
                format!("BEGIN; UPDATE deliveries SET state = 1, attempts = 1 WHERE id = {}", arrived.as_raw());
            sql::execute(&mut recorder, &delivered).expect("it records");
            // ... holds a row that the cancelling has already found pending.
            let store = scene.store.clone();
            let cancelling = tokio::spawn(async move {
                let cancel = move |c: &mut _| cancel_owed(c, subscription, Reach::Unfinished, last, 100, at(1));
                store.run(postrider::store::Lane::Write, cancel).await
            });
            eventually_async("the cancelling to wait for the row", Duration::from_secs(10), async || {
                // Not innodb_trx: its answer stays the same for as long as it is asked more often than ten times a second.
                let waits = "information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE%'";
                match scene.count(waits).await {
                    0 => Err("nobody waits"),
                    _ => Ok(()),
                }
            })
            .await;
            sql::execute(&mut recorder, "COMMIT").expect("it commits");

            let found = cancelling.await.expect("no panic").expect("it cancels");
            assert_eq!(scene.state(arrived).await, State::Delivered);
            assert_eq!((scene.state(ids[0]).await, scene.state(last).await), (State::Cancelled, State::Cancelled));
            assert_eq!(found, 3, "what was found counts, or the caller would stop too early");
        });
    }
}
