//! What one thread keeps for one origin: an awc client, its connections, and the heads of requests.
//!
//! A client per origin, because awc bounds and pools per client: what happens at one origin cannot hold up another, and
//! dropping the client closes all its idle connections, which awc itself never does ([`super::client`]).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use awc::{
    ClientResponse, FrozenClientRequest,
    error::{FreezeRequestError, SendRequestError},
    http::{
        Method,
        header::{self, HeaderName},
    },
};
use tokio_rustls::rustls::ClientConfig;

use super::{
    dialler::Dialler,
    guard::Checker,
    line::Protocol,
    request::Request,
    template::{Shared, Template},
};

/// awc's own timers, set so far away that they never end anything: the attempt has one deadline, which is ours.
const NEVER: Duration = Duration::from_hours(24);
/// A connection that was not used for this long is not used again: few servers keep one longer.
const CONNECTION_IDLE: Duration = Duration::from_secs(30);
/// A connection is given up at this age, so that an endpoint whose name moves is followed.
const CONNECTION_AGE: Duration = Duration::from_mins(5);
/// What HTTP/2 does not carry (RFC 9113, section 8.2.2) and awc would send all the same.
const NOT_IN_HTTP2: [&str; 4] = ["keep-alive", "proxy-connection", "te", "upgrade"];

/// One origin, as one thread sees it.
pub(super) struct Origin {
    client: awc::Client,
    dialler: Dialler,
    /// What the endpoint was last heard to speak.
    speaks: Cell<Protocol>,
    /// By the address of the template, which lives as long as its entry.
    heads: RefCell<HashMap<*const Shared, Head>>,
    rounds_unused: Cell<u32>,
}

/// A request without its body and its late headers, and the template it was made of.
struct Head {
    template: Template,
    request: FrozenClientRequest,
}

impl Origin {
    pub(super) fn new(template: &Template, checker: Rc<Checker>, tls: Arc<ClientConfig>) -> Self {
        let dialler = Dialler::new(Arc::clone(&template.0.destination), checker, tls);
        let connector = awc::Connector::new()
            .connector(dialler.clone())
            // No bound of awc's: it would be one queue, and slots are counted where the order is known.
            .limit(0)
            .timeout(NEVER)
            .handshake_timeout(NEVER)
            .conn_keep_alive(CONNECTION_IDLE)
            .conn_lifetime(CONNECTION_AGE);
        let client = awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish();
        let (speaks, heads) = (Cell::new(Protocol::Http1), RefCell::default());
        Self { client, dialler, speaks, heads, rounds_unused: Cell::new(0) }
    }

    /// Sends `request` and waits for the head of the answer.
    pub(super) async fn send(&self, request: &Request) -> Result<ClientResponse, SendRequestError> {
        self.rounds_unused.set(0);
        self.dialler.set_patience(request.timeout() / 4);
        let head = self.head(&request.template)?;
        head.extra_headers(request.headers.clone()).send_body(request.body.clone()).await
    }

    /// From now on requests are written for `protocol`.
    pub(super) fn switch_to(&self, protocol: Protocol) {
        if self.speaks.replace(protocol) != protocol {
            self.heads.borrow_mut().clear();
        }
    }

    /// Called at intervals: forgets the heads of templates that nobody else has, and counts the rounds without use.
    pub(super) fn rounds_unused(&self) -> u32 {
        self.heads.borrow_mut().retain(|_, head| Arc::strong_count(&head.template.0) > 1);
        let rounds = self.rounds_unused.get() + 1;
        self.rounds_unused.set(rounds);
        rounds
    }

    fn head(&self, template: &Template) -> Result<FrozenClientRequest, FreezeRequestError> {
        let key = Arc::as_ptr(&template.0);
        if let Some(head) = self.heads.borrow().get(&key) {
            return Ok(head.request.clone());
        }
        let request = self.freeze(&template.0)?;
        let head = Head { template: template.clone(), request: request.clone() };
        self.heads.borrow_mut().insert(key, head);
        Ok(request)
    }

    fn freeze(&self, shared: &Shared) -> Result<FrozenClientRequest, FreezeRequestError> {
        let uri = match self.speaks.get() {
            Protocol::Http1 => &shared.uri,
            Protocol::Http2 => shared.secure_uri.as_ref().unwrap_or(&shared.uri),
        };
        // Bodies are decoded by us (super::body), with a bound. Camel-Case is how the contract spells names.
        let mut request = self.client.request(Method::POST, uri).no_decompress().camel_case();
        if shared.closes {
            request = request.force_close();
        }
        for (name, value) in &shared.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        if self.speaks.get() == Protocol::Http2 {
            for name in NOT_IN_HTTP2 {
                request.headers_mut().remove(HeaderName::from_static(name));
            }
            request.headers_mut().remove(header::CONNECTION);
        }
        request.freeze()
    }
}
