//! Carries requests to endpoints: one client on each thread that delivers.
//!
//! What awc does by itself and is refused here or in [`super::origin`]: it follows redirects; it bounds all hosts of a client
//! with one queue; it has three timers of its own, none of which covers the body; it reads bodies to their end or not at all;
//! it resolves names by blocking a thread; and it never closes idle connections of hosts that are not asked again, which
//! then wait in `CLOSE_WAIT` until no file descriptor is left.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::{
    body::read_body,
    classify::{self, Fate, answer},
    guard::{Checker, Guard},
    limbo::Limbo,
    line::Protocol,
    notes::Notes,
    origin::Origin,
    request::Request,
};
use crate::{
    domain::{attempt::Outcome, trace::Trace},
    metrics::Presence,
};

/// The most times that a request is written: once more because a connection was closed while it was idle, and each time
/// once more because the endpoint speaks another protocol than it did.
const MAX_TRIES: usize = 4;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// For the delivery.
    pub outcome: Outcome,
    /// For people who look.
    pub trace: Trace,
}

/// Sends requests and says what came of them. Stays on its thread.
pub struct Client {
    checker: Rc<Checker>,
    tls: Arc<ClientConfig>,
    /// Where connections are counted while they are open.
    open: Presence,
    notes: Notes,
    limbo: Limbo,
    origins: RefCell<HashMap<Arc<str>, Rc<Origin>>>,
}

impl Client {
    /// A client that goes where `guard` lets it, and trusts the certificate authorities of Mozilla.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self::trusting(guard, webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    /// A client that trusts `roots` instead.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a client owns its guard, as its callers see it")]
    pub fn trusting(guard: Guard, roots: RootCertStore) -> Self {
        // Named, not the default of the process: nobody can forget to set it.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (checker, tls) = (Rc::new(guard.checker()), Arc::new(tls));
        Self {
            checker,
            tls,
            open: Presence::default(),
            notes: Notes::default(),
            limbo: Limbo::default(),
            origins: RefCell::default(),
        }
    }

    /// The same, with its connections counted in `open`.
    #[must_use]
    pub fn counted_in(self, open: Presence) -> Self {
        Self { open, ..self }
    }

    /// Makes one attempt. Ends when the answer is read, or at the deadline of the subscription, whichever comes first;
    /// the deadline covers everything from the look-up of the name to the last byte. Dropping it closes the connection.
    pub async fn send(&self, request: Request) -> Sent {
        let trace = Cell::default();
        let outcome = self.attempt_in_time(&request, &trace).await;
        Sent { outcome, trace: Trace { request: Some(request.head), ..trace.take() } }
    }

    async fn attempt_in_time(&self, request: &Request, trace: &Cell<Trace>) -> Outcome {
        let limit = request.timeout();
        if let Ok(outcome) = timeout(limit, self.attempt(request, trace)).await {
            if outcome == Outcome::NotAttempted {
                self.close_idle();
            }
            return outcome;
        }
        // An HTTP/1 connection is gone with its request. One of HTTP/2 stays, and if nobody is at its other end any more,
        // all requests to come would wait there in vain.
        let origin = self.origin(request);
        if origin.speaks() == Protocol::Http2 {
            self.start_anew(request, &origin, Protocol::Http2);
        }
        classify::late(limit)
    }

    /// To be called every 10 s: forgets origins that were not used for some 30 s, and closes their connections.
    pub fn reap(&self) {
        // One that is in use goes on with what it has; only the next request to it finds a new one.
        self.origins.borrow_mut().retain(|_, origin| !origin.is_over());
    }

    /// Closes what waits for requests to come: something else needs the file descriptors now.
    fn close_idle(&self) {
        self.origins.borrow_mut().retain(|_, origin| Rc::strong_count(origin) > 1);
    }

    async fn attempt(&self, request: &Request, trace: &Cell<Trace>) -> Outcome {
        let started = Instant::now();
        let mut is_second = false;
        for _ in 0..MAX_TRIES {
            let origin = self.origin(request);
            let error = match origin.send(request, trace).await {
                Ok(response) => {
                    let known = trace.take();
                    trace.set(Trace {
                        first_byte: Some(started.elapsed()),
                        response: known.response.or_else(|| Some(classify::headers(&response))),
                        ..known
                    });
                    let head = answer(&response, || request.now.after(started.elapsed()));
                    return match read_body(response).await {
                        Ok(body) => Outcome::Answered(head.with_body(body)),
                        Err(error) => classify::broken_body(&error),
                    };
                }
                Err(error) => error,
            };
            match classify::fate(&error) {
                Fate::Came(outcome) => return outcome,
                Fate::Speaks(protocol) => self.start_anew(request, &origin, protocol),
                // The endpoint closed it between two attempts, which says nothing about this one. All others that are
                // idle are as old: a new client leaves them behind.
                Fate::Stale if !is_second => {
                    is_second = true;
                    self.start_anew(request, &origin, origin.speaks());
                }
                Fate::Stale => return classify::unanswered(),
            }
        }
        classify::unanswered()
    }

    fn origin(&self, request: &Request) -> Rc<Origin> {
        let shared = &request.template.0;
        if let Some(origin) = self.origins.borrow().get(&shared.origin) {
            return Rc::clone(origin);
        }
        let (checker, tls) = (Rc::clone(&self.checker), Arc::clone(&self.tls));
        let (notes, limbo, open) = (self.notes.clone(), self.limbo.clone(), self.open.clone());
        let origin = Rc::new(Origin::new(&request.template, checker, tls, notes, limbo, open));
        self.origins.borrow_mut().insert(Arc::clone(&shared.origin), Rc::clone(&origin));
        origin
    }

    /// Leaves `old` to those who still use it; the next request finds a new one that speaks `protocol`. When somebody was
    /// faster, theirs stays.
    fn start_anew(&self, request: &Request, old: &Rc<Origin>, protocol: Protocol) {
        let key = &request.template.0.origin;
        let mut origins = self.origins.borrow_mut();
        if origins.get(key).is_none_or(|current| Rc::ptr_eq(current, old)) {
            origins.insert(Arc::clone(key), Rc::new(old.anew(protocol)));
        }
        if let Some(current) = origins.get(key) {
            current.adopt(old);
        }
    }
}
