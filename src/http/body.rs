//! Reading what a request brings, with our words when it cannot be read.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header,
    web::{PathConfig, QueryConfig},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How long a body may take to arrive: whoever sends a byte now and then holds memory and a connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body, in bytes, where a path says nothing else: administration has little to say.
const MAX_BYTES: usize = 1024 * 1024;
/// What is set aside, in bytes, for a body of which only the length is known.
const MAX_BYTES_AHEAD: usize = 64 * 1024;

/// How large a body a path takes, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct MaxBytes(pub(crate) usize);

/// A whole body, at most as long as the path allows.
pub(crate) struct Body(pub(crate) Bytes);

impl FromRequest for Body {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { read(&request, payload).await.map(Self) })
    }
}

/// Reads a whole body, for a path that wants to know first who asks.
///
/// # Errors
/// 413 when it is longer than the path allows, 400 when it does not arrive.
pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let most = request.app_data::<MaxBytes>().map_or(MAX_BYTES, |most| most.0);
    let announced = announced_length(request);
    if announced > most {
        return Err(Problem::body_too_large());
    }
    let arrived = tokio::time::timeout(BODY_TIMEOUT, gather(payload, announced, most)).await;
    arrived.map_err(|_| Problem::malformed("The body did not arrive within 30 seconds."))?
}

/// 0 when nothing is announced, which says nothing.
fn announced_length(request: &HttpRequest) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

/// Into one buffer, as large as was announced: a payload is kept for as long as it is owed, and counted by its length.
async fn gather(mut payload: Payload, announced: usize, most: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::with_capacity(announced.min(MAX_BYTES_AHEAD));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::malformed(format!("The body cannot be read: {error}.")))?;
        if body.len() + chunk.len() > most {
            return Err(Problem::body_too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads a JSON object.
///
/// # Errors
/// 400 with what is wrong and where.
pub(super) fn read_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    // An array would pass for the members of the structure in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::malformed("The body must be a JSON object."));
    }
    serde_json::from_slice(body).map_err(|error| Problem::malformed(format!("The body is not valid: {error}.")))
}

/// Reads a JSON object that need not be there.
///
/// # Errors
/// 400 with what is wrong and where.
pub(super) fn read_optional_json<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { read_json(body) }
}

/// How refused query strings are told.
pub(super) fn query_config() -> QueryConfig {
    QueryConfig::default()
        .error_handler(|error, _| Problem::malformed(format!("The query string is not valid: {error}.")).into())
}

/// A path whose id is none names nothing.
pub(super) fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|_, _| Problem::not_found("There is nothing with this id.").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    struct Asked {
        #[expect(dead_code, reason = "it is only read")]
        seconds: Option<u32>,
    }

    /// A rotation of a secret was once ordered by `[null, null]`.
    #[test]
    fn a_list_does_not_pass_for_the_members_of_an_object() {
        let read = |text: &'static str| read_optional_json::<Asked>(&Bytes::from_static(text.as_bytes())).is_ok();
        assert!(read(" {\"seconds\": 1} ") && read("{}") && read("  "));
        assert!(!read("[1]") && !read("[null]") && !read("null") && !read("1"));
    }
}
