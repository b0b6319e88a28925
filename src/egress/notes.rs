//! What attempts meet on their way, noted by whoever meets it.
//!
//! awc stands between an attempt and the connection that serves it, and says nothing of which one that is. But it does all
//! its work for an attempt while the attempt is polled (but for HTTP/2, whose connections are polled by themselves). So the
//! trace of the attempt that is being polled lies open here, for the dialler and the lines of this thread to write in.

use std::{cell::Cell, future::Future, pin::pin, rc::Rc};

use futures_util::future::poll_fn;

use crate::domain::trace::Trace;

/// The open trace of one thread. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Notes(Rc<Cell<Trace>>);

impl Notes {
    /// Does `work`, and has everybody write into `trace` as long as it is worked at. What is noted is there also when the
    /// work is given up.
    pub(super) async fn of<T>(&self, trace: &Cell<Trace>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let other = self.0.replace(trace.take());
            let polled = work.as_mut().poll(cx);
            trace.set(self.0.replace(other));
            polled
        })
        .await
    }

    /// Writes into the open trace.
    pub(super) fn note(&self, write: impl FnOnce(&mut Trace)) {
        let mut trace = self.0.take();
        write(&mut trace);
        self.0.set(trace);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[actix_rt::test]
    async fn each_attempt_has_a_trace_of_its_own() {
        let notes = Notes::default();
        let (one, two) = (Cell::default(), Cell::default());
        let write = |ms| {
            let notes = notes.clone();
            async move {
                sleep(Duration::from_millis(ms)).await;
                notes.note(|trace| trace.dns = Some(Duration::from_millis(ms)));
                sleep(Duration::from_millis(ms)).await;
            }
        };
        join(notes.of(&one, write(4)), notes.of(&two, write(3))).await;
        let dns = |trace: &Cell<Trace>| trace.take().dns;
        assert_eq!((dns(&one), dns(&two)), (Some(Duration::from_millis(4)), Some(Duration::from_millis(3))));
        assert_eq!(notes.0.take(), Trace::default(), "none is open any more");
    }

    #[actix_rt::test]
    async fn what_is_noted_stays_when_the_work_is_given_up() {
        let (notes, trace) = (Notes::default(), Cell::default());
        let work = async {
            notes.note(|trace| trace.tls = Some(Duration::ZERO));
            std::future::pending::<()>().await;
        };
        timeout(Duration::from_millis(1), notes.of(&trace, work)).await.expect_err("it never ends");
        assert_eq!(trace.take().tls, Some(Duration::ZERO));
    }
}
