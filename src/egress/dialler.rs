//! Makes the connections of one origin: resolve, check, connect, TLS.
//!
//! Stands in the place of awc's own connector, so that no address is dialled that was not checked. It goes where its
//! [`Destination`] says, whatever awc asks for: no connection can lead to another host.
//!
//! TLS is ours too, and not awc's, because interim answers and answers that break off can only be seen inside it
//! ([`super::line`]). awc must know the protocol before it has a connection: by the scheme of the request's URL, HTTP/1.1 for
//! `http` and HTTP/2 for `https`. When TLS agrees on the other one, the connection is parked, the request is told so
//! ([`NotReached::Speaks`]) and asks again.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, pki_types::ServerName},
};
use url::Host;

use super::{
    exhaustion::is_exhaustion,
    guard::{Checker, NoAddress},
    line::{Line, Protocol, Socket},
    names::Unresolved,
    notes::Notes,
    spelling::Spelling,
};
use crate::{
    domain::{
        attempt::{Failure, FailureClass},
        trace::Trace,
    },
    metrics::Presence,
};

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Scheme, host and port: what connections are shared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// The name that the certificate must carry; `None` without TLS.
    pub(super) server_name: Option<ServerName<'static>>,
}

/// Why there is no connection. Travels through awc inside an `io::Error`.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotReached {
    #[error("{}", .0.message)]
    Failed(Failure),
    #[error("no file descriptor or port is left")]
    Exhausted,
    #[error("the endpoint speaks {0:?}")]
    Speaks(Protocol),
}

/// The connector of one origin. Clones share it.
#[derive(Clone)]
pub(super) struct Dialler(Rc<Inner>);

struct Inner {
    destination: Arc<Destination>,
    spelling: Spelling,
    checker: Rc<Checker>,
    tls: Arc<rustls::ClientConfig>,
    /// How long an address is waited for while others are left to try.
    patience: Cell<Duration>,
    parked: RefCell<Vec<(Protocol, Line)>>,
    /// Where the newest connection leads, `None` before the first.
    newest: Cell<Option<SocketAddr>>,
    notes: Notes,
    /// Where connections are counted while they are open.
    open: Presence,
}

impl Dialler {
    pub(super) fn new(
        destination: Arc<Destination>,
        spelling: Spelling,
        checker: Rc<Checker>,
        tls: Arc<rustls::ClientConfig>,
        notes: Notes,
        open: Presence,
    ) -> Self {
        let (patience, parked, newest) = (Cell::default(), RefCell::default(), Cell::default());
        Self(Rc::new(Inner { destination, spelling, checker, tls, patience, parked, newest, notes, open }))
    }

    /// A dialler for the same origin that knows nothing of the connections of this one.
    pub(super) fn another(&self) -> Self {
        let Inner { destination, spelling, checker, tls, notes, open, .. } = &*self.0;
        let (destination, checker, tls) = (Arc::clone(destination), Rc::clone(checker), Arc::clone(tls));
        Self::new(destination, spelling.clone(), checker, tls, notes.clone(), open.clone())
    }

    /// Takes over what `other` has parked.
    pub(super) fn adopt(&self, other: &Self) {
        self.0.parked.borrow_mut().append(&mut other.0.parked.borrow_mut());
    }

    /// How long an address is waited for while others are left to try, from now on.
    pub(super) fn set_patience(&self, patience: Duration) {
        self.0.patience.set(patience);
    }

    /// Does `work`, and notes in `trace` what it meets.
    pub(super) async fn noting<T>(&self, trace: &Cell<Trace>, work: impl Future<Output = T>) -> T {
        self.0.notes.of(trace, work).await
    }

    /// Where the newest connection leads, which is the one that HTTP/2 uses.
    pub(super) fn newest(&self) -> Option<SocketAddr> {
        self.0.newest.get()
    }
}

impl Inner {
    /// A connection on which `wanted` is spoken.
    async fn dial(&self, wanted: Protocol) -> Result<Line, NotReached> {
        if let Some(line) = self.take_parked(wanted) {
            return Ok(line);
        }
        let asked = Instant::now();
        let addresses = self.checker.addresses(&self.destination.host).await;
        if matches!(self.destination.host, Host::Domain(_)) {
            self.notes.note(|trace| trace.dns = Some(asked.elapsed()));
        }
        let addresses = addresses.map_err(|none| self.no_address(&none))?;
        let begun = Instant::now();
        let connected = self.connect(&addresses).await;
        self.notes.note(|trace| trace.connect = Some(begun.elapsed()));
        let (socket, remote) = connected?;
        // A request is written at once; waiting for more to send would only delay it.
        socket.set_nodelay(true).ok();
        let (socket, speaks) = match &self.destination.server_name {
            None => (Socket::Plain(socket), Protocol::Http1),
            Some(name) => self.shake_hands(name.clone(), socket).await?,
        };
        let (spelling, notes) = (self.spelling.clone(), self.notes.clone());
        let line = Line::new(socket, speaks, remote, spelling, notes, self.open.enter());
        if speaks == wanted {
            self.newest.set(Some(remote));
            return Ok(line);
        }
        self.parked.borrow_mut().push((speaks, line));
        Err(NotReached::Speaks(speaks))
    }

    fn take_parked(&self, wanted: Protocol) -> Option<Line> {
        let mut parked = self.parked.borrow_mut();
        let place = parked.iter().position(|(speaks, _)| *speaks == wanted)?;
        let (_, line) = parked.swap_remove(place);
        self.newest.set(Some(line.remote()));
        Some(line)
    }

    /// The first address that takes the connection. One that does not answer may not use up the time of the others.
    async fn connect(&self, addresses: &[IpAddr]) -> Result<(TcpStream, SocketAddr), NotReached> {
        let last = addresses.len().min(MAX_ADDRESSES) - 1;
        for (place, ip) in addresses.iter().enumerate().take(last) {
            let address = self.try_now(*ip);
            match tokio::time::timeout(self.patience.get(), TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok((socket, address)),
                Ok(Err(error)) if is_exhaustion(&error) => return Err(NotReached::Exhausted),
                Ok(Err(error)) => log::debug!(place, error:% = error; "an address does not take connections"),
                Err(_) => log::debug!(place; "an address does not answer"),
            }
        }
        let address = self.try_now(addresses[last]);
        let socket = TcpStream::connect(address).await.map_err(|error| not_connected(address, &error))?;
        Ok((socket, address))
    }

    /// The address at `ip`, noted as the one that is being tried.
    fn try_now(&self, ip: IpAddr) -> SocketAddr {
        let address = SocketAddr::new(ip, self.destination.port);
        self.notes.note(|trace| trace.remote = Some(address));
        address
    }

    async fn shake_hands(
        &self,
        name: ServerName<'static>,
        socket: TcpStream,
    ) -> Result<(Socket, Protocol), NotReached> {
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let begun = Instant::now();
        let shaken = connector.connect(name, socket).await;
        self.notes.note(|trace| trace.tls = Some(begun.elapsed()));
        let socket = shaken.map_err(|error| no_tls(&error))?;
        let speaks = match socket.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            Some(_) | None => Protocol::Http1,
        };
        Ok((Socket::Tls(Box::new(socket)), speaks))
    }

    fn no_address(&self, none: &NoAddress) -> NotReached {
        let host = &self.destination.host;
        match none {
            NoAddress::Refused(refusal) => failed(FailureClass::Forbidden, refusal.to_string()),
            NoAddress::Unresolved(Unresolved::Exhausted) => NotReached::Exhausted,
            NoAddress::Unresolved(why @ (Unresolved::Missing | Unresolved::Unanswered)) => {
                failed(FailureClass::Dns, format!("{host} could not be resolved: {why}"))
            }
        }
    }
}

fn failed(class: FailureClass, message: String) -> NotReached {
    NotReached::Failed(Failure { class, message })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open; what is not named here names itself")]
fn not_connected(address: SocketAddr, error: &io::Error) -> NotReached {
    // For IPv4 this is what Linux says when every port to this address is taken; for IPv6, that the machine has none.
    let no_port = error.kind() == io::ErrorKind::AddrNotAvailable && address.is_ipv4();
    if no_port || is_exhaustion(error) {
        return NotReached::Exhausted;
    }
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {address}"),
        io::ErrorKind::TimedOut => format!("{address} does not answer"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("there is no way to {address}"),
        io::ErrorKind::ConnectionReset => format!("connection reset by {address}"),
        other => format!("no connection to {address}: {other}"),
    };
    failed(FailureClass::Connect, message)
}

fn no_tls(error: &io::Error) -> NotReached {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let message = tls.map_or_else(
        || "the connection broke during the TLS handshake".to_owned(),
        |tls| format!("the TLS handshake failed: {tls}"),
    );
    failed(FailureClass::Tls, message)
}

impl Service<ConnectInfo<Uri>> for Dialler {
    type Response = Connection<Uri, Line>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let inner = Rc::clone(&self.0);
        Box::pin(async move {
            let uri = info.request();
            let wanted = if uri.scheme_str() == Some("https") { Protocol::Http2 } else { Protocol::Http1 };
            let line = inner.dial(wanted).await.map_err(|why| ConnectError::Io(io::Error::other(why)))?;
            Ok(Connection::new(uri.clone(), line))
        })
    }
}
