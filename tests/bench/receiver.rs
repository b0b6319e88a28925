//! A receiver that costs little: it answers 200 to everything and notes which event came when.
//!
//! The scripted one of the other rings keeps and parses every header, which would be a good part of what is measured here.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, sync::oneshot};

use super::{event::number_in, wire::Conversation};
use crate::support::{
    port::free_port,
    process::{processor_time_of_thread, this_thread},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A delivery that came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: usize,
    pub(crate) at: Instant,
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// One thread that serves all addresses; it ends when this is dropped.
pub(crate) struct Receiver {
    addresses: Vec<SocketAddr>,
    arrivals: Arrivals,
    /// The kernel's number of the thread.
    thread_id: u32,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Receiver {
    /// One at each of these addresses of this machine, all on one port.
    pub(crate) fn start(hosts: &[Ipv4Addr]) -> Self {
        let port = free_port();
        let addresses: Vec<_> = hosts.iter().map(|host| SocketAddr::new(IpAddr::V4(*host), port)).collect();
        let listeners = addresses.iter().map(|address| TcpListener::bind(address).expect("the port is free"));
        let (listeners, arrivals) = (listeners.collect(), Arrivals::default());
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn({
            let arrivals = Arc::clone(&arrivals);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime starts").block_on(async {
                    serve(listeners, &arrivals);
                    ready.send(this_thread()).expect("the starter waits");
                    // Whether it was asked to stop or nobody is left to ask: both are the end.
                    stopped.await.ok();
                });
            }
        });
        let thread_id = is_ready.recv().expect("the receiver starts");
        Self { addresses, arrivals, thread_id, running: Some((stop, thread)) }
    }

    /// The URL of a path at the `n`th address.
    pub(crate) fn url(&self, n: usize, path: &str) -> String {
        format!("http://{}{path}", self.addresses[n])
    }

    /// How many deliveries came so far.
    pub(crate) fn count(&self) -> usize {
        lock(&self.arrivals).len()
    }

    /// What came so far; it is forgotten then.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut lock(&self.arrivals))
    }

    /// What it has cost so far.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time_of_thread(self.thread_id)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // It does not panic, and if it did there would be nothing to do about it.
            stop.send(()).ok();
            thread.join().ok();
        }
    }
}

fn serve(listeners: Vec<TcpListener>, arrivals: &Arrivals) {
    for listener in listeners {
        listener.set_nonblocking(true).expect("sockets can be non-blocking");
        let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime takes the socket");
        let arrivals = Arc::clone(arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, Arc::clone(&arrivals)));
            }
        });
    }
}

/// Until the engine closes the connection, or breaks it at its end.
async fn receive(stream: TcpStream, arrivals: Arrivals) -> io::Result<()> {
    let mut conversation = Conversation::new(stream)?;
    while let Some(request) = conversation.hear().await? {
        let number = number_in(request.body).ok_or(io::ErrorKind::InvalidData)?;
        lock(&arrivals).push(Arrival { number, at: Instant::now() });
        conversation.say(ANSWER).await?;
    }
    Ok(())
}

fn lock(arrivals: &Arrivals) -> MutexGuard<'_, Vec<Arrival>> {
    arrivals.lock().unwrap_or_else(PoisonError::into_inner)
}
