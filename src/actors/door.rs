//! Where events enter: one door for each thread that serves.
//!
//! What requests bring in one turn of a thread's event loop goes to the router in one message, and its receipts come back in
//! one: a wake of another thread costs more than all else that the way in does to an event. Nobody waits longer for it; a
//! thread with one request hands over one.

use std::{cell::RefCell, mem, rc::Rc};

use actix::Recipient;
use tokio::{sync::oneshot, task::yield_now};

use super::{
    admission::Ticket,
    intake::{BATCH_BYTES, BATCH_EVENTS, Receipt, Submission},
    mail::hand,
    router::AcceptEvents,
};

/// A thread's way to the router; clones lead through the same door.
#[derive(Clone)]
pub struct Door {
    router: Recipient<AcceptEvents>,
    entering: Rc<RefCell<Group>>,
}

/// Requests that go together.
#[derive(Default)]
struct Group {
    events: Vec<Submission>,
    /// Of payload.
    bytes: usize,
    tickets: Vec<Ticket>,
    /// Who waits for how many of the receipts.
    waiting: Vec<(usize, oneshot::Sender<Vec<Receipt>>)>,
}

impl Door {
    /// A door of this thread.
    #[must_use]
    pub fn new(router: Recipient<AcceptEvents>) -> Self {
        Self { router, entering: Rc::default() }
    }

    /// Hands `events` over and waits for their receipts, one each, in their order. `None` when the router is gone.
    pub async fn enter(&self, events: Vec<Submission>, ticket: Ticket) -> Option<Vec<Receipt>> {
        self.join(events, ticket).await.ok()
    }

    fn join(&self, events: Vec<Submission>, ticket: Ticket) -> oneshot::Receiver<Vec<Receipt>> {
        let (answer, receipts) = oneshot::channel();
        let bytes: usize = events.iter().map(|event| event.payload.len()).sum();
        let mut entering = self.entering.borrow_mut();
        if entering.events.len() + events.len() > BATCH_EVENTS || entering.bytes + bytes > BATCH_BYTES {
            // It would not fit into one transaction.
            actix::spawn(mem::take(&mut *entering).pass(self.router.clone()));
        }
        if entering.waiting.is_empty() {
            actix::spawn(self.clone().close_after_this_turn());
        }
        entering.waiting.push((events.len(), answer));
        entering.bytes += bytes;
        entering.events.extend(events);
        entering.tickets.push(ticket);
        receipts
    }

    /// Behind all requests that are being read already.
    async fn close_after_this_turn(self) {
        yield_now().await;
        let group = mem::take(&mut *self.entering.borrow_mut());
        group.pass(self.router).await;
    }
}

impl Group {
    async fn pass(self, router: Recipient<AcceptEvents>) {
        let Self { events, bytes: _, tickets, waiting } = self;
        if events.is_empty() {
            return;
        }
        let (answer, receipts) = oneshot::channel();
        hand(&router, AcceptEvents { events, answer, tickets });
        // Without a router all who wait are told so, by their senders' end.
        let Ok(receipts) = receipts.await else { return };
        let mut receipts = receipts.into_iter();
        for (count, answer) in waiting {
            // Whoever has gone away in the meantime asks again under the same key.
            drop(answer.send(receipts.by_ref().take(count).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, ActorContext, Context, Handler};
    use bytes::Bytes;
    use futures_util::future::join_all;

    use super::*;
    use crate::{
        actors::admission::Admission,
        domain::{
            event_type::EventType,
            id::{EventId, OwnerId},
        },
    };

    /// Answers each event with how many came in its message.
    struct Desk;

    impl Actor for Desk {
        type Context = Context<Self>;
    }

    impl Handler<AcceptEvents> for Desk {
        type Result = ();

        fn handle(&mut self, AcceptEvents { events, answer, tickets }: AcceptEvents, _: &mut Self::Context) {
            let together = u32::try_from(events.len()).expect("few");
            let event = EventId::from_raw(1);
            answer.send(vec![Receipt::Accepted { event, deliveries: together }; events.len()]).expect("somebody waits");
            drop(tickets);
        }
    }

    /// Dies of the first message.
    struct Dying;

    impl Actor for Dying {
        type Context = Context<Self>;
    }

    impl Handler<AcceptEvents> for Dying {
        type Result = ();

        fn handle(&mut self, _: AcceptEvents, ctx: &mut Self::Context) {
            ctx.stop();
        }
    }

    fn event() -> Submission {
        Submission {
            event_type: EventType::parse("package.created").expect("a type"),
            payload: Bytes::from_static(b"{}"),
            ordering_key: None,
            publisher: OwnerId::from_raw(1),
            key: None,
            audience: None,
        }
    }

    fn door() -> (Door, Admission) {
        (Door::new(Desk.start().recipient()), Admission::new(10_000, usize::MAX))
    }

    /// How many receipts came, and how many events went together with each.
    async fn enter(door: &Door, admission: &Admission, count: usize) -> (usize, Vec<u32>) {
        let ticket = admission.enter(count, 0).expect("room");
        let receipts = door.enter(vec![event(); count], ticket).await.expect("the desk is there");
        let mut together: Vec<u32> = receipts
            .iter()
            .map(|receipt| match receipt {
                Receipt::Accepted { deliveries, .. } => *deliveries,
                Receipt::KeyReused | Receipt::Unavailable | Receipt::Refused => 0,
            })
            .collect();
        together.dedup();
        (receipts.len(), together)
    }

    #[actix_rt::test]
    async fn requests_of_one_turn_go_together_and_each_gets_its_own_receipts() {
        let (door, admission) = door();
        let requests = [1, 3, 1].map(|count| enter(&door, &admission, count));
        assert_eq!(join_all(requests).await, [(1, vec![5]), (3, vec![5]), (1, vec![5])]);
        assert_eq!(enter(&door, &admission, 2).await, (2, vec![2]), "later ones wait for nobody");
        assert_eq!(admission.waiting(), 0);
    }

    #[actix_rt::test]
    async fn what_is_read_in_the_same_turn_comes_along() {
        let (door, admission) = door();
        let first = enter(&door, &admission, 1);
        let second = async {
            yield_now().await;
            enter(&door, &admission, 1).await
        };
        assert_eq!(futures_util::join!(first, second), ((1, vec![2]), (1, vec![2])));
    }

    #[actix_rt::test]
    async fn a_group_stays_as_large_as_a_transaction() {
        let (door, admission) = door();
        let requests = [BATCH_EVENTS - 1, 2, 1_000].map(|count| enter(&door, &admission, count));
        let alone = |count: usize| (count, vec![u32::try_from(count).expect("few")]);
        assert_eq!(join_all(requests).await, [alone(BATCH_EVENTS - 1), alone(2), alone(1_000)]);
    }

    #[actix_rt::test]
    async fn large_payloads_go_in_as_many_groups_as_they_need() {
        let (door, admission) = door();
        let payload = Bytes::from(vec![b' '; BATCH_BYTES / 2]);
        let requests = [(); 5].map(|()| {
            let ticket = admission.enter(1, payload.len()).expect("room");
            door.enter(vec![Submission { payload: payload.clone(), ..event() }], ticket)
        });
        let together = |receipts: Option<Vec<Receipt>>| match receipts.as_deref() {
            Some([Receipt::Accepted { deliveries, .. }]) => *deliveries,
            other => panic!("one receipt: {other:?}"),
        };
        let groups: Vec<u32> = join_all(requests).await.into_iter().map(together).collect();
        assert_eq!(groups, [2, 2, 2, 2, 1]);
    }

    #[actix_rt::test]
    async fn without_a_router_nobody_waits() {
        let admission = Admission::new(1, usize::MAX);
        let door = Door::new(Dying.start().recipient());
        let ticket = admission.enter(1, 0).expect("room");
        assert_eq!(door.enter(vec![event()], ticket).await, None);
        assert_eq!(admission.waiting(), 0);
    }
}
