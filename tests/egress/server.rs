//! An endpoint that does what a test says, byte by byte.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How long a test waits for anything, at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on a port of its own, and is gone with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Rc<Seen>,
    task: actix_rt::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    open: Cell<usize>,
    requests: RefCell<Vec<Raw>>,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// Latin-1, to the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// One accepted connection.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) socket: S,
    open: Open,
    unread: Vec<u8>,
}

/// Counts an open connection for as long as it lives.
struct Open(Rc<Seen>);

impl Server {
    /// Runs `script` for each connection.
    pub(crate) async fn start<F>(script: impl Fn(Peer) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self::on("127.0.0.1:0".parse().expect("an address"), script).await
    }

    /// As `start`, on `address`.
    pub(crate) async fn on<F>(address: SocketAddr, script: impl Fn(Peer) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let seen = Rc::new(Seen::default());
        let accepted = Rc::clone(&seen);
        let task = actix_rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                accepted.connections.set(accepted.connections.get() + 1);
                accepted.open.set(accepted.open.get() + 1);
                actix_rt::spawn(script(Peer { socket, open: Open(Rc::clone(&accepted)), unread: Vec::new() }));
            }
        });
        Self { address, seen, task }
    }

    /// Answers every request with `answer`, on connections that stay open.
    pub(crate) async fn answering(answer: impl AsRef<[u8]> + 'static) -> Self {
        let answer: Rc<[u8]> = answer.as_ref().into();
        Self::start(move |mut peer| {
            let answer = Rc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.write(&answer).await;
                }
            }
        })
        .await
    }

    /// Answers one request with `answer` and closes the connection.
    pub(crate) async fn answering_once(answer: impl AsRef<[u8]> + 'static) -> Self {
        let answer: Rc<[u8]> = answer.as_ref().into();
        Self::start(move |mut peer| {
            let answer = Rc::clone(&answer);
            async move {
                peer.request().await;
                peer.write(&answer).await;
            }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.get()
    }

    pub(crate) fn requests(&self) -> Vec<Raw> {
        self.seen.requests.borrow().clone()
    }

    /// Waits until the other side has closed all connections that scripts still read from.
    pub(crate) async fn all_closed(&self) {
        eventually("every connection is closed", || self.seen.open.get() == 0).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// The same connection after the TLS handshake; `None` when that fails.
    pub(crate) async fn secured(self, acceptor: &TlsAcceptor) -> Option<Peer<TlsStream<TcpStream>>> {
        let socket = acceptor.accept(self.socket).await.ok()?;
        Some(Peer { socket, open: self.open, unread: self.unread })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The next request; `None` when the other side closes.
    pub(crate) async fn request(&mut self) -> Option<Raw> {
        loop {
            if let Some(raw) = self.take_request() {
                self.open.0.requests.borrow_mut().push(raw.clone());
                return Some(raw);
            }
            if self.socket.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    fn take_request(&mut self) -> Option<Raw> {
        let end = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head: String = self.unread[..end].iter().map(|byte| char::from(*byte)).collect();
        let raw = Raw { head, body: Vec::new() };
        let length: usize = raw.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        (self.unread.len() >= end + length).then(|| {
            let body = self.unread.drain(..end + length).skip(end).collect();
            Raw { body, ..raw }
        })
    }

    /// Writes; that the other side is gone is its right.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.ok();
    }

    /// Waits until the other side closes.
    pub(crate) async fn closed(&mut self) {
        while self.socket.read_buf(&mut self.unread).await.unwrap_or(0) > 0 {}
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Raw {
    /// The only header of this name. Panics when there are several.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is sent twice");
        value
    }

    /// Names and values as they came.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (String, String)> {
        self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.into(), v.into()))
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().expect("a request line")
    }
}

/// Waits until `holds`, and says what did not when it never does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {PATIENCE:?}: {what}");
}
