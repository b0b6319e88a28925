//! Where the head of an HTTP/1 answer ends, and what must be said differently before awc reads it.
//!
//! Pure. awc takes the first head for the answer, also when it is an interim one (`100 Continue`, `103 Early Hints`), and
//! gives the connection back, so that the real answer would later be read as the answer to another request. It also reads an
//! HTTP/1.1 body without a length as none, and waits for the body that a 204 or 304 announces and never sends. Seen in
//! actix-http 3.20, `h1::decoder`.

use crate::domain::trace::ResponseHeaders;

/// As many headers as actix-http reads.
const MAX_HEADERS: usize = 96;

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The beginning of a head.
    Part,
    /// An interim answer of this many bytes, to be skipped.
    Interim(usize),
    /// The head of the answer.
    Answer {
        /// How its body ends.
        end: End,
        /// Bytes to change in it, and what into, so that awc reads it as it is meant.
        edits: Vec<(usize, u8)>,
        /// What is kept of it, in the order and the spelling in which it came.
        headers: ResponseHeaders,
    },
    /// No head of an HTTP/1 answer. awc says so too, in its own way.
    Nonsense,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Where the head or the chunks say, also when that is at once: an earlier end of the connection is an error.
    Declared,
    /// With the connection.
    AtClose,
}

/// Looks at the first bytes of an answer.
pub(super) fn inspect(bytes: &[u8]) -> Seen {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    parser.allow_spaces_after_header_name_in_responses(true);
    let length = match parser.parse_response(&mut head, bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Seen::Part,
        Err(_) => return Seen::Nonsense,
    };
    match head.code {
        Some(100 | 102..=199) => Seen::Interim(length),
        Some(status) => answer(bytes, status, &head),
        None => Seen::Nonsense,
    }
}

fn answer(bytes: &[u8], status: u16, head: &httparse::Response<'_, '_>) -> Seen {
    let is_framing = |name: &str| ["content-length", "transfer-encoding"].iter().any(|f| name.eq_ignore_ascii_case(f));
    let framing = head.headers.iter().filter(|header| is_framing(header.name));
    let headers = ResponseHeaders::new(head.headers.iter().map(|header| (header.name, header.value)));
    // The last character of `HTTP/1.1`; empty lines may stand before it.
    let version_at = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count() + b"HTTP/1.".len();
    if matches!(status, 204 | 304) {
        // Renamed, a header that announces a body is one that nobody knows. HTTP/1.0 would be read to the end.
        let mut edits: Vec<(usize, u8)> =
            framing.map(|header| (header.name.as_ptr().addr() - bytes.as_ptr().addr(), b'x')).collect();
        if head.version == Some(0) {
            edits.push((version_at, b'1'));
        }
        return Seen::Answer { end: End::Declared, edits, headers };
    }
    if status == 101 || framing.count() > 0 {
        return Seen::Answer { end: End::Declared, edits: Vec::new(), headers };
    }
    Seen::Answer { end: End::AtClose, edits: vec![(version_at, b'0')], headers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let Seen::Answer { edits, .. } = inspect(&bytes) else { panic!("no answer: {text}") };
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn interim_answers_are_skipped_and_a_switch_of_protocols_is_not_one() {
        assert_eq!(inspect(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), Seen::Interim(25));
        assert!(matches!(inspect(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"), Seen::Interim(_)));
        assert!(matches!(inspect(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Seen::Answer { .. }));
    }

    #[test]
    fn a_head_in_pieces_waits_for_its_end() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(inspect(&head[..end]), Seen::Part, "{end}");
        }
        let headers = ResponseHeaders::new([("content-length", &b"2"[..])]);
        assert_eq!(inspect(head), Seen::Answer { end: End::Declared, edits: vec![], headers });
        assert_eq!(inspect(b"SSH-2.0-OpenSSH_9.2\r\n"), Seen::Nonsense);
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        assert_eq!(edited("HTTP/1.1 200 OK\r\n\r\n"), "HTTP/1.0 200 OK\r\n\r\n");
        assert_eq!(edited("\r\nHTTP/1.1 500 No\r\na: b\r\n\r\n"), "\r\nHTTP/1.0 500 No\r\na: b\r\n\r\n");
    }

    #[test]
    fn answers_without_a_body_announce_none() {
        assert_eq!(
            edited("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            "HTTP/1.1 304 Not Modified\r\nxontent-Length: 5\r\n\r\n"
        );
        assert_eq!(edited("HTTP/1.0 204 No Content\r\n\r\n"), "HTTP/1.1 204 No Content\r\n\r\n");
    }
}
