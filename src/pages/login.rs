//! `/login` and `/logout`: a token for a cookie, and back.
//!
//! Tokens are long and random, so guessing is hopeless; it is slow, too. A token that opens nothing is answered after a second,
//! whatever is wrong with it, and few are refused at once. A good token waits behind none of these: who guesses must not keep
//! others out.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload, Query},
};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    Pages,
    answer::{Refusal, page, see_other},
    form::{Filled, Form},
    layout,
    parts::field::{self, Field},
    session::{Posted, cookie, is_from_here, set_cookie},
};
use crate::{
    domain::token::token_digest,
    http::{State, auth::owner_behind, body, problem::Problem},
};

/// How long the answer to a token that opens nothing takes.
const REFUSAL_TAKES: Duration = Duration::from_secs(1);
/// How long a refusal waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest form, in bytes: a token, and a path with its filter. Anybody may send one, so little of it is taken in.
pub(super) const MAX_BYTES: usize = 32 * 1024;
/// Logins that are refused at once.
const AT_ONCE: usize = 8;

/// Where refusals wait for their turn; cloning shares it.
#[derive(Clone)]
pub struct Doors(Arc<Semaphore>);

impl Default for Doors {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// Where to go afterwards.
#[derive(Default, Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// A path of ours; what could lead elsewhere is the overview.
pub(super) fn local(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains(|c: char| c == '\\' || c.is_control())
            && !path.starts_with("/login")
    };
    next.filter(is_local).unwrap_or("/")
}

/// The form.
pub(super) async fn show(query: Query<Next>) -> HttpResponse {
    page(StatusCode::OK, form(local(query.next.as_deref()), &Filled::default()))
}

fn form(next: &str, filled: &Filled) -> Markup {
    let token = Field::new("token", "Token").secret().required().hint("As you send it to the API.");
    layout::bare(
        "Log in",
        html! {
            h1 { "Log in" }
            form.stack method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                (field::alert(filled))
                (token.autocomplete("current-password").render(filled, ""))
                button.primary type="submit" { "Log in" }
            }
        },
    )
}

/// Begins a session when the token is good.
pub(super) async fn log_in(
    request: HttpRequest,
    state: Data<State>,
    pages: Data<Pages>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    if !is_from_here(&request) {
        return Err(Refusal::Forged);
    }
    let sent = Form::read(&body::read(&request, payload.into_inner()).await?);
    let next = local(sent.raw("next")).to_owned();
    let digest = token_digest(sent.text("token").unwrap_or_default());
    match owner_behind(digest, &state).await.map_err(Problem::from) {
        Ok(_) => {
            if let Some(former) = cookie(&request) {
                pages.sessions.end(former);
            }
            let id = pages.sessions.begin(digest, state.clock.now());
            let mut answer = see_other(&next);
            let cookie = set_cookie(&request, &id).parse().expect("digits and letters make a header");
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(answer)
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            log::warn!(client = request.connection_info().peer_addr().unwrap_or("unknown"); "a login was refused");
            let Ok(Ok(_turn)) = timeout(PATIENCE, pages.doors.0.acquire()).await else {
                return Ok(page(
                    StatusCode::TOO_MANY_REQUESTS,
                    form(&next, &refused("Too many are logging in; try again in a moment.")),
                ));
            };
            sleep(REFUSAL_TAKES).await;
            Ok(page(
                StatusCode::UNAUTHORIZED,
                form(&next, &refused("This token opens nothing. Tokens are given out by an admin.")),
            ))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// The token is not sent back.
fn refused(detail: &str) -> Filled {
    Filled::default().fault("token", detail)
}

/// Ends the session.
pub(super) async fn log_out(request: HttpRequest, pages: Data<Pages>, _: Posted) -> HttpResponse {
    if let Some(id) = cookie(&request) {
        pages.sessions.end(id);
    }
    let mut answer = see_other("/login");
    let cookie = set_cookie(&request, "").parse().expect("digits and letters make a header");
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_a_page_of_ours() {
        for path in ["/", "/deliveries?state=dead&event_type=a.b", "/subscriptions/7#queue"] {
            assert_eq!(local(Some(path)), path);
        }
        for path in [
            "",
            "//evil.example",
            "https://evil.example/",
            "/\\evil.example",
            "/a\\b",
            "/\n/evil.example",
            "/login?next=/",
        ] {
            assert_eq!(local(Some(path)), "/", "{path:?}");
        }
        assert_eq!(local(None), "/");
    }
}
