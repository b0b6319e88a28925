//! The document as a page: plain HTML and one style sheet inside, no script, and nothing from elsewhere.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::operation::{self, Operation};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:58rem;margin:0 auto;padding:1rem}\
h1,h2,h3{line-height:1.2}h2{margin-top:3rem;border-bottom:1px solid #8886}\
code,pre{font:14px/1.4 ui-monospace,monospace}\
pre{overflow-x:auto;padding:.6rem;border:1px solid #8886;border-radius:.3rem;background:#8881}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0}\
.method{display:inline-block;min-width:4rem;font-weight:bold}\
details{margin:.5rem 0}summary{cursor:pointer}nav ul{columns:2;padding-left:1rem}nav li{break-inside:avoid}";

/// A page, and what a browser may do with it.
pub(super) struct Page {
    pub(super) html: String,
    /// The value of `Content-Security-Policy`.
    pub(super) policy: String,
}

/// Everything that stands in `document`.
pub(super) fn render(document: &Value) -> Page {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let info = &document["info"];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (text(&info["title"])) " API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (text(&info["title"])) " API " small { (text(&info["version"])) } }
                    @for part in text(&info["description"]).split("\n\n") { p { (prose(part)) } }
                    p { "For programs: " a href="/api/openapi.json" { code { "/api/openapi.json" } } " (OpenAPI " (text(&document["openapi"])) ")." }
                }
                (contents(document))
                main {
                    @for tag in document["tags"].as_array().into_iter().flatten() {
                        section {
                            h2 { (text(&tag["name"])) }
                            p { (text(&tag["description"])) }
                            @for operation in operations(document, tag) { (one(&operation)) }
                        }
                    }
                    section {
                        h2 { "what receivers get" }
                        @for webhook in operation::webhooks(document) { (one(&webhook)) }
                    }
                    (schemas(document))
                }
            }
        }
    };
    Page { html: page.into_string(), policy }
}

fn operations<'a>(document: &'a Value, tag: &'a Value) -> impl Iterator<Item = Operation<'a>> {
    operation::all(document).filter(|operation| operation.tag == text(&tag["name"]))
}

fn contents(document: &Value) -> Markup {
    html! {
        nav {
            ul {
                @for operation in operation::all(document) {
                    li { a href={ "#" (operation.id) } { code { (operation.method) " " (operation.path) } } }
                }
            }
        }
    }
}

fn one(operation: &Operation<'_>) -> Markup {
    let is_webhook = !operation.path.starts_with('/');
    html! {
        article id=(operation.id) {
            h3 {
                span.method { (operation.method) } " "
                code { @if is_webhook { "target_url" } @else { (operation.path) } }
            }
            p { (prose(operation.summary)) }
            @if !operation.description.is_empty() { p { (prose(operation.description)) } }
            (parameters(&operation.value["parameters"]))
            (body(&operation.value["requestBody"]))
            (answers(&operation.value["responses"]))
            @if !is_webhook { pre { (operation.curl()) } }
        }
    }
}

fn parameters(parameters: &Value) -> Markup {
    let Some(parameters) = parameters.as_array().filter(|parameters| !parameters.is_empty()) else { return html! {} };
    html! {
        table {
            @for parameter in parameters {
                tr {
                    td { code { (text(&parameter["name"])) } }
                    td { (text(&parameter["in"])) @if parameter["required"] == true { ", required" } }
                    td { (kind(&parameter["schema"])) " " (prose(text(&parameter["description"]))) }
                }
            }
        }
    }
}

fn body(body: &Value) -> Markup {
    html! {
        @for (media, content) in body["content"].as_object().into_iter().flatten() {
            p { "Body: " code { (media) } ", " (kind(&content["schema"])) }
            (example(content))
        }
    }
}

fn answers(answers: &Value) -> Markup {
    html! {
        table {
            @for (status, answer) in answers.as_object().into_iter().flatten() {
                tr {
                    td { code { (status) } }
                    td {
                        (prose(text(&answer["description"])))
                        @for (media, content) in answer["content"].as_object().into_iter().flatten() {
                            " " small { code { (media) } " " (kind(&content["schema"])) }
                            (example(content))
                        }
                    }
                }
            }
        }
    }
}

fn example(content: &Value) -> Markup {
    let named = content["examples"].as_object().into_iter().flatten();
    html! {
        @if let Some(value) = content.get("example") { pre { (pretty(value)) } }
        @for (name, example) in named {
            details { summary { (name) } pre { (pretty(&example["value"])) } }
        }
    }
}

fn schemas(document: &Value) -> Markup {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    html! {
        section {
            h2 { "schemas" }
            @for (name, schema) in schemas {
                article id={ "schema-" (name) } {
                    h3 { code { (name) } }
                    p { (prose(text(&schema["description"]))) }
                    details { summary { "JSON Schema" } pre { (pretty(schema)) } }
                }
            }
        }
    }
}

/// A schema in a word: a link when it has a name.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => html! { "list of " (kind(&schema["items"])) },
        Value::String(name) => html! { (name) },
        Value::Array(names) => {
            html! { (names.iter().map(text).filter(|name| *name != "null").collect::<Vec<_>>().join(" or ")) }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => html! {
            @for option in schema["oneOf"].as_array().into_iter().flatten().filter(|option| option["type"] != "null") {
                (kind(option)) " "
            }
        },
    }
}

/// Text in which backquotes stand around code.
fn prose(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn pretty(value: &Value) -> String {
    value.as_str().map_or_else(|| serde_json::to_string_pretty(value).unwrap_or_default(), str::to_owned)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::openapi::document;

    #[test]
    fn every_operation_and_every_schema_can_be_found() {
        let document = document();
        let Page { html, policy } = render(&document);
        for operation in operation::all(&document) {
            assert!(html.contains(&format!("<article id=\"{}\">", operation.id)), "{}", operation.id);
        }
        for target in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(html.contains(&format!("id=\"{target}\"")), "there is no #{target}");
        }
        assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("style=\""));
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }

    #[test]
    fn what_the_document_says_is_text() {
        let page = render(&json!({"info": {"title": "<script>alert(1)</script>"}}));
        assert!(!page.html.contains("<script>"), "{}", page.html);
    }
}
