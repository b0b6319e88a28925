//! Hooks as the reference stored them, for whoever brings them along.
//!
//! They are held to the rules of a POST, with two differences: what the reference delivered although it would be refused
//! here is put right where that changes no delivery, and every such change is told. Whether the address may be gone to is
//! not looked at: the settings of the engine decide that at every attempt.

use serde_json::{Map, Value, json};

use super::{
    errors::Faults,
    fields::{self, Purpose},
    json::Json,
};
use crate::domain::{retry::MAX_NUMBER, subscription::Terms};

/// What a stored hook comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTerms {
    /// The terms.
    pub terms: Terms,
    /// What was put right, in sentences.
    pub changes: Vec<String>,
}

/// Reads the columns of a hook, a JSON object.
///
/// # Errors
/// What is wrong, in one line: `target_url: Enter a valid URL.`
pub fn stored_terms(columns: &str) -> Result<StoredTerms, String> {
    let mut columns: Map<String, Value> = serde_json::from_str(columns).map_err(|error| error.to_string())?;
    for name in ["retry_countdown_config", "additional_headers", "config"] {
        if let Some(value) = columns.get_mut(name) {
            unwrap_text(value);
        }
    }
    let mut changes = Vec::new();
    for name in ["additional_headers", "config"] {
        if let Some(value) = columns.get_mut(name).filter(|value| is_empty(value)) {
            *value = json!({});
        }
    }
    lower_numbers(&mut columns, &mut changes);
    let json = Json::parse(Value::Object(columns).to_string().as_bytes())?;
    let edits = fields::read(&json, Purpose::Create).edits().map_err(|faults| in_one_line(&faults))?;
    let terms = edits.to_new_terms().ok_or("target_url and event_type are required")?;
    Ok(StoredTerms { terms, changes })
}

/// A JSON column may have been dumped as the text of its JSON.
fn unwrap_text(value: &mut Value) {
    if let Some(inside) = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok())
        && inside.is_object()
    {
        *value = inside;
    }
}

/// What Python takes for false: the reference sends no header, and reads no setting, because of it (contract, section 9).
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// Waits that are longer than any that is accepted here become the longest.
fn lower_numbers(columns: &mut Map<String, Value>, changes: &mut Vec<String>) {
    let kwargs = columns.get_mut("retry_countdown_config").and_then(|config| config.get_mut("kwargs"));
    let Some(Value::Object(kwargs)) = kwargs else { return };
    for (name, value) in kwargs {
        if value.as_f64().is_some_and(|number| number > f64::from(MAX_NUMBER)) {
            changes.push(format!("retry_countdown_config.{name} is {value}, lowered to {MAX_NUMBER}"));
            *value = MAX_NUMBER.into();
        }
    }
}

fn in_one_line(faults: &Faults) -> String {
    let mut lines = Vec::new();
    let faults = serde_json::to_value(faults).expect("faults are objects of sentences");
    flatten("", &faults, &mut lines);
    lines.join("; ")
}

fn flatten(path: &str, faults: &Value, lines: &mut Vec<String>) {
    match faults {
        Value::Object(fields) => {
            for (name, faults) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, faults, lines);
            }
        }
        Value::Array(sentences) => sentences.iter().for_each(|sentence| flatten(path, sentence, lines)),
        Value::String(sentence) => lines.push(format!("{path}: {sentence}")),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retry::{Limit, RetryPolicy};

    fn stored(more: &Value) -> Result<StoredTerms, String> {
        let mut columns = json!({
            "user": 1, "created_date": "2026-01-01T00:00:00Z", "modified_date": "2026-01-01T00:00:00Z",
            "target_url": "https://a.example/", "is_active": true, "secret_key": null,
            "event_type": "package.created", "callback": null, "additional_headers": {}, "config": {},
            "retry_countdown_config": {"choice": "fixed", "kwargs": {"seconds": 5}},
        });
        if let (Value::Object(columns), Value::Object(more)) = (&mut columns, more) {
            columns.extend(more.clone());
        }
        stored_terms(&columns.to_string())
    }

    #[test]
    fn what_the_reference_delivered_is_put_right_and_told() {
        let read = stored(&json!({
            "additional_headers": [], "config": "",
            "retry_countdown_config":
                {"choice": "exponential", "kwargs": {"base": 2, "factor": 1, "limit": 31_536_000}},
        }))
        .expect("it was delivered");
        let limit = Limit::Seconds(MAX_NUMBER);
        assert_eq!(read.terms.retry, RetryPolicy::Exponential { base: 2, factor: 1, limit });
        assert_eq!(read.changes, ["retry_countdown_config.limit is 31536000, lowered to 2592000"]);
        let text = stored(&json!({"additional_headers": "{\"X-A\":\"1\"}"})).expect("JSON in a text");
        assert_eq!(text.terms.additional_headers.iter().collect::<Vec<_>>(), [("X-A", Some("1"))]);
    }

    #[test]
    fn what_could_not_be_delivered_is_refused_with_every_reason() {
        assert_eq!(
            stored(&json!({"target_url": "foo", "additional_headers": {"X-A": 5}})),
            Err("target_url: Enter a valid URL.; \
                 additional_headers: The value of header \"X-A\" must be a string or null."
                .to_owned())
        );
        assert_eq!(
            stored(&json!({"retry_countdown_config": {"choice": "fixed", "kwargs": {}}})),
            Err("retry_countdown_config.kwargs.seconds: This field is required.".to_owned())
        );
        assert!(stored(&json!({"event_type": "price.changed"})).is_err_and(|e| e.starts_with("event_type: ")));
    }
}
