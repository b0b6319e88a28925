//! Which errands wait for an answer that will not come: their sessions are gone, or wait for us.
//!
//! The server is asked in another session. A session that carries out a statement, however
//! long, is left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use diesel::{
    MysqlConnection, QueryResult, QueryableByName, RunQueryDsl,
    dsl::sql,
    select, sql_query,
    sql_types::{BigInt, Text},
};

use super::{Session, writers::end};
use crate::store::{
    errand::{Errand, Sighting},
    named_lock::SessionId,
};

/// So young errands are not looked at.
const YOUNG: Duration = Duration::from_secs(10);
/// A session that waits for so long for an errand has not heard of it: between two statements there are milliseconds, and so long
/// must a statement of 4 MiB, or the end of what it gives, be on its way.
const IDLE: Duration = Duration::from_secs(20);
/// To get a session takes no longer, also if those of lost connections have to be ended before.
const CONNECTING: Duration = Duration::from_secs(30);
/// It is asked again after so long before an errand is given up.
const PATIENCE: Duration = Duration::from_secs(4);
/// A server tells for how many seconds it has been up, and the next second may begin before it tells the time.
const ABOUT: u64 = 2;
/// Errands that are over are forgotten when there are so many.
const MANY: usize = 64;

/// Errands under way, and some that are over.
#[derive(Default)]
pub(super) struct Errands(Mutex<Vec<Weak<Errand>>>);

/// An errand that takes long.
pub(super) type Old = (Arc<Errand>, Sighting);

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has something to do, or had lately.
    Busy,
    /// It waits for us.
    Idle,
    /// It has ended.
    Gone,
    /// The server has begun anew since.
    OfBefore,
}

impl Errands {
    /// One more.
    pub(super) fn add(&self, errand: &Arc<Errand>) {
        let mut errands = self.errands();
        if errands.len() >= MANY {
            errands.retain(|errand| errand.strong_count() > 0);
        }
        errands.push(Arc::downgrade(errand));
    }

    /// Those that take long.
    pub(super) fn old(&self) -> Vec<Old> {
        let under_way: Vec<_> = self.errands().iter().filter_map(Weak::upgrade).collect();
        let seen = under_way.into_iter().filter_map(|errand| errand.sight().map(|seen| (errand, seen)));
        let limit = |seen: &Sighting| if seen.session.is_some() { YOUNG } else { CONNECTING };
        seen.filter(|(_, seen)| seen.since.elapsed() >= limit(seen)).collect()
    }

    /// Nobody leaves them half changed.
    fn errands(&self) -> MutexGuard<'_, Vec<Weak<Errand>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives up those of `old` that were unanswered before, too. Before another errand gets the permit of one, `lost` is told its session.
pub(super) fn give_up_unanswered(
    old: Vec<Old>,
    session: &mut MysqlConnection,
    lost: impl Fn(Session),
) -> QueryResult<()> {
    let since = server_since(session)?;
    let ids: Vec<SessionId> = old.iter().filter_map(|(_, seen)| Some(seen.session?.id)).collect();
    let present = present(session, &ids)?;
    for (errand, seen) in old {
        let fate = match seen.session {
            None => Fate::Gone,
            Some(of_before) if are_different(of_before.server_since, since) => Fate::OfBefore,
            Some(at_work) => present.get(&at_work.id).copied().unwrap_or(Fate::Gone),
        };
        if fate == Fate::Busy {
            errand.trust(seen);
            continue;
        }
        if !errand.doubt(seen, PATIENCE, || seen.session.into_iter().for_each(&lost)) {
            continue;
        }
        let (id, age) = (seen.session.map_or(0, |session| session.id), seen.since.elapsed());
        log::warn!(session = id, fate:?, age:?; "the database does not answer on a connection; what waits there is given up");
        if fate == Fate::Idle {
            // It may hold locks. It may also be of another user.
            end(session, id).ok();
        }
    }
    Ok(())
}

/// What the sessions do that are still there.
fn present(session: &mut MysqlConnection, asked: &[SessionId]) -> QueryResult<HashMap<SessionId, Fate>> {
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let query = format!(
        "id, (command = 'Sleep' AND time >= {}) AS is_idle FROM information_schema.processlist WHERE id IN ({})",
        IDLE.as_secs(),
        ids.join(", ")
    );
    let rows: Vec<(i64, i64)> = select(sql::<(BigInt, BigInt)>(&query)).load(session)?;
    Ok(rows.into_iter().map(|(id, is_idle)| (id, if is_idle == 0 { Fate::Busy } else { Fate::Idle })).collect())
}

#[derive(QueryableByName)]
struct Uptime {
    #[diesel(sql_type = Text, column_name = "Value")]
    seconds: String,
}

/// When the server began, in seconds since 1970 by its own clock, give or take one; also if that clock was set since. `None` when it
/// tells what makes no sense.
pub(super) fn server_since(session: &mut MysqlConnection) -> QueryResult<Option<i64>> {
    let uptime: Uptime = sql_query("SHOW GLOBAL STATUS LIKE 'Uptime'").get_result(session)?;
    let now: i64 = select(sql::<BigInt>("UNIX_TIMESTAMP()")).get_result(session)?;
    Ok(uptime.seconds.parse().ok().map(|seconds: i64| now - seconds))
}

/// Whether it is sure that these are two lives of a server.
fn are_different(one: Option<i64>, other: Option<i64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.abs_diff(other) > ABOUT)
}
