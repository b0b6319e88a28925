//! What came of the latest attempt, as the reference recorded it: the `repr` of Python's `bytes`, or an error's text.

use bytes::Bytes;

use crate::domain::attempt::{Answer, FailureClass, KEPT_BODY_BYTES, Outcome};

/// The outcome behind a status and a recorded content.
pub(super) fn outcome(status: u16, content: &str) -> Outcome {
    match bytes_of_repr(content) {
        Some(mut body) if (100..1_000).contains(&status) => {
            body.truncate(KEPT_BODY_BYTES);
            Outcome::Answered(Answer { status, retry_after: None, content_type: None, body: Bytes::from(body) })
        }
        Some(_) | None => Outcome::failed(class_of(content), content),
    }
}

/// Guesses the kind of failure from the words of Python's libraries.
fn class_of(message: &str) -> FailureClass {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["timed out", "timeout"]) {
        FailureClass::Timeout
    } else if says(&["Name or service not known", "getaddrinfo", "NameResolution", "name resolution"]) {
        FailureClass::Dns
    } else if says(&["SSL", "certificate"]) {
        FailureClass::Tls
    } else if says(&["refused", "NewConnectionError", "unreachable"]) {
        FailureClass::Connect
    } else if says(&["Invalid URL", "No connection adapters", "Invalid header", "Header "]) {
        FailureClass::Request
    } else {
        FailureClass::Protocol
    }
}

/// The bytes of `b'…'` or `b"…"`; `None` for any other text.
fn bytes_of_repr(text: &str) -> Option<Vec<u8>> {
    let quote = text.strip_prefix('b')?.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let inside = text.get(2..)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
                escaped @ (b'\\' | b'\'' | b'"') => escaped,
                _ => return None,
            },
            byte => byte,
        };
        bytes.push(byte);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_body_is_the_bytes_that_came() {
        for (repr, bytes) in [
            ("b''", &b""[..]),
            ("b'OK'", b"OK"),
            (r#"b"it's""#, b"it's"),
            (r"b'\xc4\xb0 \\ \n\x00'", b"\xc4\xb0 \\ \n\0"),
        ] {
            let Outcome::Answered(answer) = outcome(503, repr) else { panic!("{repr}") };
            assert_eq!((answer.status, &answer.body[..]), (503, bytes), "{repr}");
        }
        let long = format!("b'{}'", "x".repeat(20_000));
        let Outcome::Answered(answer) = outcome(200, &long) else { panic!("an answer") };
        assert_eq!(answer.body.len(), KEPT_BODY_BYTES);
    }

    #[test]
    fn anything_else_is_a_failure_in_its_own_words() {
        for (message, class) in [
            ("HTTPConnectionPool(host='a', port=80): Read timed out. (read timeout=10)", FailureClass::Timeout),
            ("[Errno 111] Connection refused", FailureClass::Connect),
            ("Invalid URL 'foo': No scheme supplied.", FailureClass::Request),
            ("", FailureClass::Protocol),
            (r"b'\q'", FailureClass::Protocol),
        ] {
            assert_eq!(outcome(500, message), Outcome::failed(class, message));
        }
    }
}
