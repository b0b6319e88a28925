//! The decoding of a body, and what CPython says when it is no UTF-8.

/// The text of `body`. A sequence that the end of the body cuts off is left out, as by Python's stream reader.
///
/// # Errors
/// The message of Python's `UnicodeDecodeError`.
pub(super) fn decode(body: &[u8]) -> Result<&str, String> {
    let (text, rest) = match std::str::from_utf8(body) {
        Ok(text) => return Ok(text),
        Err(error) => body.split_at(error.valid_up_to()),
    };
    let (start, text) = (text.len(), std::str::from_utf8(text).expect("it is valid up to here"));
    let Some(length) = std::str::from_utf8(rest).err().and_then(|error| error.error_len()) else { return Ok(text) };
    let reason = if is_start_byte(body[start]) { "invalid continuation byte" } else { "invalid start byte" };
    let what = if length == 1 {
        format!("byte 0x{:02x} in position {start}", body[start])
    } else {
        format!("bytes in position {start}-{}", start + length - 1)
    };
    Err(format!("'utf-8' codec can't decode {what}: {reason}"))
}

/// Whether a sequence of more than one byte may begin with `byte`.
const fn is_start_byte(byte: u8) -> bool {
    matches!(byte, 0xc2..=0xf4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf_8_is_told_in_pythons_words() {
        for (body, message) in [
            (&b"{\"target_url\": \"\xff\"}"[..], "byte 0xff in position 16: invalid start byte"),
            (b"a\x80", "byte 0x80 in position 1: invalid start byte"),
            (b"\xc0\xaf", "byte 0xc0 in position 0: invalid start byte"),
            (b"\xed\xa0\x80", "byte 0xed in position 0: invalid continuation byte"),
            (b"\xc4x", "byte 0xc4 in position 0: invalid continuation byte"),
            (b"\xe2\x82x", "bytes in position 0-1: invalid continuation byte"),
            (b"\xf0\x9f\x98x", "bytes in position 0-2: invalid continuation byte"),
        ] {
            assert_eq!(decode(body), Err(format!("'utf-8' codec can't decode {message}")), "{body:?}");
        }
    }

    #[test]
    fn what_the_end_cuts_off_is_left_out() {
        assert_eq!(decode(b"{}\xc4"), Ok("{}"));
        assert_eq!(decode(b"\xf0\x9f\x98"), Ok(""));
        assert_eq!(decode("ş".as_bytes()), Ok("ş"));
    }
}
