//! What a section has saved, put in where it is named: `{hook}`, or `{uuid:upper}` for a form of it.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values by name. What is in braces but no name of one stays as it is: JSON is full of braces.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, Value>);

impl Variables {
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// A text with its variables put in.
    pub(super) fn text(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let found = from.find('}').and_then(|end| Some((end, self.value_of(&from[1..end])?)));
            let length = if let Some((end, value)) = found {
                filled.push_str(&in_text(&value));
                end + 1
            } else {
                filled.push('{');
                1
            };
            rest = &from[length..];
        }
        filled + rest
    }

    /// JSON with the variables of its texts put in; a text that is nothing but a variable becomes its value.
    pub(super) fn json(&self, json: &Value) -> Value {
        match json {
            Value::String(text) => {
                let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
                name.and_then(|name| self.value_of(name)).unwrap_or_else(|| self.text(text).into())
            }
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => fields.iter().map(|(key, value)| (self.text(key), self.json(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
        }
    }

    fn value_of(&self, name: &str) -> Option<Value> {
        let Some((name, form)) = name.split_once(':') else { return self.0.get(name).cloned() };
        let text = self.0.get(name)?.as_str()?;
        match form {
            "upper" => Some(text.to_uppercase().into()),
            // Of a date: without what is finer.
            "second" => Some(format!("{}Z", &text[..19]).into()),
            _ => None,
        }
    }
}

fn in_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn names_in_braces_are_put_in() {
    let mut variables = Variables::default();
    variables.set("a", 5);
    variables.set("when", "2026-11-24T10:00:00.5Z");
    assert_eq!(
        variables.text(r#"/{a}/?x={b}&y={"a":{}}{when:second}{"#),
        r#"/5/?x={b}&y={"a":{}}2026-11-24T10:00:00Z{"#
    );
    let json = serde_json::json!({"{a}": ["{a}", "{a}.", "{when:other}", 1]});
    assert_eq!(variables.json(&json), serde_json::json!({"5": [5, "5.", "{when:other}", 1]}));
}
