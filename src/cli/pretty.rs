//! JSON laid out for a person: only white space is added or removed. Numbers, escapes and the order of keys stay as they
//! were sent, which parsing and printing again would not promise.

/// `json`, which must be valid, with each member on a line of its own, and every line behind `margin`.
#[must_use]
pub(super) fn pretty(json: &str, margin: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    out.push_str(margin);
    let mut depth = 0;
    let mut rest = json.trim();
    while let Some(next) = rest.chars().next() {
        let token = &rest[..token_length(rest)];
        rest = rest[token.len()..].trim_start();
        match next {
            '{' | '[' if rest.starts_with(['}', ']']) => out.push_str(token),
            '{' | '[' => {
                depth += 1;
                out.push_str(token);
                new_line(&mut out, margin, depth);
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    new_line(&mut out, margin, depth);
                }
                out.push_str(token);
            }
            ',' => {
                out.push_str(token);
                new_line(&mut out, margin, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push_str(token),
        }
    }
    out
}

fn new_line(out: &mut String, margin: &str, depth: usize) {
    out.push('\n');
    out.push_str(margin);
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Bytes of the token that `rest` begins with.
fn token_length(rest: &str) -> usize {
    match rest.as_bytes() {
        [b'{' | b'}' | b'[' | b']' | b',' | b':', ..] => 1,
        [b'"', ..] => string_length(rest),
        _ => rest.find(|c: char| "{}[],:\"".contains(c) || c.is_whitespace()).unwrap_or(rest.len()).max(1),
    }
}

/// Bytes up to the closing quote.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_white_space_changes() {
        let json = r#"{ "b":[1e22,{}, []],"a":"x: {\"y\", [\\" ,"n":null}"#;
        let expected = "| {\n|   \"b\": [\n|     1e22,\n|     {},\n|     []\n|   ],\n|   \"a\": \"x: {\\\"y\\\", [\\\\\",\n|   \"n\": null\n| }";
        assert_eq!(pretty(json, "| "), expected);
        assert_eq!(pretty(" 5 ", ""), "5");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_value_stays(value in any_json()) {
            let laid_out = pretty(&value.to_string(), "");
            prop_assert_eq!(serde_json::from_str::<Value>(&laid_out).expect("still JSON"), value);
        }
    }
}
