//! A receiver that does as it is told and remembers what it got.
//!
//! It speaks HTTP/1.1 on raw sockets, written here, so that nothing of the engine's own stack judges the engine. One
//! thread with its own runtime serves hundreds of connections and some ten thousand requests per second.

mod script;
mod wire;

use std::{
    net::{SocketAddr, TcpListener},
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

/// What the sink knows, shared with its thread.
#[derive(Default)]
struct State {
    script: Script,
    requests: Vec<Request>,
    connections: usize,
    in_progress: usize,
    most_in_progress: usize,
}

/// A running receiver; it stops when it is dropped.
pub struct Sink {
    address: SocketAddr,
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
        let listener = TcpListener::bind(("127.0.0.1", super::port::free_port())).expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::default();
        let server = Some(serve(listener, &state));
        Self { address, state, server }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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

    /// How many requests arrived at all paths together.
    pub fn requests_in_all(&self) -> usize {
        self.state().requests.len()
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
        self.state().requests.clear();
    }

    /// The most requests that were unanswered at one time.
    pub fn most_in_progress(&self) -> usize {
        self.state().most_in_progress
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
        let listener = eventually("the port of the sink", Duration::from_secs(5), || TcpListener::bind(self.address));
        self.server = Some(serve(listener, &self.state));
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

fn serve(listener: TcpListener, state: &Arc<Mutex<State>>) -> Server {
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    let state = Arc::clone(state);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("sockets can be non-blocking");
            let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime takes the socket");
            ready.send(()).expect("the starter waits");
            tokio::select! {
                () = wire::accept(&listener, &state) => {}
                _ = stopped => {}
            }
        });
        // Dropping the runtime drops the connections.
    });
    is_ready.recv().expect("the sink starts");
    Server { stop, thread }
}
