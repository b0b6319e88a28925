//! A small client of the engine's own HTTP API, for `send` and `demo`.

use std::{sync::Arc, time::Duration};

use actix_web::http::{StatusCode, Uri};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::problem::explain;
use crate::domain::secret::Secret;

/// An answer takes one commit; a database that is being restarted may take this long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answered.
    #[error("no answer from {base}: {reason} (is `postrider serve` running there?)")]
    Unreachable {
        /// Where the engine was looked for.
        base: String,
        /// What was met instead.
        reason: String,
    },
    /// The engine refused.
    #[error("{status}: {reason}")]
    Refused {
        /// What it answered.
        status: StatusCode,
        /// Why, in its own words.
        reason: String,
    },
    /// It answered something that is not from Postrider.
    #[error("{base} does not answer as Postrider does: {reason}")]
    Strange {
        /// Who answered.
        base: String,
        /// What is strange about it.
        reason: String,
    },
}

impl ApiError {
    /// Whether the same request may be accepted later: nobody there, or too busy.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Strange { .. } => false,
        }
    }
}

/// Where the engine is, and as whom to speak to it. Lives on one thread.
#[derive(Clone)]
pub(super) struct Api {
    client: awc::Client,
    base: String,
    token: Secret,
}

impl Api {
    /// Speaks to the engine at `base`, an http or https URL.
    pub(super) fn new(base: &Uri, token: Secret) -> Self {
        let connector = awc::Connector::new().rustls_0_23(tls()).timeout(TIMEOUT);
        let client =
            awc::Client::builder().connector(connector).timeout(TIMEOUT).disable_redirects().no_default_headers();
        Self { client: client.finish(), base: base.to_string().trim_end_matches('/').to_owned(), token }
    }

    /// `GET path`; gives what a 2xx says.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let sent = self.request(self.client.get(self.url(path))).send().await;
        self.read(sent.map_err(|error| self.unreachable(&error))?).await
    }

    /// `POST path` with `body` in JSON; gives what a 2xx says.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        let sent = self.request(self.client.post(self.url(path))).send_json(body).await;
        self.read(sent.map_err(|error| self.unreachable(&error))?).await
    }

    /// Publishes an event.
    pub(super) async fn publish(&self, publication: &Publication<'_>) -> Result<Published, ApiError> {
        self.post("/api/v1/events", publication).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn request(&self, request: awc::ClientRequest) -> awc::ClientRequest {
        request
            .insert_header(("Authorization", format!("Token {}", self.token.reveal())))
            .insert_header(("User-Agent", concat!("postrider/", env!("CARGO_PKG_VERSION"))))
    }

    async fn read<S, T>(&self, mut response: awc::ClientResponse<S>) -> Result<T, ApiError>
    where
        S: futures_util::Stream<Item = Result<Bytes, awc::error::PayloadError>>,
        T: DeserializeOwned,
    {
        let status = response.status();
        let body = response.body().limit(MAX_ANSWER_BYTES).await;
        let body = body.map_err(|error| self.strange(&error))?;
        if status.is_success() {
            serde_json::from_slice(&body).map_err(|error| self.strange(&error))
        } else {
            Err(ApiError::Refused { status, reason: explain(&body) })
        }
    }

    fn unreachable(&self, error: &impl ToString) -> ApiError {
        ApiError::Unreachable { base: self.base.clone(), reason: error.to_string() }
    }

    fn strange(&self, error: &impl ToString) -> ApiError {
        ApiError::Strange { base: self.base.clone(), reason: error.to_string() }
    }
}

/// The engine may stand behind a proxy that speaks TLS; Mozilla's roots are compiled in.
fn tls() -> Arc<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// An event to publish. The payload goes out byte for byte as it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Publication<'a> {
    pub(super) event_type: &'a str,
    pub(super) payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordering_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idempotency_key: Option<&'a str>,
}

/// What the engine says of an accepted event.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct Published {
    pub(super) uuid: String,
    /// How many subscriptions it is owed to.
    pub(super) deliveries: u32,
}
