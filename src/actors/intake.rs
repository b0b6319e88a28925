//! Events on their way into the store: what gathers, what goes into one transaction, and what follows from it.
//!
//! Group commit without a timer: while a transaction is under way the next batch gathers; when it ends, all that has
//! gathered goes into the next one, bounded in events and bytes. Nothing here does I/O but [`store_batch`].

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{admission::Ticket, budget::Budget};
use crate::{
    domain::{
        announcement::Audience,
        delivery::Course,
        event::Event,
        event_type::EventType,
        id::{EventId, Minter, OwnerId, SubscriptionId},
        queue::Owed,
        routing::RoutingTable,
        subscription::Subscription,
        time::Timestamp,
    },
    metrics::{EventFate, Metrics, Write},
    store::{
        Lane, Store, StoreError,
        accept::{Acceptance, Accepted, IdempotencyKey, Run, accept_events},
    },
};

/// Events in one transaction, unless one request brings more.
pub(super) const BATCH_EVENTS: usize = 500;
/// Payload bytes in one transaction, unless one request brings more.
pub(super) const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How often a batch is tried again that met an idempotency key another node took in the same moment.
const CONFLICT_RERUNS: u32 = 3;

/// An event that somebody asks to have accepted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What happened.
    pub event_type: EventType,
    /// To what: JSON, checked by whoever received it.
    pub payload: Bytes,
    /// Events of one key may be asked to arrive in order.
    pub ordering_key: Option<String>,
    /// Who asks.
    pub publisher: OwnerId,
    /// Under which name, so that asking twice does it once.
    pub key: Option<IdempotencyKey>,
    /// Who may hear of it among those who subscribed to its type; `None` for all of them.
    pub audience: Option<Audience>,
}

/// What a publisher is told about one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is durable, now or since it was published first under the same key.
    Accepted {
        /// The event.
        event: EventId,
        /// How many deliveries it owed when it was accepted.
        deliveries: u32,
    },
    /// Something else was published under the same key; nothing was stored.
    KeyReused,
    /// The database is away. Whether the event was stored is not known; the same key finds out.
    Unavailable,
    /// The database refuses to store it.
    Refused,
}

/// Events that came together, and who waits for the answer.
pub(super) struct Waiting {
    pub(super) events: Vec<Submission>,
    pub(super) answer: oneshot::Sender<Vec<Receipt>>,
    /// The places among those who wait; free again when the answer is given.
    pub(super) tickets: Vec<Ticket>,
}

/// A batch that is being stored.
pub(super) struct Batch {
    pub(super) acceptances: Arc<[Acceptance]>,
    /// In the order of the acceptances: who gets how many of the receipts.
    pub(super) waiting: Vec<(usize, oneshot::Sender<Vec<Receipt>>, Vec<Ticket>)>,
}

/// Events that wait for a transaction.
#[derive(Default)]
pub(super) struct Intake {
    waiting: VecDeque<Waiting>,
}

impl Intake {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// How many groups wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a batch out, in the order of arrival; mints the ids and finds out what is owed to whom. `None` when nothing
    /// waits.
    pub(super) fn next_batch(
        &mut self,
        table: &RoutingTable,
        minter: &mut Minter,
        budget: &Budget,
        now: Timestamp,
    ) -> Option<Batch> {
        let mut acceptances = Vec::new();
        let mut waiting = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let more: usize = next.events.iter().map(|event| event.payload.len()).sum();
            let fits = acceptances.len() + next.events.len() <= BATCH_EVENTS && bytes + more <= BATCH_BYTES;
            if !fits && !waiting.is_empty() {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            bytes += more;
            waiting.push((next.events.len(), next.answer, next.tickets));
            acceptances.extend(next.events.into_iter().map(|event| accept(event, table, minter, budget, now)));
        }
        (!waiting.is_empty()).then(|| Batch { acceptances: acceptances.into(), waiting })
    }
}

fn accept(
    submission: Submission,
    table: &RoutingTable,
    minter: &mut Minter,
    budget: &Budget,
    now: Timestamp,
) -> Acceptance {
    let Submission { event_type, payload, ordering_key, publisher, key, audience } = submission;
    let payload = budget.count(payload);
    // The deliveries' ids follow the event's without a gap: `EventId::owed_ids` finds them by that.
    let event = Event { id: minter.event(now), event_type, payload, ordering_key, accepted_at: now };
    let may_hear = |to: &&Arc<Subscription>| audience.as_ref().is_none_or(|audience| audience.includes(to));
    let listeners = table.matches(&event.event_type, now).filter(may_hear);
    let deliveries = listeners.map(|subscription| (minter.delivery(now), subscription.id)).collect();
    Acceptance { event: Arc::new(event), publisher, deliveries, key }
}

/// What became of each event of a batch.
pub(super) type Stored = Vec<Result<Accepted, StoreError>>;

/// Stores a batch in one transaction. When the database refuses it, each event gets one of its own, so that one bad event
/// does not take the others along.
///
/// # Errors
/// [`StoreError::Unavailable`] when the database is away: nothing was stored, or it is not known.
pub(super) async fn store_batch(store: &Store, batch: Arc<[Acceptance]>, now: Timestamp) -> Result<Stored, StoreError> {
    match store_together(store, Arc::clone(&batch), now).await {
        Ok(accepted) => return Ok(accepted.into_iter().map(Ok).collect()),
        Err(error @ StoreError::Unavailable(_)) => return Err(error),
        Err(StoreError::Conflict(_) | StoreError::NotFound | StoreError::Sealed(_) | StoreError::Corrupt(_)) => {}
    }
    let mut stored = Vec::with_capacity(batch.len());
    for acceptance in batch.iter() {
        stored.push(match store_together(store, Arc::new([acceptance.clone()]), now).await {
            Ok(accepted) => Ok(accepted[0]),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(error) => Err(error),
        });
    }
    Ok(stored)
}

async fn store_together(store: &Store, batch: Arc<[Acceptance]>, now: Timestamp) -> Result<Vec<Accepted>, StoreError> {
    let mut conflicts = 0;
    loop {
        let batch = Arc::clone(&batch);
        let mut run = Run::First;
        let work = move |connection: &mut _| {
            let accepted = accept_events(connection, &batch, run, now);
            run = Run::Again;
            accepted
        };
        match store.run(Lane::Write, work).await {
            Err(StoreError::Conflict(_)) if conflicts < CONFLICT_RERUNS => conflicts += 1,
            result => return result,
        }
    }
}

/// Counts what became of a batch.
pub(super) fn count(metrics: &Metrics, batch: &Batch, result: &Result<Stored, StoreError>, took: Duration) {
    let events = batch.acceptances.len() as u64;
    let Ok(stored) = result else {
        metrics.not_committed(Write::Accept);
        return metrics.published(EventFate::Unavailable, events);
    };
    metrics.committed(Write::Accept, took, events);
    for (acceptance, stored) in batch.acceptances.iter().zip(stored) {
        let fate = match stored {
            Ok(Accepted::Stored) => {
                metrics.owed(acceptance.deliveries.len() as u64);
                EventFate::Accepted
            }
            Ok(Accepted::Repeated { .. }) => EventFate::Repeated,
            Ok(Accepted::KeyReused) => EventFate::KeyReused,
            Err(_) => EventFate::Refused,
        };
        metrics.published(fate, 1);
    }
}

/// The receipt for one event.
pub(super) fn receipt(acceptance: &Acceptance, stored: &Result<Accepted, StoreError>) -> Receipt {
    match stored {
        Ok(Accepted::Stored) => Receipt::Accepted {
            event: acceptance.event.id,
            deliveries: u32::try_from(acceptance.deliveries.len()).unwrap_or(u32::MAX),
        },
        Ok(Accepted::Repeated { event, deliveries }) => Receipt::Accepted { event: *event, deliveries: *deliveries },
        Ok(Accepted::KeyReused) => Receipt::KeyReused,
        Err(StoreError::Unavailable(_)) => Receipt::Unavailable,
        Err(StoreError::Conflict(_) | StoreError::NotFound | StoreError::Sealed(_) | StoreError::Corrupt(_)) => {
            Receipt::Refused
        }
    }
}

/// What to hand over to whom, in the order of acceptance.
pub(super) fn owed_by_subscription(
    batch: &[Acceptance],
    stored: &[Result<Accepted, StoreError>],
) -> HashMap<SubscriptionId, Vec<Owed>> {
    let mut owed: HashMap<SubscriptionId, Vec<Owed>> = HashMap::new();
    let new = batch.iter().zip(stored).filter(|(_, stored)| matches!(stored, Ok(Accepted::Stored)));
    for (acceptance, _) in new {
        for (id, subscription) in &acceptance.deliveries {
            let event = Arc::clone(&acceptance.event);
            owed.entry(*subscription).or_default().push(Owed {
                id: *id,
                attempts: 0,
                course: Course::default(),
                event,
            });
        }
    }
    owed
}
