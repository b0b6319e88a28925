//! HTTP/1.1 with as little work as possible, so that what is measured is the engine: one message at a time, with a length.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// More than any message of a measurement has.
const ROOM: usize = 16 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &str = "content-length:";

/// A connection that is kept open.
pub(crate) struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer the message has that was read last.
    read: usize,
}

/// A request or an answer.
pub(crate) struct Message<'a> {
    /// Up to the empty line.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Conversation {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(ROOM), read: 0 })
    }

    pub(crate) async fn say(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(message).await
    }

    /// The next message; `None` when the other side has closed the connection between two.
    ///
    /// # Errors
    /// When the connection breaks, and `InvalidData` for a message without a length.
    pub(crate) async fn hear(&mut self) -> io::Result<Option<Message<'_>>> {
        self.buffer.drain(..self.read);
        self.read = 0;
        let (head, whole) = loop {
            if let Some(head) = find(&self.buffer, END_OF_HEAD) {
                let whole = head + END_OF_HEAD.len() + length(&self.buffer[..head])?;
                if self.buffer.len() >= whole {
                    break (head, whole);
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                let is_between = self.buffer.is_empty();
                return if is_between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        self.read = whole;
        Ok(Some(Message { head: &self.buffer[..head], body: &self.buffer[head + END_OF_HEAD.len()..whole] }))
    }
}

/// Where `wanted` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn length(head: &[u8]) -> io::Result<usize> {
    let text = str::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData)?;
    let is_length = |line: &&str| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH));
    let line = text.split("\r\n").find(is_length).ok_or(io::ErrorKind::InvalidData)?;
    line[LENGTH.len()..].trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}
