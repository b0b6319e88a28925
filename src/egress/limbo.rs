//! Where tasks are kept that nobody needs, so that they never run.
//!
//! For each request on HTTP/1 awc makes a codec, and each codec gets a clock for the `Date` of answers, although a client gives
//! none (`DateService` in actix-http 3.20): a task with a timer that is due at once, for which tokio wakes its own thread by a
//! system call. That was a twentieth of what a delivery cost the engine. It is all that awc spawns for such a request: the
//! connections are our own (`super::dialler`), and awc closes none of them by a task, because to it they are without TLS.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
};

use futures_util::future::poll_fn;
use tokio::task::LocalSet;

/// How often something was polled here before what it spawned is dropped: some 30 KiB.
const POLLS: u32 = 64;

/// The limbo of one thread. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Limbo(Rc<Inner>);

#[derive(Default)]
struct Inner {
    /// Never polled.
    tasks: RefCell<LocalSet>,
    polls: Cell<u32>,
}

impl Limbo {
    /// Does `work`. What it spawns on this thread never runs, and is dropped soon.
    pub(super) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let inside = self.0.tasks.borrow().enter();
            let polled = work.as_mut().poll(cx);
            drop(inside);
            self.tidy();
            polled
        })
        .await
    }

    fn tidy(&self) {
        let polls = self.0.polls.get() + 1;
        if polls < POLLS {
            self.0.polls.set(polls);
        } else {
            self.0.polls.set(0);
            drop(self.0.tasks.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[actix_rt::test]
    async fn what_is_spawned_within_never_runs_and_is_dropped() {
        let (limbo, ran, alive) = (Limbo::default(), Rc::new(Cell::new(0)), Rc::new(()));
        let task = || {
            let (ran, alive) = (Rc::clone(&ran), Rc::clone(&alive));
            async move {
                ran.set(ran.get() + 1);
                drop(alive);
            }
        };
        actix_rt::spawn(task());
        for _ in 0..POLLS {
            limbo.around(async { drop(actix_rt::spawn(task())) }).await;
        }
        limbo.around(sleep(Duration::from_millis(5))).await;
        assert_eq!((ran.get(), Rc::strong_count(&alive)), (1, 1), "the one that was spawned outside");
    }

    #[actix_rt::test]
    async fn what_is_awaited_within_is_woken() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let limbo = Limbo::default();
        actix_rt::spawn(async {
            sleep(Duration::from_millis(1)).await;
            sender.send(7)
        });
        assert_eq!(limbo.around(receiver).await, Ok(7));
    }
}
