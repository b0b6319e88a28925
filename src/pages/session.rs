//! Who looks: a browser with a cookie that stands for a token.
//!
//! The cookie carries a random number. Which token it stands for is known here only, in memory: by its digest, and for half a
//! day. Whom the token belongs to is asked anew with each request, as the API does it, so that a token that was revoked, or an
//! owner who is inactive, is out at once. After a restart people log in again.
//!
//! A form counts only when it comes from a page of ours: `SameSite` keeps the cookie from what other sites send, the browser
//! says where a form comes from, and each form carries a text that only our pages of this session have.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, StatusCode, header},
    web::Data,
};
use subtle::ConstantTimeEq;

use super::{Pages, answer::Refusal, form::Form, told::sentence_in};
use crate::{
    domain::{
        owner::{Owner, Scope},
        signature::hex,
        time::Timestamp,
        token::{TokenDigest, token_digest},
    },
    http::{State, auth::owner_behind, body, problem::Problem},
};

/// The cookie.
const COOKIE: &str = "postrider_session";
/// How long a session lasts from the login on: a working day and some.
const LASTS: Duration = Duration::from_hours(12);
/// Sessions in all; beyond it the oldest ends.
const MOST: usize = 10_000;
/// Sessions of one token; beyond it the oldest of them ends, so that nobody drives the others out.
const MOST_OF_ONE: usize = 20;

#[derive(Clone)]
struct Session {
    token: TokenDigest,
    csrf: String,
    since: Timestamp,
}

/// Who is logged in; cloning shares it.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<HashMap<TokenDigest, Session>>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<TokenDigest, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session for a token that is good; gives what its cookie carries.
    pub(super) fn begin(&self, token: TokenDigest, now: Timestamp) -> String {
        let id = hex(&rand::random::<[u8; 32]>());
        let session = Session { token, csrf: hex(&rand::random::<[u8; 32]>()), since: now };
        let mut all = self.all();
        all.retain(|_, session| now.since(session.since) < LASTS);
        if all.values().filter(|session| session.token == token).count() >= MOST_OF_ONE {
            end_oldest(&mut all, |session| session.token == token);
        }
        if all.len() >= MOST {
            end_oldest(&mut all, |_| true);
        }
        all.insert(token_digest(&id), session);
        id
    }

    /// Ends the session of a cookie.
    pub(super) fn end(&self, id: &str) {
        self.all().remove(&token_digest(id));
    }

    fn find(&self, id: &str, now: Timestamp) -> Option<Session> {
        self.all().get(&token_digest(id)).filter(|session| now.since(session.since) < LASTS).cloned()
    }
}

fn end_oldest(all: &mut HashMap<TokenDigest, Session>, of: impl Fn(&Session) -> bool) {
    let oldest = all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.since);
    if let Some(id) = oldest.map(|(id, _)| *id) {
        all.remove(&id);
    }
}

/// The value of `Set-Cookie` that begins a session, or ends it when `id` is empty.
///
/// Written by hand: the crate for cookies brings a calendar along, for a header that is always the same.
pub(super) fn set_cookie(request: &HttpRequest, id: &str) -> String {
    let lasts = if id.is_empty() { 0 } else { LASTS.as_secs() };
    // Behind a proxy that speaks TLS the connection to us is not what the browser sees.
    let secure = if request.connection_info().scheme() == "https" { "; Secure" } else { "" };
    format!("{COOKIE}={id}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}")
}

/// What the cookie of a request carries.
pub(super) fn cookie(request: &HttpRequest) -> Option<&str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whether a form comes from a page of ours, as far as the browser says: `Sec-Fetch-Site`, else `Origin`. A client that says
/// neither is no browser of these years, and is held to the text in the form.
pub(super) fn is_from_here(request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            origin.split_once("://").is_some_and(|(_, host)| host == request.connection_info().host())
        }
        (None, None) => true,
    }
}

/// Whoever is logged in.
#[derive(Clone)]
pub(super) struct Visitor {
    /// The owner of the token.
    pub(super) owner: Arc<Owner>,
    /// What forms of this session carry.
    pub(super) csrf: String,
    /// What was done just before.
    pub(super) told: Option<&'static str>,
}

impl Visitor {
    /// What they may see.
    pub(super) fn scope(&self) -> Scope {
        self.owner.scope()
    }

    /// Whether they see everybody's things.
    pub(super) fn sees_all(&self) -> bool {
        self.owner.role.sees_all()
    }
}

async fn visitor(request: &HttpRequest) -> Result<Visitor, Refusal> {
    let pages = request.app_data::<Data<Pages>>().expect("every app is given its pages");
    let state = request.app_data::<Data<State>>().expect("every app is given its state");
    let back = || {
        let path = request.uri().path_and_query().filter(|_| request.method() == Method::GET);
        Refusal::LogIn(path.map(ToString::to_string).unwrap_or_default())
    };
    let id = cookie(request).ok_or_else(back)?;
    let session = pages.sessions.find(id, state.clock.now()).ok_or_else(back)?;
    match owner_behind(session.token, state).await.map_err(Problem::from) {
        Ok(owner) => Ok(Visitor { owner, csrf: session.csrf, told: sentence_in(request.query_string()) }),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            pages.sessions.end(id);
            Err(back())
        }
        Err(problem) => Err(problem.into()),
    }
}

impl FromRequest for Visitor {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { visitor(&request).await })
    }
}

/// A form of this session, and who sent it.
pub(super) struct Posted {
    /// Who.
    pub(super) visitor: Visitor,
    /// What they filled in.
    pub(super) form: Form,
}

impl FromRequest for Posted {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if !is_from_here(&request) {
                return Err(Refusal::Forged);
            }
            let visitor = visitor(&request).await?;
            let form = Form::read(&body::read(&request, payload).await?);
            let given = form.raw("csrf").unwrap_or_default();
            if bool::from(given.as_bytes().ct_eq(visitor.csrf.as_bytes())) {
                Ok(Self { visitor, form })
            } else {
                Err(Refusal::Forged)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn a_session_ends_by_itself_by_hand_or_for_a_younger_one() {
        let sessions = Sessions::default();
        let id = sessions.begin([1; 32], NOW);
        assert!(sessions.find(&id, NOW).is_some() && sessions.find("", NOW).is_none());
        assert!(sessions.find(&id, NOW.after(LASTS)).is_none());
        let other = sessions.begin([2; 32], NOW);
        for second in 1..=MOST_OF_ONE as u64 {
            sessions.begin([1; 32], NOW.after(Duration::from_secs(second)));
        }
        assert!(sessions.find(&id, NOW).is_none(), "the oldest of its token is gone");
        assert!(sessions.find(&other, NOW).is_some(), "another token's session is not");
        sessions.end(&other);
        assert!(sessions.find(&other, NOW).is_none());
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let asks = |headers: &[(&'static str, &'static str)]| {
            let request = TestRequest::default().insert_header(("host", "desk.example"));
            is_from_here(
                &headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request(),
            )
        };
        assert!(asks(&[]));
        assert!(asks(&[("origin", "https://desk.example")]));
        assert!(asks(&[("sec-fetch-site", "same-origin"), ("origin", "https://desk.example")]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!asks(&[("sec-fetch-site", site), ("origin", "https://desk.example")]), "{site}");
        }
        for origin in ["https://evil.example", "null", "https://desk.example.evil.example"] {
            assert!(!asks(&[("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let request =
            TestRequest::default().insert_header(("cookie", "a=b; postrider_session=17; c=d")).to_http_request();
        assert_eq!(cookie(&request), Some("17"));
        assert_eq!(cookie(&TestRequest::default().to_http_request()), None);
    }
}
