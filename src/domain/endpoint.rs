//! The URL that a subscription points to.
//!
//! Relies on the WHATWG rules of the `url` crate, which turn every spelling of an address (`0x7f.1`, `2130706433`,
//! `[::ffff:7f00:1]`) into one: what is checked is what is dialled. Where those rules are a browser's and the contract's
//! differ, behind the host, the contract's hold. Whether an address may be dialled is the business of
//! `crate::egress::guard`.

use std::{borrow::Cow, fmt};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::{Position, Url};

pub use url::Host;

/// The longest URL as given, in characters (contract, section 3).
pub const MAX_LENGTH: usize = 255;

/// The URL standard lets these pass in a path or a query; RFC 3986 does not, and strict servers refuse them.
const NOT_IN_A_URL: &AsciiSet =
    &CONTROLS.add(b'[').add(b']').add(b'{').add(b'}').add(b'|').add(b'^').add(b'`').add(b'\\');

/// An absolute `http` or `https` URL with a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// The text is not an absolute `http` or `https` URL with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is an absolute http or https URL with a host")]
pub struct BadEndpoint;

impl Endpoint {
    /// Reads a URL as integrators write it: blanks and non-ASCII characters in the path are fine, a fragment is dropped
    /// (contract, section 9).
    ///
    /// # Errors
    /// [`BadEndpoint`] for another scheme, a missing host, a port that is none, or no URL at all.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        // The URL standard reads `http:host` and `http:///host` as `http://host`; a person who wrote that meant something else.
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| strip_prefix_ignoring_case(text, scheme))
            .ok_or(BadEndpoint)?;
        if rest.starts_with(['/', '\\']) || text.chars().any(char::is_control) {
            return Err(BadEndpoint);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
        let scheme = &text[..text.len() - rest.len()];
        let mut url = Url::parse(&format!("{scheme}{authority}{}", escaped(path))).map_err(|_| BadEndpoint)?;
        url.set_fragment(None);
        let has_password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        if !has_password {
            url.set_username("").map_err(|()| BadEndpoint)?;
        }
        if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
            return Err(BadEndpoint);
        }
        Ok(Self(url))
    }

    /// Host as a name or an address.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        self.0.host().expect("parse refuses URLs without a host")
    }

    /// Scheme, host and port: what connections are shared by.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The URL as it is dialled and requested, without user, password and fragment. Characters that no URL may have are
    /// escaped, escapes are kept (contract, section 9).
    #[must_use]
    pub fn request_url(&self) -> String {
        let mut url = self.0.clone();
        // Both setters only fail on URLs without a host, which parse refuses.
        url.set_username("").and_then(|()| url.set_password(None)).expect("http URLs take credentials");
        if url.query() == Some("") {
            url.set_query(None);
        }
        let (origin, rest) = url.as_str().split_at(url[..Position::BeforePath].len());
        format!("{origin}{}", utf8_percent_encode(rest, NOT_IN_A_URL))
    }

    /// User and password of `user:password@` in the URL, percent-decoded; they become basic auth (contract, section 9). A
    /// user without the colon is nobody: the reference sends no credentials for it.
    #[must_use]
    pub fn credentials(&self) -> Option<(String, String)> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (self.0.username(), self.0.password());
        (!user.is_empty() || password.is_some()).then(|| (decode(user), decode(password.unwrap_or_default())))
    }
}

/// Reads a host alone, a name or an address, in any spelling that a URL may have.
///
/// # Errors
/// [`BadEndpoint`] when a URL with this host would be none, or have more than a host.
pub fn parse_host(text: &str) -> Result<Host<String>, BadEndpoint> {
    let Endpoint(url) = Endpoint::parse(&format!("http://{text}"))?;
    // Whoever names a port, a path or a user does not mean a host. Within brackets a colon is a part of the address.
    let behind_address = text.rsplit(']').next().unwrap_or_default();
    let has_more = behind_address.contains([':', '/', '@', '?', '#']);
    match url.host() {
        Some(host) if !has_more => Ok(host.to_owned()),
        Some(_) | None => Err(BadEndpoint),
    }
}

/// What follows the host, with those characters escaped that the URL standard would read otherwise: backslashes of the path,
/// and percent signs that begin no escape.
fn escaped(path: &str) -> Cow<'_, str> {
    if !path.contains(['\\', '%']) {
        return path.into();
    }
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let mut escaped = String::with_capacity(path.len() + 8);
    if path.starts_with('\\') {
        escaped.push('/');
    }
    for (at, c) in path.char_indices() {
        match c {
            '\\' if at < end => escaped.push_str("%5C"),
            '%' if !is_escape(&path.as_bytes()[at + 1..]) => escaped.push_str("%25"),
            _ => escaped.push(c),
        }
    }
    escaped.into()
}

fn is_escape(behind: &[u8]) -> bool {
    behind.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Credentials and query strings stay out of logs.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}{})", self.origin(), self.0.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_absolute_http_url_with_a_host_is_refused() {
        for text in [
            "",
            "foo",
            "ftp://a.example/",
            "http://",
            "http:///path",
            "http:a.example",
            "//a.example/",
            "http://a.example:0/",
            "http://a.example:99999/",
            "http://a b.example/",
            "http://[::1/",
            "mailto:a@b",
            "http://a.example/\u{0}",
        ] {
            assert_eq!(Endpoint::parse(text), Err(BadEndpoint), "{text:?}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_becomes_one() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127。0。0。1/",
        ] {
            assert_eq!(Endpoint::parse(text).expect(text).request_url(), "http://127.0.0.1/");
        }
    }

    #[test]
    fn a_host_is_read_as_in_a_url() {
        let host_of = |url: &str| Endpoint::parse(url).expect(url).host().to_owned();
        assert_eq!(parse_host("Örnek.example"), Ok(host_of("https://örnek.example:8443/a")));
        assert_eq!(parse_host("0x7f.1"), Ok(host_of("http://127.0.0.1/")));
        assert_eq!(parse_host("[::1]"), Ok(host_of("http://[0:0::1]:9/")));
        for text in ["", "a/b", "a/", "a:80", "a:81", "u@a", "a?b", "a#b", "a b", "http://a"] {
            assert_eq!(parse_host(text), Err(BadEndpoint), "{text:?}");
        }
    }

    #[test]
    fn the_request_is_encoded_and_carries_no_credentials() {
        let endpoint = Endpoint::parse("HTTP://ali:gizli%21@Örnek.example/kargo takip/ş?q=1#son").expect("a URL");
        assert_eq!(endpoint.request_url(), "http://xn--rnek-4qa.example/kargo%20takip/%C5%9F?q=1");
        assert_eq!(endpoint.credentials(), Some(("ali".to_owned(), "gizli!".to_owned())));
        assert!(!format!("{endpoint:?}").contains("gizli"));
        for (given, requested) in [
            (
                "http://a.example/a[0]{b}|^`?x[]=1&y={|^`}",
                "http://a.example/a%5B0%5D%7Bb%7D%7C%5E%60?x%5B%5D=1&y=%7B%7C%5E%60%7D",
            ),
            ("http://[::1]:8080/%5B%c5%9f?", "http://[::1]:8080/%5B%c5%9f"),
            ("http://a.example?a=%20", "http://a.example/?a=%20"),
            ("http://a.example/a\\..\\b", "http://a.example/a%5C..%5Cb"),
            ("http://a.example\\a/../b?c\\d", "http://a.example/b?c%5Cd"),
            ("http://a.example/100%?a=%zz&b=%2&c=%5c", "http://a.example/100%25?a=%25zz&b=%252&c=%5c"),
        ] {
            assert_eq!(Endpoint::parse(given).expect(given).request_url(), requested);
        }
    }

    #[test]
    fn only_a_user_with_a_password_has_credentials() {
        let credentials = |url: &str| Endpoint::parse(url).expect(url).credentials();
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (url, expected) in [
            ("http://u@a.example/", None),
            ("http://@a.example/", None),
            ("http://:@a.example/", None),
            ("http://a.example/u:p@", None),
            ("http://u:@a.example/", both("u", "")),
            ("http://:p@a.example/", both("", "p")),
            ("http://u:p:q@a.example/", both("u", "p:q")),
            ("http://u%40:%3A@a.example/", both("u@", ":")),
        ] {
            assert_eq!(credentials(url), expected, "{url}");
        }
    }

    #[test]
    fn a_backslash_ends_the_host() {
        let endpoint = Endpoint::parse("http://a.example\\@b.example/").expect("a URL");
        assert_eq!(endpoint.request_url(), "http://a.example/%5C@b.example/");
    }
}
