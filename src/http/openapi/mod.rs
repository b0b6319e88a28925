//! The API as a document: OpenAPI 3.1, made of the code that answers, and a page on which people read it.
//!
//! Each handler says beside its code what it takes and answers; here they are put together, with what all have in common
//! and with the webhooks that receivers get. A test compares the document with the routes that are really served. The
//! contract's API below `/whisperer/` has its own document, which is older than we are.

mod operation;
mod page;
mod refusals;
mod webhooks;

use std::cell::OnceCell;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
    web::{Bytes, Data},
};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self as doc,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

pub(super) use self::refusals::{
    Always, BadBody, BadQuery, Busy, Erased, Forbidden, KeyTaken, Malformed, Missing, NoReplay, NotJson, NotPaused,
    NotSetAside, Outdated, Registered, Settled, Taken, TooLarge, Troubled, TypeStays,
};
use super::{
    audit, batch, bulk_holds, deliveries, erasures, event_types, events, holds, interventions, metrics, ops,
    problem::ProblemBody, published, registration, replays, secrets, stats, subscriptions, trials, users,
};

const ABOUT: &str = "\
Postrider delivers webhooks for order management systems. An event that is answered with 202 is durable with everything \
that it owes; it is delivered to every subscription of its type, signed, again and again until it arrives.\n\n\
Refusals are `application/problem+json` with a `type` that never changes. Answers may get further members with later \
versions. The API of dj-whisperer below `/whisperer/` is served too; it is described by that project.";

/// After answers of an engine, by the name of the schema.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(OpenApi)]
#[openapi(
    info(title = "Postrider", description = ABOUT, license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    paths(
        events::accept, batch::accept, published::list, published::show, published::redeliver, erasures::erase_event,
        event_types::list, event_types::show, event_types::put, event_types::delete,
        subscriptions::list, subscriptions::show, registration::create, registration::change, registration::delete,
        holds::pause, holds::resume, secrets::rotate, stats::show, trials::order, erasures::order, erasures::show,
        bulk_holds::hold, bulk_holds::release,
        deliveries::list, deliveries::show, deliveries::redeliver, deliveries::cancel,
        interventions::skip, interventions::set_aside, interventions::release,
        replays::list, replays::order, replays::show, replays::cancel,
        users::list, users::add, users::change, users::tokens, users::add_token, users::revoke, audit::list,
        ops::healthz, ops::readyz, metrics::show, show, page,
    ),
    components(schemas(ProblemBody)),
    security(("token" = []), ("bearer" = [])),
    tags(
        (name = "events", description = "What happened, as it is published"),
        (name = "event types", description = "What can happen, and what its payloads look like"),
        (name = "subscriptions", description = "Who wants to know, and how they are doing"),
        (name = "deliveries", description = "What became of each event for each subscription"),
        (name = "replays", description = "Many deliveries attempted again"),
        (name = "users", description = "Who may use the API, and what they changed"),
        (name = "operations", description = "For whoever runs the engine"),
    ),
    modifiers(&Common),
)]
struct Api;

/// What stands in no handler: how tokens are sent, and what receivers get.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut doc::OpenApi) {
        let components = api.components.get_or_insert_default();
        let token = ApiKeyValue::with_description("Authorization", "`Token` and your token, with a blank between them");
        components.add_security_scheme("token", SecurityScheme::ApiKey(ApiKey::Header(token)));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        webhooks::add_to(api);
    }
}

/// The document and its page, made by each thread that serves when somebody first asks it for them: few ever do, and
/// making them takes some megabytes.
#[derive(Default)]
pub(super) struct Document(OnceCell<Written>);

struct Written {
    json: Bytes,
    page: Bytes,
    policy: HeaderValue,
}

impl Document {
    fn written(&self) -> &Written {
        self.0.get_or_init(Written::new)
    }
}

impl Written {
    fn new() -> Self {
        let document = document();
        let page = page::render(&document);
        Self {
            json: serde_json::to_vec_pretty(&document).expect("texts and numbers serialise").into(),
            page: page.html.into(),
            policy: HeaderValue::from_str(&page.policy).expect("a policy is ASCII"),
        }
    }
}

/// The document as JSON.
pub(super) fn document() -> Value {
    let mut document = serde_json::to_value(Api::openapi()).expect("texts and numbers serialise");
    let items = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = items.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    let examples: Value = serde_json::from_str(EXAMPLES).expect("it is JSON");
    operations.for_each(|operation| {
        leave_out_null(operation);
        add_examples(operation, &examples);
    });
    document
}

/// Gives each answer that was not refused the example of its schema.
fn add_examples(operation: &mut Value, examples: &Value) {
    let answers = operation["responses"].as_object_mut().into_iter().flatten();
    for (_, answer) in answers {
        let Some(content) = answer.pointer_mut("/content/application~1json") else { continue };
        let name = content["schema"]["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        if let Some(example) = name.and_then(|name| examples.get(name)) {
            content["example"] = example.clone();
        }
    }
}

/// A body that need not be there is told as one that may be null, too, which is no object.
fn leave_out_null(operation: &mut Value) {
    let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema") else { return };
    let mut options = schema["oneOf"].as_array().into_iter().flatten();
    if let Some(object) = options.find(|option| option["type"] != "null").cloned() {
        *schema = object;
    }
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "operations", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Value)),
)]
pub(super) async fn show(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.written().json.clone())
}

/// This document, to be read by people.
#[utoipa::path(
    get, path = "/api/docs", tag = "operations", operation_id = "docs", security(()),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(super) async fn page(document: Data<Document>) -> HttpResponse {
    let document = document.written();
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, document.policy.clone()))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(document.page.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_none_else() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let told: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().into_iter().flat_map(|item| item.keys());
                methods.map(|method| (path.clone(), method.to_ascii_uppercase()))
            })
            .collect();
        let served: BTreeSet<(String, String)> = crate::http::native()
            .listed()
            .flat_map(|(path, allow)| allow.split(", ").map(move |method| (path.to_owned(), method.to_owned())))
            // What answers GET answers HEAD in the same way.
            .filter(|(_, method)| method != "HEAD")
            .collect();
        assert_eq!(told.symmetric_difference(&served).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let document = document();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 50);
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("all are of this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let mut names = BTreeSet::new();
        for operation in operation::all(&document) {
            assert!(names.insert(operation.id.to_owned()), "{} is there twice", operation.id);
            assert!(!operation.summary.is_empty(), "{} says nothing of itself", operation.id);
        }
    }

    #[test]
    fn every_example_keeps_to_its_schema() {
        let document = document();
        let mut found = Vec::new();
        examples(&document, &mut found);
        assert!(found.len() > 50, "only {} examples", found.len());
        for (mut schema, example) in found {
            schema["components"] = document["components"].clone();
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            let faults: Vec<String> = validator.iter_errors(&example).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{example}: {faults:?}");
        }
    }

    #[test]
    fn every_answer_in_json_has_an_example() {
        let document = document();
        let (mut answers, mut without) = (0, Vec::new());
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                for (status, answer) in operation["responses"].as_object().expect("answers") {
                    let content = &answer["content"]["application/json"];
                    if status.starts_with('2') && content["schema"]["$ref"].is_string() {
                        answers += 1;
                        if content["example"].is_null() {
                            without.push(format!("{method} {path} {status}"));
                        }
                    }
                }
            }
        }
        assert!(answers > 40 && without.is_empty(), "of {answers}: {without:#?}");
    }

    /// All examples below `value`, each with its schema: those of bodies and parameters stand beside it, others in it.
    fn examples(value: &Value, found: &mut Vec<(Value, Value)>) {
        match value {
            Value::Object(members) => {
                let own = members.get("schema").unwrap_or(value);
                let named =
                    members.get("examples").and_then(Value::as_object).into_iter().flat_map(|named| named.values());
                let all = members.get("example").into_iter().chain(named.filter_map(|named| named.get("value")));
                // In a schema of its own what is an example's name may be a property's.
                if own.is_object()
                    && (own.get("$ref").is_some()
                        || own.get("type").is_some_and(|t| !t.is_object())
                        || own.get("allOf").is_some())
                {
                    found.extend(all.map(|example| (own.clone(), example.clone())));
                }
                members.iter().filter(|(name, _)| *name != "example").for_each(|(_, member)| examples(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| examples(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect(member, references));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
