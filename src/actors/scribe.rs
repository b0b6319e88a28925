//! The way of attempts to the recorder: one scribe on each arbiter.
//!
//! What ends in one turn of the arbiter's event loop goes in one message. A wake of the recorder's thread for each attempt
//! would cost as much as its share of the transaction.

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};

use super::{
    mail::tell,
    recorder::{RecordAttempt, RecordAttempts, Recorder},
};

/// Passes attempts on.
pub struct Scribe {
    recorder: Addr<Recorder>,
    ended: Vec<RecordAttempt>,
}

impl Scribe {
    /// One that has nothing to pass on to `recorder`.
    #[must_use]
    pub fn new(recorder: Addr<Recorder>) -> Self {
        Self { recorder, ended: Vec::new() }
    }
}

impl Actor for Scribe {
    type Context = Context<Self>;
}

impl Handler<RecordAttempt> for Scribe {
    type Result = ();

    fn handle(&mut self, attempt: RecordAttempt, ctx: &mut Self::Context) {
        self.ended.push(attempt);
        if self.ended.len() == 1 {
            // Behind what is in the mailbox already.
            ctx.notify(PassOn);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PassOn;

impl Handler<PassOn> for Scribe {
    type Result = ();

    fn handle(&mut self, PassOn: PassOn, _: &mut Self::Context) {
        tell(&self.recorder, RecordAttempts(std::mem::take(&mut self.ended)));
    }
}
