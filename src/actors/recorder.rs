//! *record* in groups: while a transaction is under way the next one gathers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, Message};

use super::{known_heads::KnownHeads, mail::tell, pigeonhole::Pigeonhole, subscription::Recorded, tally::Tally};
use crate::{
    clock::Clock,
    domain::{delivery::Next, time::Timestamp},
    metrics::{Metrics, Write},
    store::{
        Lane, Store, StoreError,
        record::Record,
        traces::{NewHead, record_with_heads},
    },
};

/// How long a first attempt waits for others to share its transaction. Only repeats after a crash depend on it, and no slot is
/// held meanwhile; at ordinary load it saves most of the commits.
const GATHER: Duration = Duration::from_millis(10);
/// So many attempts wait no longer.
const ENOUGH: usize = 64;
/// Attempts in one transaction.
const BATCH: usize = 1_000;
/// The wait after a transaction that failed; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a delivery waits whose attempt the database refuses to store.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// How many attempts wait for their record; shared with those who start attempts.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Attempts that may wait for their record in all, before no further ones are started.
    pub const MOST: usize = 10_000;

    /// Whether no further attempt should start, because the database does not keep up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() >= Self::MOST
    }

    /// How many wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// So many more wait.
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// So many wait no longer.
    pub(super) fn take(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// Nobody waits any more: the recorder died, and whom it forgot is attempted again.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Writes down what was attempted.
pub struct Recorder {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    waiting: Waiting,
    tally: Tally,
    heads: KnownHeads,
    open: Vec<Entry>,
    /// A transaction is under way, or its failure waits to be retried.
    busy: bool,
    pause: Duration,
}

/// An attempt to record, from whom.
struct Entry {
    record: Record,
    from: Arc<Pigeonhole>,
}

impl Recorder {
    /// A recorder with nothing to do.
    #[must_use]
    pub fn new(store: Store, clock: Clock, metrics: Metrics, waiting: Waiting, tally: Tally) -> Self {
        let (heads, open) = (KnownHeads::default(), Vec::new());
        Self { store, clock, metrics, waiting, tally, heads, open, busy: false, pause: FIRST_PAUSE }
    }

    /// Starts a transaction with what has gathered, unless one is under way.
    fn flush(&mut self, ctx: &Context<Self>) {
        if self.busy || self.open.is_empty() {
            return;
        }
        self.busy = true;
        let rest = self.open.split_off(self.open.len().min(BATCH));
        let batch = std::mem::replace(&mut self.open, rest);
        let (store, clock, now, me) = (self.store.clone(), self.clock.clone(), self.clock.now(), ctx.address());
        let attempts = batch.iter().map(|entry| (entry.from.subscription, &entry.record));
        let heads: Arc<[NewHead]> = self.heads.missing(attempts, now).into();
        actix::spawn(async move {
            let (records, senders): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|entry| (entry.record, entry.from)).unzip();
            let records: Arc<[Record]> = records.into();
            let result = record(&store, Arc::clone(&records), Arc::clone(&heads), now).await;
            tell(&me, Done { records, senders, heads, result, took: clock.now().since(now) });
        });
    }

    /// Starts a transaction soon, or at once when there is enough for it.
    fn gather(&mut self, ctx: &mut Context<Self>) {
        if self.open.len() >= ENOUGH {
            ctx.notify(Flush);
        } else if !self.open.is_empty() {
            ctx.notify_later(Flush, GATHER);
        }
    }

    /// Leaves word for each subscription of what became durable, and calls those who wait for it.
    fn report(&self, records: &[Record], senders: &[Arc<Pigeonhole>], result: &[Written]) {
        let durable = records.iter().zip(senders).zip(result).filter(|(_, written)| **written == Written::Durable);
        self.tally.add(durable.map(|((record, sender), _)| (sender.subscription, record)));
        let mut to_call = Vec::new();
        let refused_until = self.clock.now().after(REFUSED_PAUSE);
        for ((record, sender), written) in records.iter().zip(senders).zip(result) {
            let next = match written {
                Written::Durable => {
                    self.metrics.recorded(&record.attempt, record.verdict);
                    record.verdict.next()
                }
                Written::Refused => Next::Refused(refused_until),
            };
            if sender.leave(record.attempt.delivery, next) {
                to_call.push(sender);
            }
        }
        for sender in to_call {
            tell(&sender.owner, Recorded);
        }
        self.waiting.take(records.len());
    }
}

/// What became of one attempt's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Durable,
    /// The database holds it for impossible; told in the log.
    Refused,
}

/// Writes all records in one transaction. When the database refuses them, each gets one of its own, so that one bad record
/// does not hold up the others for ever.
///
/// # Errors
/// [`StoreError::Unavailable`] when the database is away: nothing was written, or it is not known.
async fn record(
    store: &Store,
    records: Arc<[Record]>,
    heads: Arc<[NewHead]>,
    now: Timestamp,
) -> Result<Vec<Written>, StoreError> {
    let together = (Arc::clone(&heads), Arc::clone(&records));
    let work = move |connection: &mut _| record_with_heads(connection, &together.0, &together.1, now);
    match store.run(Lane::Write, work).await {
        Ok(()) => return Ok(vec![Written::Durable; records.len()]),
        Err(error @ StoreError::Unavailable(_)) => return Err(error),
        Err(StoreError::Conflict(_) | StoreError::NotFound | StoreError::Sealed(_) | StoreError::Corrupt(_)) => {}
    }
    let mut written = Vec::with_capacity(records.len());
    for record in records.iter() {
        let (alone, heads) = (record.clone(), Arc::clone(&heads));
        let work = move |connection: &mut _| record_with_heads(connection, &heads, std::slice::from_ref(&alone), now);
        written.push(match store.run(Lane::Write, work).await {
            Ok(()) => Written::Durable,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(error) => {
                let delivery = record.attempt.delivery.as_raw();
                log::error!(delivery, error:% = error; "an attempt could not be recorded");
                Written::Refused
            }
        });
    }
    Ok(written)
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

/// Write this attempt down, then leave word.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RecordAttempt {
    /// What to write.
    pub record: Record,
    /// Where to leave word when it is durable.
    pub from: Arc<Pigeonhole>,
    /// Whether somebody waits for it.
    pub urgency: Urgency,
}

/// Whether somebody waits for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A person, or the next delivery of an ordering key.
    Now,
    /// Nobody.
    Soon,
}

/// Write these attempts down, in this order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RecordAttempts(pub Vec<RecordAttempt>);

impl Handler<RecordAttempts> for Recorder {
    type Result = ();

    fn handle(&mut self, RecordAttempts(attempts): RecordAttempts, ctx: &mut Self::Context) {
        let (before, is_urgent) = (self.open.len(), attempts.iter().any(|attempt| attempt.urgency == Urgency::Now));
        self.waiting.add(attempts.len());
        self.open.extend(attempts.into_iter().map(|RecordAttempt { record, from, urgency: _ }| Entry { record, from }));
        if is_urgent {
            // Behind what is in the mailbox already: a burst shares one transaction.
            ctx.notify(Flush);
        } else if before == 0 || (before < ENOUGH && self.open.len() >= ENOUGH) {
            self.gather(ctx);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Flush> for Recorder {
    type Result = ();

    fn handle(&mut self, Flush: Flush, ctx: &mut Self::Context) {
        self.flush(ctx);
    }
}

/// A transaction ended.
#[derive(Message)]
#[rtype(result = "()")]
struct Done {
    records: Arc<[Record]>,
    senders: Vec<Arc<Pigeonhole>>,
    heads: Arc<[NewHead]>,
    result: Result<Vec<Written>, StoreError>,
    took: Duration,
}

impl Handler<Done> for Recorder {
    type Result = ();

    fn handle(&mut self, done: Done, ctx: &mut Self::Context) {
        let Done { records, senders, heads, result, took } = done;
        match result {
            Ok(written) => {
                if written.contains(&Written::Durable) {
                    self.heads.stored(&heads);
                }
                self.metrics.committed(Write::Record, took, records.len() as u64);
                self.report(&records, &senders, &written);
                self.pause = FIRST_PAUSE;
                self.busy = false;
                self.gather(ctx);
            }
            Err(error) => {
                self.metrics.not_committed(Write::Record);
                log::warn!(attempts = records.len(), pause:? = self.pause, error:% = error; "attempts wait to be recorded");
                let entries = records.iter().cloned().zip(senders).map(|(record, from)| Entry { record, from });
                self.open.splice(..0, entries);
                ctx.notify_later(Retry, self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Retry;

impl Handler<Retry> for Recorder {
    type Result = ();

    fn handle(&mut self, Retry: Retry, ctx: &mut Self::Context) {
        self.busy = false;
        self.flush(ctx);
    }
}
