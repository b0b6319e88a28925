//! The lease of a database on a server: locks by name, each of which ends with the session that took it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diesel::{
    Connection, ExpressionMethods, MysqlConnection, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    dsl::sql,
    replace_into, select,
    sql_types::{BigInt, Text},
};
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::{
    Session,
    unanswered::{Errands, give_up_unanswered, server_since},
    writers::{WRITERS, Writer, end, end_all, end_writers, writer},
};
use crate::store::{
    AnyConnection, StoreError,
    blocking::blocking,
    errand::Errand,
    named_lock::{NamedLock, SILENCE, SessionId, end_when_silent},
    schema::leases,
};

/// How often the lease is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look that lasts longer is given up.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// To ask what became of sessions must not keep the next look waiting for longer.
const ASK_WITHIN: Duration = Duration::from_secs(3);
/// After so long without a word from the server the lease counts as lost until it is confirmed: [`LOOK_EVERY`] and
/// [`LOOK_WITHIN`], which leaves half of [`SILENCE`] to what is in flight.
const SURE_FOR: Duration = Duration::from_secs(15);
const _: () = assert!(SURE_FOR.as_secs() * 2 <= SILENCE.as_secs());
/// Seconds for which one query waits for another engine to end.
const WAIT: u32 = 1;
/// Until the server is asked again that was away while this engine stood by.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// A connection that was not used for so long is not used again: firewalls forget idle ones, some after minutes.
const IDLE_FOR: Duration = Duration::from_mins(1);

/// The one row of `leases`.
const ROW: i16 = 1;

/// The lock of the engine.
fn engine() -> NamedLock {
    NamedLock::of_database("engine")
}

/// The lock of the engine, and the session that has it or had it.
pub(super) struct Lock {
    url: String,
    /// Taken out by whoever uses it, so that nobody waits for the network behind this.
    session: Mutex<Option<MysqlConnection>>,
    /// Tells this engine from those before and after it.
    token: i64,
    doubted: Notify,
    /// How many looks have begun.
    looks: AtomicU64,
    /// When the server confirmed the lease last, in milliseconds since this was made.
    confirmed: AtomicU64,
    made_at: Instant,
    /// Sessions of this engine whose connections were lost, and which the server may still be at work for.
    lost: Mutex<Vec<Writer>>,
    errands: Errands,
    /// When one of them was given up last, in milliseconds since this was made.
    gave_up_at: AtomicU64,
}

impl Lock {
    /// Waits for the lock. A server that goes away meanwhile is waited for, too.
    pub(super) async fn take(url: &str) -> Result<Self, StoreError> {
        let mut session = None;
        let (mut stands_by, mut is_told) = (false, false);
        loop {
            let (at, kept, wait) = (url.to_owned(), session.take(), if stands_by { WAIT } else { 0 });
            let tried = blocking(move || {
                let mut session = kept.map_or_else(|| begin(&at), Ok)?;
                let is_taken = engine().take(&mut session, wait)?;
                if !is_taken && wait == 0 {
                    super::tell_of(&whereabouts(&mut session)?);
                }
                Ok((session, is_taken))
            });
            match in_time(tried).await {
                Ok((session, true)) => return Ok(Self::with(url.to_owned(), session)),
                Ok((unlucky, false)) => {
                    session = Some(unlucky);
                    (stands_by, is_told) = (true, false);
                }
                Err(error @ StoreError::Unavailable(_)) if stands_by => {
                    if !std::mem::replace(&mut is_told, true) {
                        log::warn!(error:% = error; "standing by for a database that is away");
                    }
                    time::sleep(AWAY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn with(url: String, session: MysqlConnection) -> Self {
        Self {
            url,
            session: Mutex::new(Some(session)),
            token: rand::random(),
            doubted: Notify::new(),
            looks: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            made_at: Instant::now(),
            lost: Mutex::default(),
            errands: Errands::default(),
            gave_up_at: AtomicU64::new(0),
        }
    }

    /// From now on the token says that this engine may write. Sessions that were let in before that are ended: one that takes
    /// its lock later finds the token.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<(), StoreError> {
        let lock = Arc::clone(self);
        in_time(blocking(move || lock.with_session(|session| lock.leave_token(session)))).await?;
        while !self.end_others().await? {}
        Ok(())
    }

    /// Ends the sessions in which others write, and waits for them for 5 s; whether they are over.
    pub(super) async fn end_others(self: &Arc<Self>) -> Result<bool, StoreError> {
        let lock = Arc::clone(self);
        in_time(blocking(move || lock.with_session(end_writers))).await
    }

    /// In the session that has the lock: one that has lost it leaves nothing.
    fn leave_token(&self, session: &mut MysqlConnection) -> Result<(), StoreError> {
        let row = (leases::id.eq(ROW), leases::token.eq(self.token));
        Ok(replace_into(leases::table).values(row).execute(session).map(drop)?)
    }

    /// Does something in the session that has the lock.
    fn with_session<T>(
        &self,
        work: impl FnOnce(&mut MysqlConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lost = || StoreError::Unavailable("the session of the lease was lost".to_owned());
        let mut session = self.session().take().ok_or_else(lost)?;
        let done = work(&mut session)?;
        self.session().get_or_insert(session);
        Ok(done)
    }

    /// Has the server hear of the session while migrations run; ends when it is lost.
    pub(super) async fn beat(self: &Arc<Self>) -> StoreError {
        loop {
            time::sleep(LOOK_EVERY).await;
            let lock = Arc::clone(self);
            let heard = blocking(move || lock.with_session(|session| Ok(session.batch_execute("DO 1")?)));
            if let Err(error) = in_time(heard).await {
                return error;
            }
        }
    }

    /// Looks after the lock until another engine has the lease.
    pub(super) async fn keep(self: &Arc<Self>) {
        self.confirm(self.age());
        let mut was_sure = true;
        loop {
            let is_doubted = time::timeout(LOOK_EVERY, self.doubted.notified()).await.is_ok();
            let (lock, number) = (Arc::clone(self), self.looks.fetch_add(1, Ordering::Relaxed) + 1);
            let began_at = self.age();
            match time::timeout(LOOK_WITHIN, blocking(move || lock.is_ours(number, is_doubted))).await {
                Ok(Ok(true)) => {
                    self.confirm(began_at);
                    self.give_up_unanswered().await;
                }
                Ok(Ok(false)) => return,
                Ok(Err(error)) => log::debug!(error:% = error; "whether the lease still holds is not known"),
                Err(_) => log::debug!("the database does not say whether the lease still holds"),
            }
            let is_sure = self.is_sure();
            if std::mem::replace(&mut was_sure, is_sure) != is_sure {
                log::warn!(is_sure; "whether the lease holds: without it no attempt starts");
            }
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.made_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn confirm(&self, at: u64) {
        self.confirmed.store(at, Ordering::Relaxed);
    }

    /// Whether the server confirmed the lease lately. Asked each time: an engine that was frozen knows at once when it wakes.
    pub(super) fn is_sure(&self) -> bool {
        Duration::from_millis(self.age().saturating_sub(self.confirmed.load(Ordering::Relaxed))) < SURE_FOR
    }

    /// Takes the lock again when the session was lost; whether no other engine has entered upon the lease since. `number` is that
    /// of the look: one that was given up ends nobody's session and keeps none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that is not known.
    fn is_ours(&self, number: u64, is_doubted: bool) -> Result<bool, StoreError> {
        let kept = self.session().take();
        if let Some(mut session) = kept
            && has_lock(&mut session).is_ok_and(|has_lock| has_lock)
        {
            let is_there = if is_doubted { self.is_where_others_look(&mut session) } else { Ok(true) };
            if !matches!(is_there, Ok(false)) {
                self.session().get_or_insert(session);
                return is_there;
            }
        }
        let mut session = begin(&self.url)?;
        if !self.may_write(&mut session)? {
            return Ok(false);
        }
        let is_late = || self.looks.load(Ordering::Relaxed) != number;
        let unknown = |why: &str| Err(StoreError::Unavailable(why.to_owned()));
        if let Some(id) = engine().holder(&mut session)? {
            if is_late() {
                return unknown("the look was given up");
            }
            // Its own session before, of which the server has not noticed that it is gone; or an engine that waits and was
            // quicker, but has not entered yet.
            end(&mut session, id).ok();
        }
        if !engine().take(&mut session, WAIT)? {
            // The next look will.
            self.doubted.notify_one();
            return unknown("another session has the lock");
        }
        if !self.may_write(&mut session)? {
            return Ok(false);
        }
        if is_late() {
            return unknown("the look was given up");
        }
        log::info!("the session of the lease was lost; the lease is held again");
        *self.session() = Some(session);
        Ok(true)
    }

    /// Whether the lock is held at the server to which the URL leads: after a failover it may be another one.
    fn is_where_others_look(&self, session: &mut MysqlConnection) -> Result<bool, StoreError> {
        let (id, mut other) = (id_of(session)?, begin(&self.url)?);
        // At another server somebody else may have the same number.
        Ok(engine().holder(&mut other)? == Some(id) && self.may_write(&mut other)?)
    }

    /// Whether no other engine has entered upon the lease.
    fn may_write(&self, session: &mut MysqlConnection) -> QueryResult<bool> {
        let token: Option<i64> = leases::table.find(ROW).select(leases::token).first(session).optional()?;
        Ok(token == Some(self.token))
    }

    /// A session that begins, and if it `writes` is let in.
    pub(super) fn admit(&self, session: &mut MysqlConnection, writes: bool) -> Result<Session, StoreError> {
        let (id, server_since) = (id_of(session)?, server_since(session)?);
        Ok(Session { id, writer: writes.then(|| self.let_write(session, id)).transpose()?, server_since })
    }

    /// Lets a session write. First it is marked with a lock: whoever enters upon the lease either sees that, or is seen here.
    fn let_write(&self, session: &mut MysqlConnection, id: SessionId) -> Result<Writer, StoreError> {
        let number = (0..WRITERS).find_map(|number| match writer(number).take(session, 0) {
            Ok(false) => None,
            Ok(true) => Some(Ok(number)),
            Err(error) => Some(Err(error)),
        });
        let Some(number) = number.transpose()? else {
            return Err(StoreError::Unavailable(format!("{WRITERS} sessions of writers linger at the server")));
        };
        let may_write = self.may_write(session)?;
        if !may_write || engine().holder(session)?.is_none() {
            self.doubted.notify_one();
        }
        if !may_write {
            return Err(StoreError::Unavailable("another engine has taken over".to_owned()));
        }
        Ok(Writer { number, id })
    }

    pub(super) fn watch(&self, errand: &Arc<Errand>) {
        self.errands.add(errand);
    }

    /// Whether a connection that was last used then is most likely still good: networks forget those that are idle, and when one
    /// has gone dead others have, too.
    pub(super) fn trusts(&self, used_at: Instant) -> bool {
        let used = u64::try_from((used_at - self.made_at).as_millis()).unwrap_or(u64::MAX);
        used_at.elapsed() < IDLE_FOR && used >= self.gave_up_at.load(Ordering::Relaxed)
    }

    /// Has errands given up that the server will not answer, when there are some that take long. In a session of its own: whatever
    /// comes of it, the lease is none the worse.
    async fn give_up_unanswered(self: &Arc<Self>) {
        let old = self.errands.old();
        if old.is_empty() {
            return;
        }
        let lock = Arc::clone(self);
        let asked = blocking(move || {
            let lost = |session: Session| {
                lock.gave_up_at.store(lock.age(), Ordering::Relaxed);
                lock.lost().extend(session.writer);
            };
            Ok(give_up_unanswered(old, &mut begin(&lock.url)?, lost)?)
        });
        let silent = |_| Err(StoreError::Unavailable("it does not answer".to_owned()));
        if let Err(error) = time::timeout(ASK_WITHIN, asked).await.unwrap_or_else(silent) {
            log::warn!(error:% = error; "whether the database will answer everybody is not known");
        }
    }

    /// A session that is not used any more, and of which the server may not know that.
    pub(super) fn note_left(&self, writer: Writer) {
        self.lost().push(writer);
    }

    /// The connection of a session was lost: what it was sent last may yet be carried out.
    pub(super) fn note_lost(&self, writer: Writer) {
        self.lost().push(writer);
        // That of the lease may be lost, too.
        self.doubted.notify_one();
    }

    /// Ends what lost sessions are still at work for, before anything is read or written in `session`; whether all are over.
    pub(super) fn settle(&self, session: &mut MysqlConnection) -> Result<bool, StoreError> {
        loop {
            let Some(lost) = self.lost().first().copied() else { return Ok(true) };
            let name = writer(lost.number);
            let look = |session: &mut _| Ok(name.holder(session)?.filter(|id| *id == lost.id).into_iter().collect());
            if !end_all(session, look)? {
                return Ok(false);
            }
            self.lost().retain(|other| *other != lost);
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<MysqlConnection>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> MutexGuard<'_, Vec<Writer>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session of a connection to a server.
pub(super) fn session_of(connection: &mut AnyConnection) -> Option<&mut MysqlConnection> {
    match connection {
        AnyConnection::Mysql(session) => Some(session),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(_) => None,
    }
}

/// What a server says within [`LOOK_WITHIN`]: one that vanished does not even refuse.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| Err(StoreError::Unavailable("the database does not answer".to_owned()));
    time::timeout(LOOK_WITHIN, asked).await.unwrap_or_else(silent)
}

/// Opens a session that ends when nothing is heard of it.
fn begin(url: &str) -> Result<MysqlConnection, StoreError> {
    let mut session = MysqlConnection::establish(url)?;
    end_when_silent(&mut session)?;
    Ok(session)
}

fn id_of(session: &mut MysqlConnection) -> QueryResult<SessionId> {
    select(sql::<BigInt>("CONNECTION_ID()")).get_result(session)
}

/// Whether the session has the lock of the engine.
fn has_lock(session: &mut MysqlConnection) -> QueryResult<bool> {
    let query = format!("COALESCE({} = CONNECTION_ID(), 0)", engine().holder_sql());
    Ok(select(sql::<BigInt>(&query)).get_result::<i64>(session)? == 1)
}

/// Where the engine is that has the lease, as far as the server tells.
fn whereabouts(session: &mut MysqlConnection) -> QueryResult<String> {
    let query = format!("host FROM information_schema.processlist WHERE id = {}", engine().holder_sql());
    let host: Option<String> = select(sql::<Text>(&query)).get_result(session).optional()?;
    Ok(host.map_or_else(|| "unknown to this user of the database".to_owned(), |host| format!("at {host}")))
}
