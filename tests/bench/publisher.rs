//! Publishers that cost little: one thread, 64 connections, requests that were made beforehand.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::{
    net::TcpStream,
    time::{sleep_until, timeout},
};

use super::{event::Template, wire::Conversation};
use crate::support::process::{processor_time_of_thread, this_thread};

const CONNECTIONS: usize = 64;
/// An engine that answers no more must not be waited for.
const DEADLINE: Duration = Duration::from_mins(10);
const ACCEPTED: &[u8] = b"HTTP/1.1 202 ";

/// What is to be published.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    /// The engine's address.
    pub(crate) to: SocketAddr,
    /// One of each type; the events take them in turns.
    pub(crate) templates: &'a [Template],
    /// The number of the first event.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Events per second; `None` is as fast as they are answered.
    pub(crate) rate: Option<u32>,
}

/// When an event was posted and answered.
#[derive(Clone, Copy)]
pub(crate) struct Posting {
    pub(crate) number: usize,
    /// When it should have been posted, if all connections were still waiting for answers then.
    pub(crate) posted_at: Instant,
    pub(crate) answered_at: Instant,
}

/// What was published.
pub(crate) struct Published {
    /// In no order.
    pub(crate) postings: Vec<Posting>,
    /// What the publishers cost.
    pub(crate) processor_time: Duration,
}

/// Publishes all of it, and gives back when the last answer is there.
///
/// # Panics
/// When an event is not accepted, or it takes ten minutes.
pub(crate) fn publish(order: &Order<'_>) -> Published {
    thread::scope(|scope| {
        let publishers = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            let postings = runtime.block_on(publish_all(order)).expect("the engine accepts every event");
            Published { postings, processor_time: processor_time_of_thread(this_thread()) }
        });
        publishers.join().expect("every event is accepted")
    })
}

async fn publish_all(order: &Order<'_>) -> io::Result<Vec<Posting>> {
    let (start, next) = (Instant::now(), Cell::new(0));
    let all = timeout(DEADLINE, try_join_all((0..CONNECTIONS).map(|_| converse(order, start, &next)))).await??;
    Ok(all.concat())
}

/// One connection: takes the next number, waits until it is due, posts it, reads the answer.
async fn converse(order: &Order<'_>, start: Instant, next: &Cell<usize>) -> io::Result<Vec<Posting>> {
    let mut conversation = Conversation::new(TcpStream::connect(order.to).await?)?;
    let (mut postings, mut request) = (Vec::new(), Vec::new());
    while next.get() < order.count {
        let position = next.replace(next.get() + 1);
        let number = order.first + position;
        order.templates[number % order.templates.len()].write(number, &mut request);
        let posted_at = match order.rate {
            None => Instant::now(),
            Some(rate) => due(start + Duration::from_secs(1) * u32::try_from(position).expect("some") / rate).await,
        };
        conversation.say(&request).await?;
        let answer = conversation.hear().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !answer.head.starts_with(ACCEPTED) {
            return Err(io::Error::other(String::from_utf8_lossy(answer.head).into_owned()));
        }
        postings.push(Posting { number, posted_at, answered_at: Instant::now() });
    }
    Ok(postings)
}

/// Waits for a moment of the timetable. It counts as late only when it had passed already: the grain of our own timer, a
/// millisecond, is none of the engine's doing.
async fn due(at: Instant) -> Instant {
    if Instant::now() >= at {
        return at;
    }
    sleep_until(at.into()).await;
    Instant::now()
}
