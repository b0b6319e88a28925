//! A receiver that does as it is told and remembers what it got.
//!
//! It speaks HTTP/1.1 on raw sockets, written here, so that nothing of the engine's own stack judges the engine. One
//! thread with its own runtime serves hundreds of connections and some ten thousand requests per second.

mod script;
mod wire;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use script::Script;
pub use script::{Answer, Behaviour};
use tokio::sync::oneshot;

use super::eventually::eventually;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// In the order of arrival, from 0.
    pub number: usize,
    /// `POST /path HTTP/1.1`.
    pub line: String,
    /// `POST`.
    pub method: String,
    /// Path and query as requested.
    pub target: String,
    /// Names as sent, values as text (Latin-1).
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// When its last byte was read.
    pub arrived_at: Instant,
    /// Which connection brought it, from 0.
    pub connection: usize,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("deliveries are JSON")
    }
}

/// Whether requests are kept after the script has seen them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    #[default]
    Requests,
    /// None: for loads of which memory could not hold everything.
    Nothing,
}

/// What the sink knows, shared with its thread.
#[derive(Default)]
struct State {
    script: Script,
    keep: Keep,
    requests: Vec<Request>,
    arrived: usize,
    /// Bytes of huge bodies that were sent.
    poured: usize,
    connections: usize,
    in_progress: usize,
    most_in_progress: usize,
}

/// A running receiver; it stops when it is dropped.
pub struct Sink {
    /// One at least, all with the same port.
    addresses: Vec<SocketAddr>,
    state: Arc<Mutex<State>>,
    server: Option<Server>,
}

/// The thread that serves, and how to end it.
struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Sink {
    /// One that answers 200 to everything, on a port of its own.
    pub fn start() -> Self {
        Self::start_at(&[Ipv4Addr::LOCALHOST], Keep::Requests)
    }

    /// The same at other addresses of this machine, all on one port: to a sender each is an endpoint of its own.
    pub fn start_at(hosts: &[Ipv4Addr], keep: Keep) -> Self {
        let port = super::port::free_port();
        let addresses: Vec<_> = hosts.iter().map(|host| SocketAddr::new(IpAddr::V4(*host), port)).collect();
        let state = Arc::new(Mutex::new(State { keep, ..State::default() }));
        let server = Some(serve(listen(&addresses), &state));
        Self { addresses, state, server }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses[0])
    }

    /// The URLs of a path at all addresses, in their order.
    pub fn urls(&self, path: &str) -> Vec<String> {
        self.addresses.iter().map(|address| format!("http://{address}{path}")).collect()
    }

    /// What to do with requests to `path`: one behaviour after the other, the last again and again.
    pub fn script<B: Into<Behaviour>>(&self, path: &str, behaviours: impl IntoIterator<Item = B>) {
        let behaviours = behaviours.into_iter().map(Into::into).collect();
        self.state().script.set(path, script::in_turn(behaviours));
    }

    /// What to do with requests to paths without a script of their own.
    pub fn otherwise(&self, behaviour: Behaviour) {
        self.state().script.set_rest(behaviour);
    }

    /// Lets `rule` decide about each request to `path`.
    pub fn decide(&self, path: &str, rule: impl FnMut(&Request) -> Behaviour + Send + 'static) {
        self.state().script.set(path, Box::new(rule));
    }

    /// Everything that arrived at `path`, in order.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.state().requests.iter().filter(|request| request.path() == path).cloned().collect()
    }

    /// How many requests arrived at `path`.
    pub fn count(&self, path: &str) -> usize {
        self.state().requests.iter().filter(|request| request.path() == path).count()
    }

    /// Everything that arrived, in order.
    pub fn all_requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How many requests arrived at all paths together, whether they are kept or not.
    pub fn requests_in_all(&self) -> usize {
        self.state().arrived
    }

    /// Waits until at least `count` requests have arrived at `path`, and gives all of them.
    pub fn wait_for(&self, path: &str, count: usize, deadline: Duration) -> Vec<Request> {
        eventually(&format!("{count} requests to {path}"), deadline, || match self.count(path) {
            seen if seen >= count => Ok(self.requests(path)),
            seen => Err(format!("{seen} requests")),
        })
    }

    /// Forgets what arrived so far.
    pub fn forget(&self) {
        let mut state = self.state();
        state.requests.clear();
        state.arrived = 0;
    }

    /// How many requests are unanswered now.
    pub fn in_progress(&self) -> usize {
        self.state().in_progress
    }

    /// The most requests that were unanswered at one time.
    pub fn most_in_progress(&self) -> usize {
        self.state().most_in_progress
    }

    /// How many bytes of huge bodies were taken off our hands so far, by the receiver or by the kernel between.
    pub fn poured(&self) -> usize {
        self.state().poured
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Stops listening and breaks every connection: an endpoint that is down.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            // The thread may have ended by a panic; joining tells.
            server.stop.send(()).ok();
            server.thread.join().expect("the sink serves without a panic");
        }
    }

    /// Listens again on the same port.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the sink runs");
        self.server = Some(serve(listen(&self.addresses), &self.state));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(addresses: &[SocketAddr]) -> Vec<TcpListener> {
    let deadline = Duration::from_secs(5);
    addresses
        .iter()
        .map(|address| eventually("the port of the sink", deadline, || TcpListener::bind(address)))
        .collect()
}

fn serve(listeners: Vec<TcpListener>, state: &Arc<Mutex<State>>) -> Server {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    let state = Arc::clone(state);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async {
            for listener in listeners {
                listener.set_nonblocking(true).expect("sockets can be non-blocking");
                let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime takes the socket");
                tokio::spawn(wire::accept(listener, Arc::clone(&state)));
            }
            ready.send(()).expect("the starter waits");
            // Whether it was asked to stop or the sink is gone: both are the end.
            stopped.await.ok();
        });
        // Dropping the runtime drops the connections.
    });
    is_ready.recv().expect("the sink starts");
    Server { stop, thread }
}
