//! A thousand endpoints that begin to fail together hold up nobody who publishes.

use futures_util::{
    FutureExt,
    future::{join, join_all, join3},
};

use super::{
    fake::{Deed, Endpoint},
    scene::{Scene, in_virtual_time},
};
use crate::{
    actors::failing_notes::FailingNotes,
    domain::retry::RetryPolicy,
    store::{AnyConnection, Lane, Queried, subscriptions::failing::failing_since},
};

const MANY: usize = 250;

#[test]
fn who_writes_beside_many_notes_waits_for_one_transaction_not_for_all() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let mut ids = Vec::new();
        for number in 0..MANY {
            ids.push(scene.subscribe(&number.to_string(), RetryPolicy::default()).await);
        }
        let (notes, since) = (FailingNotes::default(), Some(scene.clock.now()));
        let all = ids.clone();
        let count = move |connection: &mut AnyConnection| -> Queried<usize> {
            let rows: Vec<_> = all.iter().map(|id| failing_since(connection, *id)).collect::<Queried<_>>()?;
            Ok(rows.into_iter().filter(|row| *row == since).count())
        };
        let noting = join_all(ids.iter().map(|id| notes.write(&scene.store, *id, since)));
        let written_so_far = async || scene.store.run(Lane::Write, count.clone()).await.expect("the store writes");
        let (written, so_far) = join(noting, async { [written_so_far().await, written_so_far().await] }).await;
        assert_eq!(so_far, [1, 1 + 20], "the first was alone, then they share transactions, but not all one");
        assert!(written.into_iter().all(|is_written| is_written));
        assert_eq!(scene.store.run(Lane::Read, count).await.expect("the store reads"), MANY);
    });
}

#[test]
fn the_latest_note_stays_and_nobody_waits_for_one_who_has_gone() {
    in_virtual_time(async {
        let scene = Scene::new(Endpoint::new(|_| Deed::Answer(200)), 100).await;
        let one = scene.subscribe("one", RetryPolicy::default()).await;
        let other = scene.subscribe("other", RetryPolicy::default()).await;
        let (notes, since) = (FailingNotes::default(), Some(scene.clock.now()));
        let write = |id, since| notes.write(&scene.store, id, since);
        assert_eq!(write(one, since).now_or_never(), None, "it goes in the middle of a transaction");
        // The first is alone, the other two share the next transaction.
        let written = join3(write(other, since), write(one, since), write(one, None)).await;
        assert_eq!(written, (true, true, true));
        let read = move |connection: &mut AnyConnection| {
            Ok((failing_since(connection, one)?, failing_since(connection, other)?))
        };
        assert_eq!(scene.store.run(Lane::Read, read).await.expect("the store reads"), (None, since));
    });
}
