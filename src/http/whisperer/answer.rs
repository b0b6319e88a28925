//! Answers in the contract's words.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::BoxBody,
    http::{StatusCode, header},
};
use serde::Serialize;
use serde_json::json;

use super::{errors::Faults, format::escape_line_ends};
use crate::{http::auth::Refused, store::StoreError};

/// An answer, but for the headers that every answer has.
pub(super) struct Answer {
    status: StatusCode,
    body: Body,
    /// Why the client is not known; becomes `WWW-Authenticate`.
    challenge: bool,
}

enum Body {
    Empty,
    Json(String),
    /// JSON that is written while it is read.
    Stream(BoxBody),
}

/// An answer, or the refusal that takes its place.
pub(super) type Served = Result<Answer, Answer>;

impl Answer {
    fn new(status: StatusCode, body: Body) -> Self {
        Self { status, body, challenge: false }
    }

    /// `value` as JSON.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let json = serde_json::to_string(value).expect("answers have text keys and finite numbers");
        Self::new(status, Body::Json(escape_line_ends(json)))
    }

    /// 200 with `value`.
    pub(super) fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// 200 with JSON that is complete already.
    pub(super) fn ok_text(json: String) -> Self {
        Self::new(StatusCode::OK, Body::Json(json))
    }

    /// 200 with JSON that is still being written.
    pub(super) fn stream(body: BoxBody) -> Self {
        Self::new(StatusCode::OK, Body::Stream(body))
    }

    /// A status alone.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self::new(status, Body::Empty)
    }

    fn detail(status: StatusCode, detail: &str) -> Self {
        Self::json(status, &json!({ "detail": detail }))
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    /// 404 for a page that is none.
    pub(super) fn invalid_page() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Invalid page.")
    }

    /// 405.
    pub(super) fn method_not_allowed(method: &str) -> Self {
        let detail = format!("Method \"{}\" not allowed.", method.to_uppercase());
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, &detail)
    }

    /// 415.
    pub(super) fn unsupported_media_type(media_type: &str) -> Self {
        let detail = format!("Unsupported media type \"{media_type}\" in request.");
        Self::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail)
    }

    /// 413.
    pub(super) fn too_large() -> Self {
        Self::detail(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.")
    }

    /// 400 for a body that cannot be read.
    pub(super) fn bad_body(detail: &str) -> Self {
        Self::detail(StatusCode::BAD_REQUEST, detail)
    }

    /// 400 with all that is wrong with the fields.
    pub(super) fn faults(faults: &Faults) -> Self {
        Self::json(StatusCode::BAD_REQUEST, faults)
    }

    /// 406 with one of the contract's codes (sections 5 and 7).
    pub(super) fn code(code: &str, en: &str) -> Self {
        Self::json(StatusCode::NOT_ACCEPTABLE, &json!({ "code": code, "en": en }))
    }

    /// 503: try again later.
    pub(super) fn unavailable() -> Self {
        Self::detail(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable, try again later.")
    }

    /// 500 with a fixed sentence; the cause was told in the log.
    pub(super) fn server_error() -> Self {
        Self::detail(StatusCode::INTERNAL_SERVER_ERROR, "A server error occurred.")
    }

    /// 401 (contract, section 2).
    pub(super) fn refused(refused: &Refused) -> Self {
        let detail = match refused {
            Refused::Missing => "Authentication credentials were not provided.",
            Refused::Empty => "Invalid token header. No credentials provided.",
            Refused::Spaces => "Invalid token header. Token string should not contain spaces.",
            Refused::NoText => "Invalid token header. Token string should not contain invalid characters.",
            Refused::Unknown => "Invalid token.",
            Refused::Inactive => "User inactive or deleted.",
            Refused::Unavailable(_) => return Self::unavailable(),
        };
        Self { challenge: true, ..Self::detail(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The response, with `allow` when the path is a route.
    pub(super) fn respond(self, allow: Option<&'static str>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        shield(&mut response);
        if let Some(allow) = allow {
            response.insert_header((header::ALLOW, allow)).insert_header((header::VARY, "Accept"));
        }
        if self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, "Token"));
        }
        match self.body {
            Body::Empty => response.finish(),
            Body::Json(json) => response.content_type("application/json").body(json),
            Body::Stream(body) => response.content_type("application/json").body(body),
        }
    }
}

/// 301 to the path with its slash (contract, section 1).
pub(super) fn redirect(path: &str, query: &str) -> HttpResponse {
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let mut response = HttpResponse::build(StatusCode::MOVED_PERMANENTLY);
    shield(&mut response);
    response
        .insert_header((header::LOCATION, format!("{path}/{query}")))
        .content_type("text/html; charset=utf-8")
        .body("")
}

/// The headers of the reference's middleware (contract, section 1).
fn shield(response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"));
}

impl From<StoreError> for Answer {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(),
            StoreError::NotFound => Self::not_found(),
            StoreError::Conflict(_) | StoreError::Sealed(_) | StoreError::Corrupt(_) => Self::server_error(),
        }
    }
}
