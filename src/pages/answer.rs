//! How pages are answered: with what headers, and how refusals look.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::layout;
use crate::{
    http::problem::{Problem, ProblemBody},
    store::StoreError,
};

/// A browser runs, loads and asks nothing that is not ours, and shows a page of ours inside of nobody else's.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What stands on every page's head. `same-origin` and not `no-referrer`: with the latter browsers send `Origin: null` with a
/// form, and we could not see any more that it is ours.
const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// A whole page.
pub(super) fn page(status: StatusCode, page: Markup) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    for header in HEADERS {
        answer.insert_header(header);
    }
    // Payloads and names of customers: not for a cache, nor for the next one at this machine.
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    answer.body(page.into_string())
}

/// Has the browser get another page, after an order too.
pub(super) fn see_other(path: &str) -> HttpResponse {
    let mut answer = HttpResponse::SeeOther();
    for header in HEADERS {
        answer.insert_header(header);
    }
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.insert_header((header::LOCATION, path)).finish()
}

/// `text` as a value in a query string.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody is logged in: to the login, and back to this path after it.
    LogIn(String),
    /// A form that is not ours, or from a session that is over.
    Forged,
    /// What the API would refuse, too.
    Problem(Problem),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LogIn(_) => f.write_str("nobody is logged in"),
            Self::Forged => f.write_str("the form is not ours"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::LogIn(_) => StatusCode::SEE_OTHER,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::Problem(problem) => problem.status(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let (title, detail) = match self {
            Self::LogIn(back) => return see_other(&login_path(back)),
            Self::Forged => (
                "This form cannot be taken",
                "It does not come from a page of this session. Go back, load the page again, and repeat what you did."
                    .to_owned(),
            ),
            Self::Problem(problem) => {
                let ProblemBody { title, detail, .. } = problem.clone().into_body();
                (title, detail)
            }
        };
        let incident = match self {
            Self::Problem(problem) => problem.body()["incident"].as_str().map(str::to_owned),
            Self::LogIn(_) | Self::Forged => None,
        };
        let body = html! {
            h1 { (title) }
            p { (detail) }
            @if let Some(incident) = incident { p { "Incident " code { (incident) } } }
            p { a href="/" { "To the overview" } }
        };
        page(self.status_code(), layout::bare(title, body))
    }
}

/// The login, from which the way leads back to `back`.
fn login_path(back: &str) -> String {
    if back.is_empty() || back == "/" { "/login".to_owned() } else { format!("/login?next={}", encoded(back)) }
}
