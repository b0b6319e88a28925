//! What an attempt met on its way: what was sent without its secrets, the way there, and the head of the answer.
//!
//! For people who look; nothing is decided by it. What could be a secret is left out before it is kept ([`REDACTED`]).

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

/// What is kept of an answer's headers, in bytes of JSON.
pub const KEPT_HEADER_BYTES: usize = 4 * 1024;
/// Stands where the value of a header might have been a secret.
pub const REDACTED: &str = "[redacted]";

/// Headers of requests whose values are no secrets; the values of all others are left out.
const PLAIN: [&str; 12] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-type",
    "expect",
    "host",
    "user-agent",
    "x-postrider-test",
    "x-whisperer-event",
];
/// Parts of the names under which an answer may carry a secret.
const SECRETIVE: [&str; 10] =
    ["auth", "cookie", "credential", "jwt", "key", "password", "secret", "session", "signature", "token"];

/// What is known of an attempt's way. Durations are those of the stage alone, but for [`Trace::first_byte`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Where the request went, or the address that was tried last. `None` when none was dialled.
    pub remote: Option<SocketAddr>,
    /// The look-up of the name. `None` for an address, and when a connection was used again.
    pub dns: Option<Duration>,
    /// Connecting, to all addresses that were tried. `None` when a connection was used again.
    pub connect: Option<Duration>,
    /// The TLS handshake. `None` without TLS, and when a connection was used again.
    pub tls: Option<Duration>,
    /// From the start of the attempt to the head of the answer.
    pub first_byte: Option<Duration>,
    /// What was sent, or would have been.
    pub request: Option<Arc<RequestHead>>,
    /// What came with the answer. `None` without one.
    pub response: Option<ResponseHeaders>,
}

/// What all requests of a subscription have in common, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    url: String,
    headers: Vec<(String, Option<String>)>,
    digest: i64,
}

impl RequestHead {
    /// The head of requests to `url`, which has no credentials. A header without a value has one of its own in each request.
    /// Names are in lower case; values that may be secrets are left out here.
    #[must_use]
    pub fn new(url: String, headers: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        let plain = |(name, value): (String, Option<String>)| {
            let value = value.map(|value| if PLAIN.contains(&name.as_str()) { value } else { REDACTED.to_owned() });
            (name, value)
        };
        Self::of(url, headers.into_iter().map(plain).collect())
    }

    /// A head that was kept; in whatever order its headers are, they are the same.
    #[must_use]
    pub fn of(url: String, mut headers: Vec<(String, Option<String>)>) -> Self {
        headers.sort_unstable();
        let digest = digest(&url, &headers);
        Self { url, headers, digest }
    }

    /// The same, with a header that is another or one more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let others = self.headers.iter().filter(|(given, _)| given != name).cloned();
        Self::new(self.url.clone(), others.chain([(name.to_owned(), Some(value.to_owned()))]))
    }

    /// Where to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Names and values in the order of the names; no value where each request has its own.
    #[must_use]
    pub fn headers(&self) -> &[(String, Option<String>)] {
        &self.headers
    }

    /// Tells heads of one subscription apart; never negative.
    #[must_use]
    pub const fn digest(&self) -> i64 {
        self.digest
    }
}

/// The first 63 bits of SHA-256. Zero bytes, which neither a URL nor a header may have, keep the parts apart.
fn digest(url: &str, headers: &[(String, Option<String>)]) -> i64 {
    let mut hash = Sha256::new();
    hash.update(url);
    for (name, value) in headers {
        hash.update([0]);
        hash.update(name);
        if let Some(value) = value {
            hash.update([0, 0]);
            hash.update(value);
        }
    }
    let hash = <[u8; 32]>::from(hash.finalize());
    i64::from_be_bytes(*hash.first_chunk().expect("32 bytes begin with 8")) & i64::MAX
}

/// The headers of an answer in the order in which they came, as the text in which they are kept: a JSON array of names and
/// values. Written once for each attempt, so it is made as text at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHeaders {
    json: String,
    is_cut: bool,
}

impl ResponseHeaders {
    /// The first of `headers`, as many as fit into [`KEPT_HEADER_BYTES`], whole ones.
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut json = vec![b'['];
        let mut is_cut = false;
        for (name, value) in headers {
            let end = json.len();
            if end > 1 {
                json.push(b',');
            }
            let value = if may_be_secret(name) { REDACTED.into() } else { plain(name, value) };
            serde_json::to_writer(&mut json, &(name, value)).expect("texts can be written to memory");
            if json.len() >= KEPT_HEADER_BYTES {
                json.truncate(end);
                is_cut = true;
                break;
            }
        }
        json.push(b']');
        Self { json: String::from_utf8(json).expect("JSON is UTF-8"), is_cut }
    }

    /// Headers that were kept as this text.
    #[must_use]
    pub const fn of(json: String, is_cut: bool) -> Self {
        Self { json, is_cut }
    }

    /// The text in which they are kept.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether there were more than are kept.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }
}

fn may_be_secret(name: &str) -> bool {
    let has =
        |part: &str| name.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
    // A challenge tells what was asked for, and is what explains a 401.
    !name.eq_ignore_ascii_case("www-authenticate") && SECRETIVE.into_iter().any(has)
}

/// `value` without the query of a URL that the answer leads to.
fn plain<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    let query = value.iter().position(|byte| *byte == b'?').filter(|_| name.to_ascii_lowercase().ends_with("location"));
    match query {
        Some(at) => format!("{}?{REDACTED}", String::from_utf8_lossy(&value[..at])).into(),
        None => String::from_utf8_lossy(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, Option<&str>)]) -> RequestHead {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        RequestHead::new("https://a.example/in".to_owned(), headers)
    }

    #[test]
    fn only_values_that_are_known_to_be_harmless_are_kept_of_a_request() {
        let head =
            head(&[("x-api-key", Some("hunter2")), ("accept", Some("*/*")), ("authorization", Some("Basic aHVu"))]);
        let kept: Vec<_> = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        assert_eq!(
            kept,
            [("accept", Some("*/*")), ("authorization", Some(REDACTED)), ("x-api-key", Some(REDACTED))],
            "in the order of their names"
        );
    }

    #[test]
    fn a_digest_tells_heads_apart_and_knows_no_order_and_no_secret() {
        let one = head(&[("host", Some("a.example")), ("webhook-id", None), ("cookie", Some("one"))]);
        let same = head(&[("cookie", Some("two")), ("webhook-id", None), ("host", Some("a.example"))]);
        assert_eq!(one, same);
        assert_eq!(RequestHead::of(one.url().to_owned(), one.headers().to_vec()), one);
        for other in [
            one.with("host", "b.example"),
            one.with("x-postrider-test", "true"),
            head(&[("host", Some("a.example")), ("webhook-id", Some("")), ("cookie", Some("one"))]),
            RequestHead::of("https://a.example/".to_owned(), one.headers().to_vec()),
        ] {
            assert_ne!(other.digest(), one.digest(), "{other:?}");
            assert!(other.digest() >= 0);
        }
    }

    #[test]
    fn a_header_replaces_the_one_of_its_name() {
        let changed =
            head(&[("x-whisperer-event", Some("a.created")), ("webhook-id", None)]).with("x-whisperer-event", "b");
        assert_eq!(
            changed.headers(),
            [("webhook-id".to_owned(), None), ("x-whisperer-event".to_owned(), Some("b".to_owned()))]
        );
    }

    #[test]
    fn answers_keep_their_order_and_no_secrets() {
        let kept = ResponseHeaders::new([
            ("Server", &b"nginx \"1\""[..]),
            ("Set-Cookie", b"session=hunter2"),
            ("set-cookie", b"b=hunter2"),
            ("X-Auth-Token", b"hunter2"),
            ("Proxy-Authorization", b"hunter2"),
            ("WWW-Authenticate", b"Basic realm=\"in\""),
            ("X-Odd", b"\xff\t"),
            ("X-JWT", b"hunter2"),
            ("Location", b"/in?ticket=hunter2"),
        ]);
        assert!(!kept.json().contains("hunter2"), "{}", kept.json());
        assert_eq!(
            kept.json(),
            concat!(
                r#"[["Server","nginx \"1\""],["Set-Cookie","[redacted]"],["set-cookie","[redacted]"],"#,
                r#"["X-Auth-Token","[redacted]"],["Proxy-Authorization","[redacted]"],"#,
                "[\"WWW-Authenticate\",\"Basic realm=\\\"in\\\"\"],[\"X-Odd\",\"\u{fffd}\\t\"],",
                r#"["X-JWT","[redacted]"],["Location","/in?[redacted]"]]"#
            )
        );
        assert!(!kept.is_cut());
        assert_eq!(ResponseHeaders::new([]).json(), "[]");
    }

    #[test]
    fn an_answer_is_cut_between_two_headers() {
        let value = "x".repeat(1_000);
        let kept = ResponseHeaders::new((0..9).map(|_| ("x-long", value.as_bytes())));
        let pairs: Vec<(String, String)> = serde_json::from_str(kept.json()).expect("JSON");
        assert_eq!((pairs.len(), kept.is_cut()), (4, true));
        assert!(kept.json().len() <= KEPT_HEADER_BYTES);
        assert!(pairs.iter().all(|(_, kept)| *kept == value));
        let huge = vec![b'x'; KEPT_HEADER_BYTES];
        assert_eq!(ResponseHeaders::new([("x-huge", &huge[..])]), ResponseHeaders::of("[]".to_owned(), true));
    }
}
