//! Reading what a request brings, with our words when it cannot be read.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    error::PayloadError,
    web::{PathConfig, QueryConfig},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// How long a body may take to arrive: whoever sends a byte now and then holds memory and a connection.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A whole body, at most as long as the route allows.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest for Body {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, payload));
        Box::pin(async move {
            let bytes = bytes.await.map_err(|_| Problem::malformed("The body did not arrive within 30 seconds."))?;
            bytes.map(Self).map_err(|error| refusal(&error))
        })
    }
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

fn refusal(error: &actix_web::Error) -> Problem {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Problem::body_too_large(),
        Some(_) | None => Problem::malformed(format!("The body cannot be read: {error}.")),
    }
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
