//! What one thread keeps for one origin: an awc client and its connections.
//!
//! Subscriptions that spell their headers unusually ([`super::spelling`]) share it only with those that spell them so, too:
//! what a connection respells is then the same for every request on it, whichever awc gives it to.
//!
//! A client per origin, because awc bounds and pools per client: what happens at one origin cannot hold up another, and
//! dropping the client closes all its idle connections, which awc itself never does ([`super::client`]).

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use awc::{
    ClientResponse, SendClientRequest,
    error::{FreezeRequestError, SendRequestError},
    http::{
        Method,
        header::{self, EXPECT, HeaderName},
    },
};
use tokio_rustls::rustls::ClientConfig;

use super::{
    dialler::Dialler,
    guard::Checker,
    limbo::Limbo,
    line::Protocol,
    notes::Notes,
    request::{MOST_LATE_HEADERS, Request},
    template::Template,
};
use crate::{domain::trace::Trace, metrics::Presence};

/// awc's own timers, set so far away that they never end anything: the attempt has one deadline, which is ours.
const NEVER: Duration = Duration::from_hours(24);
/// A connection that was not used for this long is not used again: few servers keep one longer.
const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// What HTTP/2 does not carry (RFC 9113, section 8.2.2) and awc would send all the same.
const NOT_IN_HTTP2: [&str; 4] = ["keep-alive", "proxy-connection", "te", "upgrade"];

/// After so many rounds of 10 s without use an origin is forgotten and its connections are closed.
const ROUNDS_UNUSED: u32 = 3;
/// After so many rounds it is forgotten in any case, so that an endpoint whose name moves is followed.
const ROUNDS_IN_ALL: u32 = 30;

/// One origin, as one thread sees it.
pub(super) struct Origin {
    client: awc::Client,
    dialler: Dialler,
    limbo: Limbo,
    speaks: Protocol,
    rounds: Cell<Rounds>,
}

/// How often [`Client::reap`](super::Client::reap) came by.
#[derive(Clone, Copy, Default)]
struct Rounds {
    in_all: u32,
    unused: u32,
}

impl Origin {
    pub(super) fn new(
        template: &Template,
        checker: Rc<Checker>,
        tls: Arc<ClientConfig>,
        notes: Notes,
        limbo: Limbo,
        open: Presence,
    ) -> Self {
        let (destination, spelling) = (Arc::clone(&template.0.destination), template.0.spelling.clone());
        Self::through(Dialler::new(destination, spelling, checker, tls, notes, open), limbo, Protocol::Http1)
    }

    /// A new start at the same origin, in `protocol`, with connections of its own.
    pub(super) fn anew(&self, protocol: Protocol) -> Self {
        Self::through(self.dialler.another(), self.limbo.clone(), protocol)
    }

    fn through(dialler: Dialler, limbo: Limbo, speaks: Protocol) -> Self {
        let connector = awc::Connector::new()
            .connector(dialler.clone())
            // No bound of awc's: it would be one queue, and slots are counted where the order is known.
            .limit(0)
            .timeout(NEVER)
            .handshake_timeout(NEVER)
            .conn_keep_alive(CONNECTION_IDLE)
            .conn_lifetime(NEVER);
        let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        Self { client, dialler, limbo, speaks, rounds: Cell::default() }
    }

    /// Sends `request` and waits for the head of the answer; `trace` tells what it met.
    pub(super) async fn send(
        &self,
        request: &Request,
        trace: &Cell<Trace>,
    ) -> Result<ClientResponse, SendRequestError> {
        self.rounds.set(Rounds { unused: 0, ..self.rounds.get() });
        self.dialler.set_patience(request.timeout() / 4);
        if self.speaks == Protocol::Http2 {
            // Unless one is dialled now. Nothing on a shared connection tells whose turn it is.
            let known = trace.take();
            trace.set(Trace { remote: self.dialler.newest().or(known.remote), ..known });
        }
        let sending = self.dialler.noting(trace, self.begin(request)?);
        match self.speaks {
            Protocol::Http1 => self.limbo.around(sending).await,
            // A task of awc's carries the connection.
            Protocol::Http2 => sending.await,
        }
    }

    /// What requests are written for.
    pub(super) const fn speaks(&self) -> Protocol {
        self.speaks
    }

    /// Takes over the connections on which `other` found that they speak this protocol.
    pub(super) fn adopt(&self, other: &Self) {
        self.dialler.adopt(&other.dialler);
    }

    /// Called at intervals. Says whether the origin may be forgotten, because it was not used for a while or because of its age.
    pub(super) fn is_over(&self) -> bool {
        let Rounds { in_all, unused } = self.rounds.get();
        self.rounds.set(Rounds { in_all: in_all + 1, unused: unused + 1 });
        unused + 1 >= ROUNDS_UNUSED || in_all + 1 >= ROUNDS_IN_ALL
    }

    /// Hands `request` to awc. Its head is made for it alone: to keep one for each subscription costs memory and saves no time.
    fn begin(&self, request: &Request) -> Result<SendClientRequest, FreezeRequestError> {
        let shared = &request.template.0;
        let uri = match self.speaks {
            Protocol::Http1 => &shared.uri,
            Protocol::Http2 => shared.secure_uri.as_ref().unwrap_or(&shared.uri),
        };
        // Bodies are decoded by us (super::body), with a bound. Camel-Case is how the contract spells names.
        let mut sending = self.client.request(Method::POST, uri).no_decompress().camel_case();
        if shared.closes {
            sending = sending.force_close();
        }
        let headers = sending.headers_mut();
        headers.reserve(shared.headers.len() + MOST_LATE_HEADERS);
        for (name, value) in &*shared.headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in request.late_headers() {
            headers.insert(name, value.clone());
        }
        if self.speaks == Protocol::Http2 {
            for name in NOT_IN_HTTP2 {
                headers.remove(HeaderName::from_static(name));
            }
            headers.remove(header::CONNECTION);
        }
        let body = request.body.clone();
        Ok(match &shared.expect {
            None => sending.send_body(body),
            // awc looks for it among the other headers, and would wait for `100 Continue`.
            Some(expect) => sending.freeze()?.extra_header((EXPECT, expect.clone())).send_body(body),
        })
    }
}
