//! The body of a request (contract, section 3, "Bodies").

use actix_web::{HttpRequest, http::header, web::Payload};

use super::{
    answer::Answer,
    json::{Json, Object},
    text::strip,
};

/// The largest body, in bytes: the reference takes hooks of 3 MB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Reads the body as JSON; an empty one is an empty object, whatever its type.
///
/// # Errors
/// 415, 413, or 400 in Python's words.
pub(super) async fn read(request: &HttpRequest, payload: Payload) -> Result<Json, Answer> {
    let body = match payload.to_bytes_limited(MAX_BYTES).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(Answer::bad_body(&format!("The body cannot be read: {error}."))),
        Err(_) => return Err(Answer::too_large()),
    };
    if body.is_empty() {
        return Ok(Json::Object(Object::default()));
    }
    let media_type = request.headers().get(header::CONTENT_TYPE).map_or_else(String::new, text);
    if !is_json(&media_type) {
        return Err(Answer::unsupported_media_type(&media_type));
    }
    Json::parse(&body).map_err(|message| Answer::bad_body(&format!("JSON parse error - {message}")))
}

/// Header values are Latin-1.
fn text(value: &header::HeaderValue) -> String {
    value.as_bytes().iter().map(|&byte| char::from(byte)).collect()
}

/// Whether the media type, whatever its parameters, is JSON's or a range that includes it.
fn is_json(media_type: &str) -> bool {
    let media_type = strip(media_type.split(';').next().unwrap_or_default());
    let (main, sub) = media_type.split_once('/').unwrap_or((media_type, ""));
    let is = |part: &str, name: &str| part == "*" || part.eq_ignore_ascii_case(name);
    is(main, "application") && is(sub, "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_json() {
        for media_type in ["application/json", "Application/JSON; charset=bogus", " application/json ;x", "*/*"] {
            assert!(is_json(media_type), "{media_type}");
        }
        for media_type in [
            "",
            "text/plain",
            "application/vnd.api+json",
            "application/x-www-form-urlencoded",
            "json",
            "application /json",
        ] {
            assert!(!is_json(media_type), "{media_type}");
        }
    }
}
