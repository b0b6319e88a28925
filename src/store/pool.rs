//! `Store::run`: the one door to blocking work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel::result::Error as DieselError;
use tokio::{
    select,
    sync::{Notify, Semaphore},
    time::Instant,
};

#[cfg(feature = "sqlite")]
use super::checkpoint;
use super::{
    Lease, Queried,
    blocking::{blocking, pause},
    connection::{self, AnyConnection, DatabaseUrl},
    errand::{Carrier, Errand, Known},
    error::{StoreError, Trouble, trouble},
    keyring::Keyring,
    lease::Session,
    transaction::is_stuck,
};

/// Connections that only read.
const READERS: usize = 4;
/// How often a transaction is run again after a deadlock or the like.
const RERUNS: u32 = 6;
/// The wait before the first rerun; it doubles each time.
const RERUN_PAUSE: Duration = Duration::from_millis(2);

/// What a piece of work does to the database. On SQLite all writers share one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// It changes something.
    Write,
    /// It only reads.
    Read,
    /// It copies `SQLite`'s log into the file, beside a writer.
    Checkpoint,
}

/// A handle to the database; cloning it shares the connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    keys: Keyring,
    lease: Option<Lease>,
    writers: Pool,
    readers: Pool,
    copier: Pool,
    written: Notify,
    unsure: Arc<Notify>,
}

/// Connections that are not in use, and as many permits as there may be connections.
struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Open>>,
}

/// A connection, how the lease knows it, and when it was used last.
struct Open {
    connection: AnyConnection,
    session: Option<Session>,
    used_at: Instant,
}

impl Store {
    /// A store that connects when it is first used. What it holds of secrets is sealed and opened with `keys`.
    #[must_use]
    pub fn new(url: DatabaseUrl, keys: Keyring) -> Self {
        Self::leased(url, keys, None)
    }

    /// The same for an engine, which writes only while it has the lease.
    #[must_use]
    pub fn leased(url: DatabaseUrl, keys: Keyring, lease: Option<Lease>) -> Self {
        let [writers, readers, copier] = [url.writers(), READERS, 1].map(Pool::new);
        Self {
            inner: Arc::new(Inner {
                url,
                keys,
                lease,
                writers,
                readers,
                copier,
                written: Notify::new(),
                unsure: Arc::default(),
            }),
        }
    }

    /// Brings the tables up to this version; gives the names of the migrations that were run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without a connection or room, [`StoreError::Corrupt`] when a migration fails.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let url = self.inner.url.clone();
        blocking(move || connection::migrate(&mut url.connect()?)).await
    }

    /// Whether an attempt may start: nothing speaks for another engine that delivers the same, now or soon.
    #[must_use]
    pub fn may_deliver(&self) -> bool {
        self.inner.lease.as_ref().is_none_or(Lease::is_sure)
    }

    /// The keys, for work that reads or writes secrets.
    #[must_use]
    pub fn keys(&self) -> Keyring {
        self.inner.keys.clone()
    }

    /// Whether `SQLite` keeps a log of what is written.
    #[cfg(feature = "sqlite")]
    pub(super) fn has_log(&self) -> bool {
        self.inner.url.has_log()
    }

    /// Waits until something was written since it was last waited for.
    #[cfg(feature = "sqlite")]
    pub(super) async fn written(&self) {
        self.inner.written.notified().await;
    }

    /// Runs `work` on a connection of `lane`, on a thread that may block.
    ///
    /// `work` is run again when the database asks for it (a deadlock, a lock wait), and once more on a new connection when
    /// its own was lost: then it may have taken effect already, so work that must not happen twice has to notice. An engine's
    /// work is given up when the server will never answer it (`errand`).
    ///
    /// # Errors
    /// What `work` met at its last run; [`StoreError::Unavailable`] when it was given up.
    pub async fn run<T, F>(&self, lane: Lane, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut AnyConnection) -> Queried<T> + Send + 'static,
    {
        let permits = Arc::clone(&self.inner.pool(lane).permits);
        let permit = permits.acquire_owned().await.expect("the permits are never closed");
        let unsure = (lane == Lane::Write).then(|| Arc::clone(&self.inner.unsure));
        let errand = Arc::new(Errand::begin(permit, unsure));
        if let Some(lease) = &self.inner.lease {
            lease.watch(&errand);
        }
        let (inner, carrier) = (Arc::clone(&self.inner), Carrier(Arc::clone(&errand)));
        let done = blocking(move || inner.run(lane, work, &carrier.0));
        let mut waiting = Waiting { errand: &errand, known: Known::No };
        let done = select! {
            biased;
            done = done => done,
            () = errand.given_up() => Err(unanswered()),
        };
        let is_failed = matches!(done, Err(StoreError::Unavailable(_)));
        waiting.known = if is_failed { Known::Failed } else { Known::Yes };
        done
    }

    /// Waits until it is not known of a write, since it was last waited for, whether it took effect, or nobody was there any more to
    /// hear of it.
    pub async fn unsure(&self) {
        self.inner.unsure.notified().await;
    }
}

/// Whoever waits for an errand. One who goes away before, as a client of the API may, is dropped.
struct Waiting<'a> {
    errand: &'a Errand,
    known: Known,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.errand.leave(self.known);
    }
}

impl Inner {
    const fn pool(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Write => &self.writers,
            Lane::Read => &self.readers,
            Lane::Checkpoint => &self.copier,
        }
    }

    /// A connection that was not in use, or a new one, for `errand`. What lost connections were sent is over.
    fn open(&self, lane: Lane, errand: &Errand) -> Result<Open, StoreError> {
        let used_at = Instant::now();
        let Some(lease) = &self.lease else {
            let idle = self.pool(lane).take().map_or_else(|| self.url.connect(), |open| Ok(open.connection));
            return Ok(Open { connection: idle?, session: None, used_at });
        };
        let going_on = || StoreError::Unavailable("a transaction whose connection was lost goes on".to_owned());
        // Whoever was given up leaves a connection to itself: its successors have theirs.
        let enter = |session| if errand.enter(session) { Ok(()) } else { Err(unanswered()) };
        while let Some(mut open) = self.pool(lane).take() {
            if !lease.trusts(open.used_at) {
                // The server may not hear that it is closed.
                open.session.and_then(|session| session.writer).into_iter().for_each(|writer| lease.note_left(writer));
                continue;
            }
            enter(open.session)?;
            match lease.settle(&mut open.connection) {
                Ok(true) => return Ok(open),
                Ok(false) => {
                    self.give_back(lane, open);
                    return Err(going_on());
                }
                Err(_) => self.lose(open),
            }
        }
        enter(None)?;
        let mut connection = self.url.connect()?;
        if !lease.settle(&mut connection)? {
            return Err(going_on());
        }
        let session = lease.admit(&mut connection, lane == Lane::Write)?;
        enter(session)?;
        Ok(Open { connection, session, used_at })
    }

    /// A connection was lost, and most likely all others together with it.
    fn lose(&self, open: Open) {
        let idle = [&self.writers, &self.readers, &self.copier].into_iter().flat_map(Pool::drain);
        for Open { session, .. } in idle.chain([open]) {
            if let (Some(lease), Some(writer)) = (&self.lease, session.and_then(|session| session.writer)) {
                lease.note_lost(writer);
            }
        }
    }

    /// A connection is not in use any more. One whose transaction could not be ended is lost.
    fn give_back(&self, lane: Lane, mut open: Open) {
        if is_stuck(&mut open.connection) {
            self.lose(open);
        } else {
            self.pool(lane).give_back(open);
        }
    }

    fn run<T>(
        &self,
        lane: Lane,
        mut work: impl FnMut(&mut AnyConnection) -> Queried<T>,
        errand: &Errand,
    ) -> Result<T, StoreError> {
        let mut reruns = 0;
        let mut is_lost = false;
        loop {
            let mut open = self.open(lane, errand)?;
            let done = work(&mut open.connection);
            if !errand.enter(None) {
                // Nobody waits any more, and the session is to be ended: the lease knows.
                return Err(unanswered());
            }
            let error = match done {
                Ok(value) => {
                    self.give_back(lane, open);
                    if lane == Lane::Write {
                        self.written.notify_one();
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            match trouble(&error) {
                Trouble::Transient if reruns < RERUNS => {
                    self.give_back(lane, open);
                    pause(RERUN_PAUSE * 2_u32.pow(reruns));
                    reruns += 1;
                }
                Trouble::Lost => {
                    errand.may_have_happened();
                    self.lose(open);
                    if is_lost {
                        return Err(error.into());
                    }
                    is_lost = true;
                }
                #[cfg(feature = "sqlite")]
                Trouble::Full if lane == Lane::Write => {
                    checkpoint::make_room(&mut open.connection);
                    self.give_back(lane, open);
                    return Err(error.into());
                }
                Trouble::Transient | Trouble::Full | Trouble::Lasting => {
                    self.give_back(lane, open);
                    return Err(log_if_unexpected(error));
                }
            }
        }
    }
}

/// Why an errand was given up.
fn unanswered() -> StoreError {
    StoreError::Unavailable("it does not answer on a connection".to_owned())
}

/// The caller answers with a fixed sentence; the source is told here, once.
fn log_if_unexpected(error: DieselError) -> StoreError {
    let error = StoreError::from(error);
    if let StoreError::Corrupt(text) = &error {
        log::error!(error = text.as_str(); "the database holds or refuses something unexpected");
    }
    error
}

impl Pool {
    fn new(connections: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(connections)), idle: Mutex::new(Vec::new()) }
    }

    fn take(&self) -> Option<Open> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, open: Open) {
        let open = Open { used_at: Instant::now(), ..open };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(open);
    }

    fn drain(&self) -> Vec<Open> {
        std::mem::take(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
