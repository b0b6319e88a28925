//! The operations of the document, as the page shows them.

use serde_json::Value;

/// One operation.
pub(super) struct Operation<'a> {
    pub(super) path: &'a str,
    /// In capitals.
    pub(super) method: String,
    pub(super) id: &'a str,
    pub(super) tag: &'a str,
    pub(super) summary: &'a str,
    pub(super) description: &'a str,
    /// The whole of it.
    pub(super) value: &'a Value,
}

/// All operations, in the order of the document.
pub(super) fn all(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    of(&document["paths"])
}

/// All webhooks.
pub(super) fn webhooks(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    of(&document["webhooks"])
}

fn of(paths: &Value) -> impl Iterator<Item = Operation<'_>> {
    let items = paths.as_object().into_iter().flatten();
    items.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, value)| {
            let text = |member: &str| value[member].as_str().unwrap_or_default();
            Operation {
                path,
                method: method.to_ascii_uppercase(),
                id: text("operationId"),
                tag: value["tags"][0].as_str().unwrap_or_default(),
                summary: text("summary"),
                description: text("description"),
                value,
            }
        })
    })
}

impl Operation<'_> {
    /// Whether it answers without a token.
    pub(super) fn is_open(&self) -> bool {
        self.value["security"]
            .as_array()
            .is_some_and(|schemes| schemes.iter().any(|scheme| scheme == &Value::Object(serde_json::Map::new())))
    }

    /// The example of the JSON body that it takes; `None` when it takes none.
    pub(super) fn body_example(&self) -> Option<&Value> {
        self.value.pointer("/requestBody/content/application~1json/example")
    }

    /// A command that asks for it.
    pub(super) fn curl(&self) -> String {
        let mut words = vec!["curl".to_owned()];
        if self.method != "GET" && !(self.method == "POST" && self.body_example().is_some()) {
            words.push(format!("-X {}", self.method));
        }
        words.push(format!("http://127.0.0.1:8080{}", self.path));
        if !self.is_open() {
            words.push("-H 'Authorization: Token YOUR-TOKEN'".to_owned());
        }
        if let Some(body) = self.body_example() {
            words.push("-H 'Content-Type: application/json'".to_owned());
            words.push(format!("-d '{}'", body.to_string().replace('\'', r"'\''")));
        }
        words.join(" ")
    }
}
