//! The spelling of header names on HTTP/1.1, which is that of the subscription (contract, section 9).
//!
//! Pure. awc knows names in lower case only and writes them in Camel-Case. What a subscription spells otherwise is put right
//! in the bytes of the head, on their way to the socket ([`super::line`]). HTTP/2 has lower case only (RFC 9113, section
//! 8.2.1).

use std::sync::Arc;

/// Names of headers that a subscription spells otherwise than awc writes them, sorted. For most there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spelling(Arc<[String]>);

impl Spelling {
    /// That of `names`, as they are stored; no two of them may be the same header.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut unusual: Vec<String> = names.filter(|name| !is_camel_case(name)).map(str::to_owned).collect();
        unusual.sort();
        Self(unusual.into())
    }

    /// Whether awc writes every name as it is stored.
    pub(super) fn is_usual(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, divided by blanks, which no name holds.
    pub(super) fn text(&self) -> String {
        self.0.join(" ")
    }

    /// The head that `bytes` begin with, as long as it was, with its names respelled. What stands behind its end is no head.
    pub(super) fn respelled(&self, bytes: &[u8]) -> Vec<u8> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        let mut head = bytes[..end].to_vec();
        for line in head.split_mut(|byte| *byte == b'\n').skip(1) {
            let Some(length) = line.iter().position(|byte| *byte == b':') else { continue };
            let name = &mut line[..length];
            if let Some(stored) = self.0.iter().find(|stored| name.eq_ignore_ascii_case(stored.as_bytes())) {
                name.copy_from_slice(stored.as_bytes());
            }
        }
        head
    }
}

/// Whether awc writes `name` so: a capital at the beginning and behind each hyphen, where of two hyphens in a row the second
/// takes the place of the capital (actix-http 3.20, `write_camel_case`).
fn is_camel_case(name: &str) -> bool {
    let mut is_first = true;
    name.bytes().all(|byte| {
        let fits = if is_first { !byte.is_ascii_lowercase() } else { !byte.is_ascii_uppercase() };
        is_first = byte == b'-' && !is_first;
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn respelled(names: &[&str], bytes: &str) -> String {
        String::from_utf8(Spelling::of(names.iter().copied()).respelled(bytes.as_bytes())).expect("text")
    }

    #[test]
    fn the_usual_spelling_is_awcs() {
        for name in ["Accept", "X-Api-Key", "X_under", "X-1a", "X--a", "-a", "!a"] {
            assert!(Spelling::of([name].into_iter()).is_usual(), "{name}");
        }
        for name in ["accept", "ETag", "X-Api-KEY", "X_Under", "X--A", "-A", "X-a"] {
            assert!(!Spelling::of([name].into_iter()).is_usual(), "{name}");
        }
    }

    #[test]
    fn the_order_of_names_makes_no_difference() {
        let spelling = |names: [&'static str; 3]| Spelling::of(names.into_iter());
        assert_eq!(spelling(["eTag", "X-B", "x-a"]), spelling(["x-a", "eTag", "Accept"]));
    }

    #[test]
    fn names_are_respelled_and_nothing_else() {
        let names = ["eTag", "X_Under", "host"];
        assert_eq!(
            respelled(
                &names,
                "POST /etag: HTTP/1.1\r\nHost: etag: x_under\r\nEtag: Host: 1\r\nX_under: \r\nHosts: 2\r\n\r\n"
            ),
            "POST /etag: HTTP/1.1\r\nhost: etag: x_under\r\neTag: Host: 1\r\nX_Under: \r\nHosts: 2\r\n\r\n"
        );
    }

    #[test]
    fn the_head_ends_at_its_empty_line() {
        assert_eq!(respelled(&["eTag"], "POST / HTTP/1.1\r\n\r\n\r\nEtag: 1\r\n"), "POST / HTTP/1.1\r\n\r\n");
    }
}
