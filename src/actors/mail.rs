//! Sending a message that nobody waits for.

use actix::{
    Actor, Addr, Handler, Message, Recipient,
    dev::{MessageResponse, ToEnvelope},
};

/// Puts `message` into the mailbox of `addr`. A message to an actor that is gone is lost, which every actor may be: what
/// it stood for is in the store.
///
/// The mailbox takes it however full it is; whoever calls this bounds the work itself.
#[expect(clippy::disallowed_methods, reason = "the loss is intended and the work is bounded by the caller")]
pub fn tell<A, M>(addr: &Addr<A>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send + MessageResponse<A, M>,
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    addr.do_send(message);
}

/// [`tell`] for one of whom only what he takes is known.
pub(super) fn hand<M>(to: &Recipient<M>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    to.do_send(message);
}
