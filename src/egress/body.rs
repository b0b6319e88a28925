//! Reads the body of an answer, as much as is worth reading.

use std::io::Read;

use awc::{
    ClientResponse,
    error::PayloadError,
    http::{StatusCode, header::CONTENT_ENCODING},
};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures_util::StreamExt;

use crate::domain::attempt::KEPT_BODY_BYTES;

/// The most bytes of a body that are read. A longer one is cut, and its connection closed.
const MAX_READ_BYTES: usize = 64 * 1024;

/// The first [`KEPT_BODY_BYTES`] of the body, decoded. A body that ends within [`MAX_READ_BYTES`] is read to its end, so
/// that its connection can be used again.
///
/// # Errors
/// When the body breaks off.
pub(super) async fn read_body(mut response: ClientResponse) -> Result<Bytes, PayloadError> {
    let coding = Coding::of(&response);
    // What is kept of the bytes as they come: a compressed body is decoded from all that is read.
    let keep = if coding == Coding::Plain { KEPT_BODY_BYTES } else { MAX_READ_BYTES };
    let mut kept = Vec::new();
    let mut read = 0;
    // After 101 there is no body but another protocol, which we never asked for.
    while response.status() != StatusCode::SWITCHING_PROTOCOLS && read <= MAX_READ_BYTES {
        let Some(piece) = response.next().await else { break };
        let piece = piece?;
        read += piece.len();
        kept.extend_from_slice(&piece[..piece.len().min(keep - kept.len())]);
    }
    Ok(coding.decode(kept).into())
}

/// How a body is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

impl Coding {
    /// One that we do not know leaves the body as it comes.
    fn of(response: &ClientResponse) -> Self {
        match response.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
            Some(b"gzip" | b"x-gzip") => Self::Gzip,
            Some(b"deflate") => Self::Deflate,
            Some(_) | None => Self::Plain,
        }
    }

    /// The beginning of what `bytes` hold, however much that would be in all; `bytes` themselves when they hold nothing.
    fn decode(self, bytes: Vec<u8>) -> Vec<u8> {
        let decoded = match self {
            Self::Plain => return bytes,
            Self::Gzip => beginning(MultiGzDecoder::new(&bytes[..])),
            // "deflate" means zlib (RFC 9110, section 8.4.1.2), but some send the bare stream.
            Self::Deflate => {
                let zlib = beginning(ZlibDecoder::new(&bytes[..]));
                if zlib.is_empty() { beginning(DeflateDecoder::new(&bytes[..])) } else { zlib }
            }
        };
        let mut kept = if decoded.is_empty() { bytes } else { decoded };
        kept.truncate(KEPT_BODY_BYTES);
        kept
    }
}

/// Up to [`KEPT_BODY_BYTES`] of what can be read. A cut or broken stream gives what came before the break.
fn beginning(source: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let limit = KEPT_BODY_BYTES.try_into().unwrap_or(u64::MAX);
    if let Err(error) = source.take(limit).read_to_end(&mut kept) {
        log::debug!(error:% = error; "the compressed body of an answer breaks off");
    }
    kept
}
