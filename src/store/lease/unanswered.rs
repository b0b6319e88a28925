//! Which jobs wait for an answer that will not come: their sessions are gone, or wait for us.
//!
//! The server is asked in another session, whose connection is known to work. A session that carries out a statement, however
//! long, is left alone.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use diesel::{MysqlConnection, QueryResult, RunQueryDsl, dsl::sql, select, sql_types::BigInt};

use super::writers::Writer;
use crate::store::{job::Job, named_lock::SessionId};

/// A session that has nothing to do for so long, while a job works in it, has not heard of it. Between two statements of a job
/// there are milliseconds.
const QUIET: Duration = Duration::from_secs(10);
/// To get a session takes no longer, also if those of lost connections have to be ended before.
const CONNECTING: Duration = Duration::from_secs(30);
/// Jobs that are over are forgotten when there are so many.
const MANY: usize = 64;

/// Jobs under way, and some that are over.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Vec<Weak<Job>>>);

impl Jobs {
    /// One more.
    pub(super) fn add(&self, job: &Arc<Job>) {
        let mut jobs = self.jobs();
        if jobs.len() >= MANY {
            jobs.retain(|job| job.strong_count() > 0);
        }
        jobs.push(Arc::downgrade(job));
    }

    /// Gives up those that were unanswered at the last look, too. What they wrote in is told to `lost` before another job takes
    /// their place.
    pub(super) fn give_up_unanswered(&self, session: &mut MysqlConnection, lost: impl Fn(Writer)) -> QueryResult<()> {
        let under_way: Vec<_> = self.jobs().iter().filter_map(Weak::upgrade).collect();
        let old = under_way.into_iter().filter_map(|job| {
            let seen = job.sight()?;
            let is_old = seen.age >= if seen.session.is_some() { QUIET } else { CONNECTING };
            is_old.then_some((job, seen))
        });
        let old: Vec<_> = old.collect();
        let sessions: Vec<SessionId> = old.iter().filter_map(|(_, seen)| Some(seen.session?.id)).collect();
        let busy = busy(session, &sessions)?;
        for (job, seen) in old {
            if seen.session.is_some_and(|session| busy.contains(&session.id)) {
                job.trust(seen);
            } else if job.doubt(seen, || seen.session.and_then(|session| session.writer).into_iter().for_each(&lost)) {
                let (session, age) = (seen.session.map(|session| session.id), seen.age);
                log::warn!(session:?, age:?; "the database does not answer on a connection; what waits there is given up");
            }
        }
        Ok(())
    }

    /// Nobody leaves them half changed.
    fn jobs(&self) -> MutexGuard<'_, Vec<Weak<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of the sessions that have something to do, or had a moment ago.
fn busy(session: &mut MysqlConnection, asked: &[SessionId]) -> QueryResult<Vec<SessionId>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let query = format!(
        "id FROM information_schema.processlist WHERE id IN ({}) AND (command <> 'Sleep' OR time < {})",
        ids.join(", "),
        QUIET.as_secs()
    );
    select(sql::<BigInt>(&query)).load(session)
}
