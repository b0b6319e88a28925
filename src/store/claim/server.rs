//! The claim on a server: locks by name, each of which ends with the session that took it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel::{
    Connection, MysqlConnection, OptionalExtension, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    dsl::sql,
    select,
    sql_types::{BigInt, Nullable, Text},
};
use tokio::sync::Notify;

use crate::store::{AnyConnection, StoreError, blocking::blocking};

/// How often the claim is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A server that has not heard of the engine for so many seconds gives its claim to the next: the machine is gone, or the
/// network to it. Well above [`LOOK_EVERY`].
const LEASE: u32 = 30;
/// Seconds for which one query waits for another engine to end.
const WAIT: u32 = 1;
/// Sessions of writers that are told from each other. A pool has four; those of lost connections may linger.
const WRITERS: u32 = 64;
/// Between two looks whether the sessions of others are over.
const ENDING_PAUSE: Duration = Duration::from_millis(10);
/// Looks until it is said that some are not: 5 s.
const PATIENCE: u32 = 500;

/// The lock of the engine. Names are the server's, up to 64 characters long, and those of databases may be as long.
const ENGINE: &str = "CONCAT('postrider.engine.', MD5(DATABASE()))";

/// The lock of a session that writes.
fn writer(number: u32) -> String {
    format!("CONCAT('postrider.writer.{number}.', MD5(DATABASE()))")
}

/// The number that the server gives to a session.
type SessionId = i64;

/// A session that has, or had, the lock of the engine.
pub(super) struct Lock {
    url: String,
    session: Mutex<Option<MysqlConnection>>,
    /// The session's number and that of the one before, which the server may not know yet to be gone.
    ours: Mutex<[SessionId; 2]>,
    doubted: Notify,
    /// Sessions of this engine whose connections were lost, and which the server may still be at work for.
    lost: Mutex<Vec<Writer>>,
}

/// A session that writes, and which of the locks it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Writer {
    number: u32,
    id: SessionId,
}

impl Lock {
    /// Waits for the lock, then ends the sessions of those who had it before.
    pub(super) async fn take(url: &str) -> Result<Self, StoreError> {
        let url = url.to_owned();
        let at = url.clone();
        let (mut session, id) = blocking(move || begin(&at)).await?;
        let mut wait = 0;
        loop {
            let (back, is_taken) = blocking(move || {
                let is_taken = take_lock(&mut session, ENGINE, wait)?;
                if is_taken {
                    end_writers(&mut session)?;
                } else if wait == 0 {
                    super::tell_of(&whereabouts(&mut session)?);
                }
                Ok((session, is_taken))
            })
            .await?;
            session = back;
            if is_taken {
                break;
            }
            wait = WAIT;
        }
        Ok(Self {
            url,
            session: Mutex::new(Some(session)),
            ours: Mutex::new([id, id]),
            doubted: Notify::new(),
            lost: Mutex::default(),
        })
    }

    /// Looks after the lock until somebody else has it.
    pub(super) async fn keep(self: &Arc<Self>) {
        loop {
            // Whether it is time or somebody asked.
            tokio::time::timeout(LOOK_EVERY, self.doubted.notified()).await.unwrap_or_default();
            let lock = Arc::clone(self);
            match blocking(move || lock.is_ours()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => log::debug!(error:% = error; "whether the claim still holds is not known"),
            }
        }
    }

    /// Takes the lock again when the session was lost.
    fn is_ours(&self) -> Result<bool, StoreError> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut session) = kept.take()
            && holder(&mut session, ENGINE).is_ok_and(|holder| holder.is_some_and(|id| self.is_one_of_ours(id)))
        {
            *kept = Some(session);
            return Ok(true);
        }
        let (mut session, id) = begin(&self.url)?;
        let before = self.replace(id);
        if holder(&mut session, ENGINE)? == Some(before) {
            // The server has not noticed yet that it is gone.
            end(&mut session, before);
        }
        if take_lock(&mut session, ENGINE, WAIT)? {
            log::info!("the session of the claim was lost; the claim is held again");
            *kept = Some(session);
            return Ok(true);
        }
        Ok(holder(&mut session, ENGINE)?.is_none_or(|holder| holder == before))
    }

    /// Lets a session write: marks it with a lock, unless another engine has the claim.
    pub(super) fn admit(&self, session: &mut MysqlConnection) -> Result<Writer, StoreError> {
        if holder(session, ENGINE)?.is_some_and(|holder| !self.is_one_of_ours(holder)) {
            self.doubted.notify_one();
            return Err(StoreError::Unavailable("another engine has taken over".to_owned()));
        }
        for number in 0..WRITERS {
            if take_lock(session, &writer(number), 0)? {
                return Ok(Writer { number, id: id_of(session)? });
            }
        }
        Err(StoreError::Unavailable(format!("{WRITERS} sessions of writers linger at the server")))
    }

    /// The connection of a session was lost: what it was sent last may yet be carried out.
    pub(super) fn note_lost(&self, writer: Writer) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
        // That of the claim may be lost, too.
        self.doubted.notify_one();
    }

    /// Ends what lost sessions are still at work for, before anything is read or written in `session`.
    pub(super) fn settle(&self, session: &mut MysqlConnection) -> QueryResult<()> {
        let first = || self.lost.lock().unwrap_or_else(PoisonError::into_inner).first().copied();
        while let Some(lost) = first() {
            let name = writer(lost.number);
            end_all(session, |session| Ok(holder(session, &name)?.filter(|id| *id == lost.id).into_iter().collect()))?;
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != lost);
        }
        Ok(())
    }

    fn is_one_of_ours(&self, id: SessionId) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Notes the number of the new session, gives that of the one before.
    fn replace(&self, id: SessionId) -> SessionId {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let [before, _] = *ours;
        *ours = [id, before];
        before
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

/// Opens a session that ends when nothing is heard of it.
fn begin(url: &str) -> Result<(MysqlConnection, SessionId), StoreError> {
    let mut session = MysqlConnection::establish(url)?;
    session.batch_execute(&format!("SET SESSION wait_timeout = {LEASE}"))?;
    let id = id_of(&mut session)?;
    Ok((session, id))
}

fn id_of(session: &mut MysqlConnection) -> QueryResult<SessionId> {
    select(sql::<BigInt>("CONNECTION_ID()")).get_result(session)
}

/// Whether the session has the lock now; waits for so many seconds.
fn take_lock(session: &mut MysqlConnection, name: &str, wait: u32) -> QueryResult<bool> {
    let taken: Option<i64> =
        select(sql::<Nullable<BigInt>>(&format!("GET_LOCK({name}, {wait})"))).get_result(session)?;
    Ok(taken == Some(1))
}

/// Who has a lock.
fn holder(session: &mut MysqlConnection, name: &str) -> QueryResult<Option<SessionId>> {
    select(sql::<Nullable<BigInt>>(&format!("IS_USED_LOCK({name})"))).get_result(session)
}

/// Where the engine is that has the claim, as far as the server tells.
fn whereabouts(session: &mut MysqlConnection) -> QueryResult<String> {
    let query = format!("host FROM information_schema.processlist WHERE id = IS_USED_LOCK({ENGINE})");
    let host: Option<String> = select(sql::<Text>(&query)).get_result(session).optional()?;
    Ok(host.map_or_else(|| "unknown to this user of the database".to_owned(), |host| format!("at {host}")))
}

/// Ends the sessions in which others write.
fn end_writers(session: &mut MysqlConnection) -> QueryResult<()> {
    let names: Vec<_> = (0..WRITERS).map(|number| format!("SELECT IS_USED_LOCK({}) AS id", writer(number))).collect();
    let query = format!("id FROM ({}) AS writers WHERE id IS NOT NULL", names.join(" UNION ALL "));
    end_all(session, |session| select(sql::<BigInt>(&query)).load(session))
}

/// Ends the sessions that `look` finds, until it finds none. What they have written is kept or undone as a whole by then.
fn end_all(
    session: &mut MysqlConnection,
    look: impl Fn(&mut MysqlConnection) -> QueryResult<Vec<SessionId>>,
) -> QueryResult<()> {
    for looks in 1.. {
        let left = look(session)?;
        if left.is_empty() {
            break;
        }
        for id in &left {
            end(session, *id);
        }
        if looks % PATIENCE == 0 {
            log::warn!(sessions:? = left; "waiting for sessions at the database to end, which wrote before");
        }
        pause();
    }
    Ok(())
}

/// Ends a session. One that is gone, or belongs to another user, is not ours to end.
fn end(session: &mut MysqlConnection, id: SessionId) {
    if let Err(error) = session.batch_execute(&format!("KILL {id}")) {
        log::debug!(session = id, error:% = error; "a session was not ended");
    }
}

#[expect(clippy::disallowed_methods, reason = "this is a thread that may block")]
fn pause() {
    std::thread::sleep(ENDING_PAUSE);
}
