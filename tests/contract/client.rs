//! A client that sends what it is told, whatever it is, and shows all of the answer.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// As if it had been read; names of headers are in lower case.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// The value of a header, named in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// The body, which has to be JSON and say so.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks an engine, each time on a new connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: String,
    authorization: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self::with_authorization(base, Some(&format!("Token {token}")))
    }

    /// With any header `Authorization`, or none.
    pub(crate) fn with_authorization(base: &str, authorization: Option<&str>) -> Self {
        let address = base.trim_start_matches("http://").to_owned();
        Self { address, authorization: authorization.map(str::to_owned) }
    }

    /// Sends a request with a text and reads the answer to its end.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, media_type: Option<&str>, body: &str) -> Reply {
        let media_type = media_type.map(|media_type| ("Content-Type".to_owned(), media_type.to_owned()));
        self.ask(method, path, media_type.as_slice(), body.as_bytes())
    }

    /// Sends any bytes with these headers, beside those that every request has.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let authorization = self.authorization.iter().map(|value| ("Authorization", value));
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in authorization.chain(headers) {
            write!(request, "{name}: {value}\r\n").expect("a String takes any text");
        }
        write!(request, "Content-Length: {}\r\n\r\n", body.len()).expect("a String takes any text");
        // Heads are Latin-1.
        let mut bytes: Vec<u8> =
            request.chars().map(|character| u8::try_from(character).expect("one byte per character")).collect();
        bytes.extend(body);
        let mut connection = TcpStream::connect(&self.address).expect("the engine listens");
        // Whoever is answered before the body was read need not read it.
        connection.write_all(&bytes).unwrap_or_default();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap_or_default();
        parse(&String::from_utf8_lossy(&answer))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some("application/json"), &body.to_string())
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let reply = self.send("GET", path, None, "");
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }
}

#[track_caller]
fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no complete answer: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { joined(body) } else { body.to_owned() };
    Reply { status: status.expect("a status line"), headers, body }
}

/// The chunks of a body, whose last one must be empty.
#[track_caller]
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").expect("every chunk has a size");
        let size = usize::from_str_radix(size, 16).expect("a size is hexadecimal");
        if size == 0 {
            return body;
        }
        body.push_str(&rest[..size]);
        chunks = &rest[size + 2..];
    }
}
