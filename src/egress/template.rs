//! What all attempts of one subscription share, made ready once.
//!
//! An attempt then costs one allocation for the body, the signatures, a handful of header values and a map of all headers: no URL
//! and no header name is parsed again. The rules are those of the contract, section 9, as changed by its section 0.

use std::{sync::Arc, time::Duration};

use awc::http::{
    Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName,
        HeaderValue, USER_AGENT,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio_rustls::rustls::pki_types::ServerName;
use url::Host;

use super::{dialler::Destination, head::head_of, spelling::Spelling};
use crate::domain::{
    attempt::{Failure, FailureClass},
    endpoint::Endpoint,
    event_type::EventType,
    headers::latin_1,
    secret::Secret,
    signature::Signer,
    subscription::Terms,
    trace::RequestHead,
};

pub(super) const X_WHISPERER_EVENT: HeaderName = HeaderName::from_static("x-whisperer-event");
pub(super) const X_WHISPERER_SIGNATURE: HeaderName = HeaderName::from_static("x-whisperer-signature");
pub(super) const X_POSTRIDER_TEST: HeaderName = HeaderName::from_static("x-postrider-test");
pub(super) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
pub(super) const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(super) const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Everything about an attempt that does not change from one to the next. Cheap to clone and shared between threads; made
/// anew when the subscription changes.
#[derive(Clone)]
pub struct Template(pub(super) Arc<Shared>);

/// What clones share.
pub(super) struct Shared {
    /// `http` for HTTP/1.1 and `https` for HTTP/2, see [`super::dialler`].
    pub(super) uri: Uri,
    pub(super) secure_uri: Option<Uri>,
    /// What connections are shared by: the origin, and an unusual spelling, which is that of a connection.
    pub(super) origin: Arc<str>,
    pub(super) destination: Arc<Destination>,
    pub(super) spelling: Spelling,
    /// Headers that are the same on every attempt. A list, because every subscription with work keeps one: a map of awc's
    /// takes ten times the memory.
    pub(super) headers: Box<[(HeaderName, HeaderValue)]>,
    /// Sent, but kept from awc, which would wait for `100 Continue` and not send the body without it.
    pub(super) expect: Option<HeaderValue>,
    /// Whether the connection must end with the attempt, because the subscription sends `Connection: close`.
    pub(super) closes: bool,
    pub(super) timeout: Duration,
    pub(super) late: Late,
    /// What is kept of all this with the attempts.
    pub(super) head: Arc<RequestHead>,
}

/// Headers that differ between attempts; not made when the subscription replaces or removes them.
pub(super) struct Late {
    /// The type whose `X-Whisperer-Event` is in the headers already. An event of another type, accepted before the
    /// subscription changed its own, is sent under the type it has. `None` when the subscription decides.
    pub(super) event_type: Option<EventType>,
    pub(super) id: bool,
    pub(super) timestamp: bool,
    /// Makes `X-Whisperer-Signature`.
    pub(super) whisperer: Option<Signer>,
    /// Makes `webhook-signature`.
    pub(super) standard: Option<Signer>,
}

impl Template {
    /// Makes `terms` ready.
    ///
    /// # Errors
    /// A [`Failure`] of class `Request` when the stored URL or headers cannot be sent. Both are checked when they are written,
    /// so this is for rows that were changed behind our back, and for the few URLs that HTTP cannot carry.
    pub fn new(terms: &Terms) -> Result<Self, Failure> {
        let endpoint = terms.endpoint().map_err(|error| unusable(format!("the target URL cannot be used: {error}")))?;
        let place = Place::of(&endpoint)?;
        let mut headers = default_headers(&place, &terms.event_type)?;
        let signer = terms.signing_secret().map(|secret| Signer::new(secret, &terms.retiring));
        let late = Late {
            event_type: (!overrides(terms, &X_WHISPERER_EVENT)).then(|| terms.event_type.clone()),
            id: !overrides(terms, &WEBHOOK_ID),
            timestamp: !overrides(terms, &WEBHOOK_TIMESTAMP),
            whisperer: signer.clone().filter(|_| !overrides(terms, &X_WHISPERER_SIGNATURE)),
            standard: signer.filter(|_| !overrides(terms, &WEBHOOK_SIGNATURE)),
        };
        let closes = add_additional(&mut headers, terms)?;
        let credentials = basic_auth(terms, &endpoint).transpose()?;
        let spelling = spelling(terms, credentials.is_some());
        if let Some(credentials) = credentials {
            headers.insert(AUTHORIZATION, credentials);
        }
        let head = head_of(endpoint.request_url(), &headers, &late, closes);
        Ok(Self(Arc::new(Shared {
            secure_uri: place.secure_uri(headers.get(HOST))?,
            expect: headers.remove(EXPECT).next(),
            origin: connection_key(&endpoint, &spelling).into(),
            timeout: terms.config.timeout(),
            uri: place.uri,
            destination: place.destination,
            headers: headers.into_iter().collect(),
            spelling,
            closes,
            late,
            head: head.into(),
        })))
    }

    /// How long an attempt may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }
}

/// Where a request goes.
struct Place {
    uri: Uri,
    host_header: String,
    destination: Arc<Destination>,
}

impl Place {
    fn of(endpoint: &Endpoint) -> Result<Self, Failure> {
        let uri: Uri =
            endpoint.request_url().parse().map_err(|_| unusable("the target URL cannot be sent over HTTP"))?;
        let is_secure = uri.scheme_str() == Some("https");
        let host: Host<String> = endpoint.host().to_owned();
        let server_name = is_secure.then(|| server_name(&host)).transpose()?;
        let host_header = uri.port_u16().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let destination = Arc::new(Destination { host, port, server_name });
        Ok(Self { uri: with_scheme(uri, "http")?, host_header, destination })
    }

    /// For HTTP/2, where `Host` is a part of the URL.
    fn secure_uri(&self, host: Option<&HeaderValue>) -> Result<Option<Uri>, Failure> {
        if self.destination.server_name.is_none() {
            return Ok(None);
        }
        let mut parts = with_scheme(self.uri.clone(), "https")?.into_parts();
        if let Some(authority) = host.and_then(|host| host.as_bytes().try_into().ok()) {
            parts.authority = Some(authority);
        }
        Uri::from_parts(parts).map(Some).map_err(|_| unusable("the target URL cannot be sent over HTTP"))
    }
}

fn with_scheme(uri: Uri, scheme: &str) -> Result<Uri, Failure> {
    let mut parts = uri.into_parts();
    parts.scheme = scheme.parse().ok();
    Uri::from_parts(parts).map_err(|_| unusable("the target URL cannot be sent over HTTP"))
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Failure> {
    match host {
        // Certificates and SNI know no trailing dot (RFC 6066, section 3).
        Host::Domain(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|_| unusable("the host of the target URL is no name that a certificate can carry")),
        Host::Ipv4(address) => Ok(std::net::IpAddr::V4(*address).into()),
        Host::Ipv6(address) => Ok(std::net::IpAddr::V6(*address).into()),
    }
}

fn default_headers(place: &Place, event_type: &EventType) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(16);
    // Ours and not awc's, which leaves out :80 and :443 whatever the scheme.
    headers.insert(HOST, value(HOST.as_str(), &place.host_header)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("postrider/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_WHISPERER_EVENT, value(X_WHISPERER_EVENT.as_str(), event_type.as_str())?);
    Ok(headers)
}

/// Whether the subscription replaces or removes the header `name`.
fn overrides(terms: &Terms, name: &HeaderName) -> bool {
    terms.additional_headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name.as_str()))
}

/// The spelling of what the subscription sends; of one name the last one. Credentials come with a name of their own.
fn spelling(terms: &Terms, has_credentials: bool) -> Spelling {
    let mut names: Vec<&str> = Vec::new();
    for (name, text) in terms.additional_headers.iter() {
        names.retain(|earlier| !earlier.eq_ignore_ascii_case(name));
        if text.is_some() && !(has_credentials && name.eq_ignore_ascii_case(AUTHORIZATION.as_str())) {
            names.push(name);
        }
    }
    Spelling::of(names.into_iter())
}

fn connection_key(endpoint: &Endpoint, spelling: &Spelling) -> String {
    let origin = endpoint.origin();
    if spelling.is_usual() { origin } else { format!("{origin} {}", spelling.text()) }
}

/// Puts the subscription's headers over the defaults; of one name in several spellings the last one stays. Says whether
/// the connection must end with each attempt.
fn add_additional(headers: &mut HeaderMap, terms: &Terms) -> Result<bool, Failure> {
    let closing = |text: &str| text.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
    let mut closes = false;
    for (name, text) in terms.additional_headers.iter() {
        let header: HeaderName = name.parse().map_err(|_| unusable(format!("header {name:?} cannot be sent")))?;
        match text {
            Some(text) if header == CONNECTION => closes = closing(text),
            Some(text) => drop(headers.insert(header, value(name, text)?)),
            // HTTP/1.1 cannot do without it.
            None if header == HOST => {}
            None => drop(headers.remove(header)),
        }
    }
    Ok(closes)
}

/// The `Authorization` of basic auth: that of `config`, else that of the URL. Stronger than an additional header.
fn basic_auth(terms: &Terms, endpoint: &Endpoint) -> Option<Result<HeaderValue, Failure>> {
    let (username, password) = match terms.config.basic_auth() {
        Some(auth) => (auth.username.clone(), auth.password.clone()),
        None => endpoint.credentials().map(|(username, password)| (username, Secret::new(password)))?,
    };
    let text = format!("{username}:{}", password.reveal());
    // Beyond Latin-1 only from a URL, where they were UTF-8.
    let bytes = latin_1(&text).unwrap_or_else(|| text.into_bytes());
    Some(value(AUTHORIZATION.as_str(), &format!("Basic {}", STANDARD.encode(bytes))).map(|mut value| {
        value.set_sensitive(true);
        value
    }))
}

/// `text` in Latin-1.
fn value(name: &str, text: &str) -> Result<HeaderValue, Failure> {
    latin_1(text)
        .and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
        .ok_or_else(|| unusable(format!("the value of header {name:?} cannot be sent")))
}

fn unusable(message: impl Into<String>) -> Failure {
    Failure { class: FailureClass::Request, message: message.into() }
}
