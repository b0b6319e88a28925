//! HTTP/1.1 on raw sockets: as much as a receiver of webhooks needs.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{Answer, Behaviour, Keep, Request, State};

type Shared = Arc<Mutex<State>>;

/// Whether the connection can carry another request.
#[derive(PartialEq, Eq)]
enum Then {
    KeepOpen,
    End,
}

pub(super) async fn accept(listener: TcpListener, state: Shared) {
    loop {
        // Out of file descriptors, for example: the next one may succeed.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let connection = with(&state, |state| {
            state.connections += 1;
            state.connections - 1
        });
        let state = Arc::clone(&state);
        // A broken connection is the sender's affair: it is in the sender's records.
        tokio::spawn(async move { converse(stream, connection, &state).await.ok() });
    }
}

fn with<T>(state: &Shared, use_it: impl FnOnce(&mut State) -> T) -> T {
    use_it(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Counts a request from its arrival to the end of its answer, whatever ends it.
struct InProgress<'a>(&'a Shared);

impl<'a> InProgress<'a> {
    fn begin(state: &'a Shared) -> Self {
        with(state, |state| {
            state.in_progress += 1;
            state.most_in_progress = state.most_in_progress.max(state.in_progress);
        });
        Self(state)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        with(self.0, |state| state.in_progress -= 1);
    }
}

async fn converse(stream: TcpStream, connection: usize, state: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream, connection).await? {
        let _in_progress = InProgress::begin(state);
        let behaviour = with(state, |state| {
            let request = Request { number: state.arrived, ..request };
            state.arrived += 1;
            let behaviour = state.script.decide(&request);
            if state.keep == Keep::Requests {
                state.requests.push(request);
            }
            behaviour
        });
        if behave(&mut stream, behaviour, state).await? == Then::End {
            break;
        }
    }
    Ok(())
}

/// `None` when the sender closed between two requests, or does not speak HTTP.
async fn read_request(stream: &mut BufReader<TcpStream>, connection: usize) -> io::Result<Option<Request>> {
    // The hello of TLS, whose sender would wait for an answer in vain.
    if stream.fill_buf().await?.first() == Some(&0x16) {
        return Ok(None);
    }
    let first = read_line(stream).await?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request {
        number: 0,
        line: first.clone(),
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
        arrived_at: Instant::now(),
        connection,
    };
    request.body = read_body(stream, &request).await?;
    request.arrived_at = Instant::now();
    Ok(Some(request))
}

async fn read_body(stream: &mut BufReader<TcpStream>, request: &Request) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.header("Transfer-Encoding").is_some() {
        loop {
            let size = usize::from_str_radix(&read_line(stream).await?, 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk).await?;
            body.extend(chunk);
            read_line(stream).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = request.header("Content-Length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
    body.resize(length, 0);
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// A line without its end, one character per byte; empty at the end of the stream.
async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
    Ok(line.iter().copied().map(char::from).collect())
}

async fn behave(stream: &mut BufReader<TcpStream>, behaviour: Behaviour, state: &Shared) -> io::Result<Then> {
    match behaviour {
        Behaviour::Answer(answer) => write_answer(stream, &answer).await?,
        Behaviour::Slow(wait, answer) => {
            tokio::time::sleep(wait).await;
            write_answer(stream, &answer).await?;
        }
        Behaviour::Hang => {
            // Ends when the sender gives up, or with the sink.
            while stream.read_u8().await.is_ok() {}
            return Ok(Then::End);
        }
        Behaviour::Drip(bytes, every) => {
            stream.write_all(&head(200, &[], bytes)).await?;
            for _ in 0..bytes {
                stream.write_all(b"x").await?;
                tokio::time::sleep(every).await;
            }
        }
        Behaviour::Huge(bytes) => {
            stream.write_all(&head(200, &[], bytes)).await?;
            let block = vec![b'x'; 64 * 1024];
            let mut left = bytes;
            while left > 0 {
                let written = stream.write(&block[..left.min(block.len())]).await?;
                with(state, |state| state.poured += written);
                left -= written;
            }
        }
        Behaviour::Reset => {
            stream.get_ref().set_zero_linger()?;
            return Ok(Then::End);
        }
        Behaviour::Close => return Ok(Then::End),
        Behaviour::Raw(bytes) => {
            stream.write_all(&bytes).await?;
            return Ok(Then::End);
        }
    }
    Ok(Then::KeepOpen)
}

async fn write_answer(stream: &mut BufReader<TcpStream>, answer: &Answer) -> io::Result<()> {
    let mut bytes = head(answer.status, &answer.headers, answer.body.len());
    bytes.extend_from_slice(&answer.body);
    stream.write_all(&bytes).await
}

fn head(status: u16, headers: &[(String, String)], length: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {length}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}
