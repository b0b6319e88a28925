//! What an answer that refuses says, for a person: `application/problem+json`, the contract's error bodies, or whatever
//! a proxy in between had to say.

use serde_json::{Map, Value};

/// Members of a problem (RFC 9457) that say nothing that the status and the detail do not say.
const PLUMBING: [&str; 5] = ["type", "title", "status", "detail", "instance"];
/// The most that is repeated of a body that is no JSON object, in characters.
const MAX_TEXT: usize = 200;

/// The reason in `body`, in one line.
pub(super) fn explain(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(Value::Object(problem)) => explain_object(&problem),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => {
            let text = String::from_utf8_lossy(body);
            let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_TEXT).collect();
            if line.is_empty() { "no reason given".to_owned() } else { line }
        }
    }
}

fn explain_object(problem: &Map<String, Value>) -> String {
    let said = problem.get("detail").or_else(|| problem.get("title")).map(plain);
    let more = problem
        .iter()
        .filter(|(name, value)| !PLUMBING.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| format!("{name}: {}", plain(value)));
    let reasons: Vec<String> = said.into_iter().chain(more).collect();
    if reasons.is_empty() { "no reason given".to_owned() } else { reasons.join("; ") }
}

/// A value without the quotes and brackets that only a program needs.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_detail_and_what_is_beside_it() {
        let body = br#"{"type":"about:blank","title":"Bad request","status":400,"detail":"The payload is not JSON.","request_id":"r1"}"#;
        assert_eq!(explain(body), "The payload is not JSON.; request_id: r1");
        assert_eq!(explain(br#"{"title":"Too many events wait","status":503}"#), "Too many events wait");
    }

    #[test]
    fn the_contracts_errors_are_told_by_field() {
        let body = br#"{"retry_countdown_config":{"kwargs":{"seconds":["This field is required."]}},"target_url":["Enter a valid URL."]}"#;
        assert_eq!(
            explain(body),
            "retry_countdown_config: kwargs: seconds: This field is required.; target_url: Enter a valid URL."
        );
    }

    #[test]
    fn what_is_no_json_is_repeated_in_one_line() {
        assert_eq!(explain(b"<h1>Bad\n  Gateway</h1>\n"), "<h1>Bad Gateway</h1>");
        assert_eq!(explain(b""), "no reason given");
        assert_eq!(explain(b"{}"), "no reason given");
    }
}
