//! The text of an answer's body, as Python's `requests` decodes it (contract, section 7).

use encoding_rs::Encoding;

/// The text of `body` by the charset of its content type; without one `text/*` is Latin-1, JSON is UTF-8, and anything else
/// is UTF-8 or, when it cannot be, Latin-1.
pub(super) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    let content_type = content_type.unwrap_or_default();
    if let Some(charset) = charset_of(content_type) {
        return by_name(body, charset);
    }
    let media_type = content_type.to_ascii_lowercase();
    if media_type.contains("text") {
        latin_1(body)
    } else if media_type.contains("application/json") {
        String::from_utf8_lossy(body).into_owned()
    } else {
        std::str::from_utf8(body).map_or_else(|_| latin_1(body), str::to_owned)
    }
}

fn charset_of(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// The standard of browsers, which `encoding_rs` follows, reads some Latin names as the larger sets of Windows.
fn by_name(body: &[u8], charset: &str) -> String {
    match charset.to_ascii_lowercase().replace('_', "-").as_str() {
        "iso-8859-1" | "iso8859-1" | "latin-1" | "latin1" | "l1" | "8859" => latin_1(body),
        "us-ascii" | "ascii" => body.iter().map(|&byte| ascii(byte)).collect(),
        name => match Encoding::for_label(name.as_bytes()) {
            Some(encoding) => encoding.decode_without_bom_handling(body).0.into_owned(),
            None => String::from_utf8_lossy(body).into_owned(),
        },
    }
}

fn latin_1(body: &[u8]) -> String {
    body.iter().map(|&byte| char::from(byte)).collect()
}

const fn ascii(byte: u8) -> char {
    if byte.is_ascii() { byte as char } else { char::REPLACEMENT_CHARACTER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_decides() {
        for (body, content_type, text) in [
            ("İyi ş".as_bytes(), Some("text/plain; charset=utf-8"), "İyi ş"),
            (b"\xddyi \xfe", Some("text/plain; charset=iso-8859-9"), "İyi ş"),
            (b"\xddyi \xfe", Some("text/plain; Charset=\"ISO_8859-9\""), "İyi ş"),
            (b"\xe9\x80", Some("text/plain; charset=latin-1"), "é\u{80}"),
            (b"a\xe9", Some("text/plain; charset=us-ascii"), "a\u{fffd}"),
            ("ş".as_bytes(), Some("text/plain; charset=no-such"), "ş"),
            ("ş".as_bytes(), Some("text/html"), "Å\u{9f}"),
            ("ş".as_bytes(), Some("application/json"), "ş"),
            (b"\xff", Some("application/json"), "\u{fffd}"),
            ("ş".as_bytes(), None, "ş"),
            (b"\xe9", None, "é"),
            (b"", None, ""),
        ] {
            assert_eq!(decode(body, content_type), text, "{content_type:?}");
        }
    }
}
