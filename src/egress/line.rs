//! One connection to an endpoint, plain or TLS, as awc reads and writes it.
//!
//! Between awc and the socket it follows which request is under way, so that (1) interim answers are skipped and bodies end
//! where they end ([`super::framing`]), (2) an answer that breaks off is an error, which awc takes for its end, (3) an error
//! can be told from the usual end of a connection that had been idle ([`Broken::Stale`]), and (4) header names are spelled as
//! they are stored ([`super::spelling`]).

use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    framing::{End, Seen, inspect},
    notes::Notes,
    spelling::Spelling,
};
use crate::{domain::trace::ResponseHeaders, metrics::Present};

/// The most bytes of heads, interim ones included, that one answer may have.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The protocol spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What is read and written.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a connection failed, beside the errors of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// It had served before, and ended before it heard anything of this request: the endpoint closed it while idle.
    #[error("the connection was closed while it was idle")]
    Stale,
    /// The first request on it got no answer.
    #[error("the connection was closed without an answer")]
    Unanswered,
    /// The answer broke off.
    #[error("the connection broke in the middle of the answer")]
    Midway,
    /// The head of the answer does not end.
    #[error("the head of the answer is larger than 64 KiB")]
    HeadTooLarge,
}

/// A connection and what is going on there.
pub(super) struct Line {
    socket: Socket,
    stage: Stage,
    requests: usize,
    /// Bytes of heads that came for this request.
    heard: usize,
    /// The head, while it comes in pieces or behind interim answers.
    held: Vec<u8>,
    spelling: Spelling,
    /// What is left to write of a respelled head.
    respelled: Vec<u8>,
    remote: SocketAddr,
    notes: Notes,
    /// Counts this connection for as long as it is there.
    _open: Present,
}

#[derive(Clone, Copy)]
enum Stage {
    /// HTTP/2 has frames of its own; nothing to follow.
    Opaque,
    /// No request is under way.
    Idle,
    /// A request is written, and its answer's head is awaited.
    Asked,
    /// The head is complete in `held`, and given out from this position on.
    GivingOut(usize, End),
    /// The body comes.
    Body(End),
}

impl Broken {
    fn error(self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, self)
    }

    /// The one inside `error`, if there is one.
    pub(super) fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Line {
    /// A connection to `remote`; what attempts meet on it is written into `notes`.
    pub(super) const fn new(
        socket: Socket,
        protocol: Protocol,
        remote: SocketAddr,
        spelling: Spelling,
        notes: Notes,
        open: Present,
    ) -> Self {
        let stage = match protocol {
            Protocol::Http1 => Stage::Idle,
            Protocol::Http2 => Stage::Opaque,
        };
        Self {
            socket,
            stage,
            requests: 0,
            heard: 0,
            held: Vec::new(),
            spelling,
            respelled: Vec::new(),
            remote,
            notes,
            _open: open,
        }
    }

    /// The other end.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// A request begins with the first byte written after an answer, and `bytes` then hold its whole head: awc makes a head
    /// ready before it writes.
    fn note_write(&mut self, bytes: &[u8]) {
        match self.stage {
            Stage::Idle | Stage::Body(_) => {
                self.stage = Stage::Asked;
                self.requests += 1;
                self.heard = 0;
                if !self.spelling.is_usual() {
                    self.respelled = self.spelling.respelled(bytes);
                }
                self.notes.note(|trace| trace.remote = Some(self.remote));
            }
            Stage::Opaque | Stage::Asked | Stage::GivingOut(..) => {}
        }
    }

    /// `error`, or what it means at this stage.
    fn told(&self, error: io::Error) -> io::Error {
        match self.stage {
            Stage::Asked if self.heard > 0 => Broken::Midway.error(),
            Stage::Asked if self.requests > 1 => Broken::Stale.error(),
            Stage::Body(_) => Broken::Midway.error(),
            Stage::Opaque | Stage::Idle | Stage::Asked | Stage::GivingOut(..) => error,
        }
    }

    /// Reads until the head of the answer is complete. The usual head comes in one piece, stays where it was read to, and is
    /// not copied.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        loop {
            let result = ready!(self.socket.poll_read(cx, buf));
            result.map_err(|error| self.told(error))?;
            let piece = &mut buf.filled_mut()[start..];
            if piece.is_empty() {
                return Poll::Ready(Err(self.told(Broken::Unanswered.error())));
            }
            self.heard += piece.len();
            if self.heard > MAX_HEAD_BYTES {
                return Poll::Ready(Err(Broken::HeadTooLarge.error()));
            }
            if self.held.is_empty()
                && let Some((end, headers)) = complete(piece)
            {
                self.notes.note(|trace| trace.response = headers);
                self.stage = Stage::Body(end);
                return Poll::Ready(Ok(()));
            }
            self.held.extend_from_slice(piece);
            buf.set_filled(start);
            while let Seen::Interim(length) = inspect(&self.held) {
                self.held.drain(..length);
            }
            if !self.held.is_empty()
                && let Some((end, headers)) = complete(&mut self.held)
            {
                self.notes.note(|trace| trace.response = headers);
                self.give_out(0, end, buf);
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Moves what was held back into `buf`, as much as fits.
    fn give_out(&mut self, from: usize, end: End, buf: &mut ReadBuf<'_>) {
        let rest = &self.held[from..];
        let now = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..now]);
        self.stage = if now < rest.len() {
            Stage::GivingOut(from + now, end)
        } else {
            self.held.clear();
            Stage::Body(end)
        };
    }
}

/// Makes the head ready for awc when it is complete; gives what is kept of it. What is no head at all is left to awc to
/// refuse.
fn complete(head: &mut [u8]) -> Option<(End, Option<ResponseHeaders>)> {
    match inspect(head) {
        Seen::Part | Seen::Interim(_) => None,
        Seen::Nonsense => Some((End::Declared, None)),
        Seen::Answer { end, edits, headers } => {
            for (at, byte) in edits {
                head[at] = byte;
            }
            Some((end, Some(headers)))
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        match line.stage {
            Stage::Opaque | Stage::Idle => line.socket.poll_read(cx, buf),
            Stage::Asked => line.poll_head(cx, buf),
            Stage::GivingOut(from, end) => {
                line.give_out(from, end, buf);
                Poll::Ready(Ok(()))
            }
            Stage::Body(end) => {
                let start = buf.filled().len();
                let result = ready!(line.socket.poll_read(cx, buf));
                let is_end = match &result {
                    Ok(()) => buf.filled().len() == start,
                    // TLS without its farewell; so many end that way that it says nothing.
                    Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
                };
                Poll::Ready(match (is_end, end) {
                    (true, End::AtClose) => Ok(()),
                    (true, End::Declared) => Err(Broken::Midway.error()),
                    (false, _) => result.map_err(|error| line.told(error)),
                })
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let line = self.get_mut();
        line.note_write(bytes);
        if line.respelled.is_empty() {
            let written = line.socket.poll_write(cx, &[IoSlice::new(bytes)]);
            return written.map_err(|error| line.told(error));
        }
        let length = line.respelled.len().min(bytes.len());
        let parts = [IoSlice::new(&line.respelled[..length]), IoSlice::new(&bytes[length..])];
        let written = ready!(line.socket.poll_write(cx, &parts)).map_err(|error| line.told(error))?;
        line.respelled.drain(..written.min(length));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        let flushed = match &mut line.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(cx),
        };
        flushed.map_err(|error| line.told(error))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
            Self::Tls(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(socket) => socket.get_ref().0,
        }
    }
}

/// awc asks for this trait; nothing in it calls these two.
impl ActixStream for Line {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.socket.tcp(), cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.socket.tcp(), cx)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("requests", &self.requests).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket},
    };

    use super::*;
    use crate::metrics::Presence;

    #[actix_rt::test]
    async fn a_head_that_the_socket_takes_in_pieces_is_respelled_to_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(4096).expect("a small buffer");
        let socket = socket.connect(listener.local_addr().expect("bound")).await.expect("a connection");
        let (mut peer, _) = listener.accept().await.expect("a connection");
        let spelling = Spelling::of(["x-a"].into_iter());
        let remote = socket.peer_addr().expect("connected");
        let (notes, open) = (Notes::default(), Presence::default().enter());
        let mut line = Line::new(Socket::Plain(socket), Protocol::Http1, remote, spelling, notes, open);

        let value = "X-A: 1;".repeat(1_000_000);
        let request = |name: &str| format!("POST / HTTP/1.1\r\n{name}: {value}\r\n{name}: 2\r\n\r\nX-A: body\r\n");
        let sent = request("X-A");
        let writing = async move {
            line.write_all(sent.as_bytes()).await.expect("it is written");
            line.shutdown().await.expect("it is closed");
        };
        let mut came = String::new();
        let ((), read) = tokio::join!(writing, peer.read_to_string(&mut came));
        read.expect("it is read");
        assert!(came == request("x-a"), "{} bytes came, {}…", came.len(), came.get(..80).unwrap_or(&came));
    }
}
