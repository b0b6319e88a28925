//! Who asks: the owner behind a token.
//!
//! Tokens are looked up by their SHA-256, and what was found is remembered for a few seconds, so that a flood of events
//! does not ask the database for the same owner each time. A revoked token is refused within [`REMEMBERED`].

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web};

use super::{State, problem::Problem};
use crate::{
    domain::{
        owner::{Owner, Standing},
        time::Timestamp,
        token::{TokenDigest, token_digest},
    },
    store::{Lane, StoreError, owners::find_by_token},
};

/// How long the owner of a token is remembered.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many tokens are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Why a request has no owner.
#[derive(Debug)]
pub enum Refused {
    /// No `Authorization` header, or one of another scheme.
    Missing,
    /// A scheme and nothing behind it.
    Empty,
    /// More than one word behind the scheme.
    Spaces,
    /// Bytes behind the scheme that are no text.
    NoText,
    /// No such token.
    Unknown,
    /// The owner's tokens are not honoured.
    Inactive,
    /// The database could not be asked.
    Unavailable(StoreError),
}

type Remembered = HashMap<TokenDigest, (Arc<Owner>, Timestamp)>;

/// Owners that were looked up lately; cloning shares them.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<Remembered>>);

impl Tokens {
    fn recall(&self, digest: &TokenDigest, now: Timestamp) -> Option<Arc<Owner>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (owner, since) = remembered.get(digest)?;
        (now.since(*since) < REMEMBERED).then(|| Arc::clone(owner))
    }

    /// Forgets whom tokens belong to: something about an owner or a token has changed.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn remember(&self, digest: TokenDigest, owner: Arc<Owner>, now: Timestamp) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest, (owner, now));
    }
}

/// The owner behind the token of `request`: `Authorization: Token <token>` (contract, section 2) or `Bearer <token>`.
///
/// # Errors
/// [`Refused`], with the reason.
pub async fn owner_of(request: &HttpRequest, state: &State) -> Result<Arc<Owner>, Refused> {
    owner_behind(token_digest(token_in(request)?), state).await
}

/// The owner of the token with this digest.
///
/// # Errors
/// [`Refused`] when nobody has it, they are inactive, or the database cannot say.
pub async fn owner_behind(digest: TokenDigest, state: &State) -> Result<Arc<Owner>, Refused> {
    let now = state.clock.now();
    let owner = if let Some(owner) = state.tokens.recall(&digest, now) {
        owner
    } else {
        let found = state.store.run(Lane::Read, move |connection| find_by_token(connection, &digest)).await;
        let owner = Arc::new(found.map_err(Refused::Unavailable)?.ok_or(Refused::Unknown)?);
        state.tokens.remember(digest, Arc::clone(&owner), now);
        owner
    };
    match owner.standing {
        Standing::Active => Ok(owner),
        Standing::Inactive => Err(Refused::Inactive),
    }
}

pub(super) fn token_in(request: &HttpRequest) -> Result<&str, Refused> {
    let value = request.headers().get(header::AUTHORIZATION).ok_or(Refused::Missing)?;
    let mut words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let scheme = words.next().ok_or(Refused::Missing)?;
    if !["token", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())) {
        return Err(Refused::Missing);
    }
    let token = words.next().ok_or(Refused::Empty)?;
    if words.next().is_some() { Err(Refused::Spaces) } else { str::from_utf8(token).map_err(|_| Refused::NoText) }
}

/// The owner who asks, for handlers of the native API.
pub struct Caller(pub Arc<Owner>);

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = request.app_data::<web::Data<State>>().expect("every app is given its state");
            Ok(Self(owner_of(&request, state).await?))
        })
    }
}
