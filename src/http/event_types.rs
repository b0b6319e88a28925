//! `/api/v1/event-types`: what can happen, and what its payloads look like.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use utoipa::ToSchema;

use super::{
    State,
    auth::Caller,
    body::{Body, read_json},
    catalogue::{Known, compile},
    openapi::{Always, BadBody, Forbidden, Missing, TypeStays},
    problem::{FieldFault, Problem},
};
use crate::{
    domain::{
        audit::{Author, Entry},
        catalogue::{
            Description, MAX_DESCRIPTION, MAX_EXAMPLE_BYTES, MAX_SCHEMA_BYTES, MAX_TYPES, Origin, Validation, origin_of,
        },
        event_type::EventType,
        owner::Owner,
        time::Timestamp,
    },
    samples,
    store::{
        Lane,
        audit::audited,
        event_types::{self, Put, Removed},
    },
};

/// Types that begin so are the engine's own.
const OWN_PREFIX: &str = "postrider";

/// What can happen.
#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
pub(super) struct TypeView<'a> {
    #[schema(example = "package.created")]
    name: &'a str,
    built_in: bool,
    description: Option<&'a str>,
    /// Whether payloads have to keep to the schema.
    validate: bool,
    /// JSON Schema of the payload.
    #[schema(value_type = Value)]
    schema: Option<Box<RawValue>>,
    /// A payload to try things with.
    #[schema(value_type = Value)]
    example: Option<Box<RawValue>>,
}

impl<'a> TypeView<'a> {
    fn new(known: &'a Known, now: Timestamp) -> Self {
        let description = known.description.as_ref();
        let raw = |text: Option<&String>| text.and_then(|text| RawValue::from_string(text.clone()).ok());
        Self {
            name: known.event_type.as_str(),
            built_in: origin_of(&known.event_type) == Origin::BuiltIn,
            description: description.and_then(|description| description.text.as_deref()),
            validate: description.is_some_and(|description| description.validation == Validation::On),
            schema: raw(description.and_then(|description| description.schema.as_ref())),
            example: example_of(known, now),
        }
    }
}

/// All types at once: there is no next page.
#[derive(Serialize, ToSchema)]
#[schema(as = EventTypePage)]
pub(super) struct Page<'a> {
    items: Vec<TypeView<'a>>,
    #[schema(value_type = Option<i32>)]
    next: Option<()>,
}

/// A payload to try things with: the one that was given, else a sample of ours.
pub(super) fn example_of(known: &Known, now: Timestamp) -> Option<Box<RawValue>> {
    let given = known.description.as_ref().and_then(|description| description.example.clone());
    match given {
        Some(text) => RawValue::from_string(text).ok(),
        None => samples::sample(known.event_type.as_str(), 0, now),
    }
}

/// Every event type, in the order of their names; there are at most some thousand.
#[utoipa::path(
    get, path = "/api/v1/event-types", tag = "event types", operation_id = "list_event_types",
    responses((status = 200, description = "All of them", body = Page), Always),
)]
pub(super) async fn list(state: Data<State>, Caller(_): Caller) -> HttpResponse {
    let (known, now) = (state.catalogue.all(), state.clock.now());
    let items: Vec<_> = known.iter().map(|known| TypeView::new(known, now)).collect();
    HttpResponse::Ok().json(Page { items, next: None })
}

/// One event type.
#[utoipa::path(
    get, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "show_event_type",
    params(("name" = String, Path, description = "The event type")),
    responses((status = 200, description = "The type", body = TypeView), Missing, Always),
)]
pub(super) async fn show(state: Data<State>, Caller(_): Caller, name: Path<String>) -> Result<HttpResponse, Problem> {
    let missing = |_| Problem::not_found("There is no event type of this name.");
    let known = state.catalogue.find(&name).map_err(missing)?;
    Ok(HttpResponse::Ok().json(TypeView::new(&known, state.clock.now())))
}

/// What is said of a type; what is left out is taken away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventTypeDescription)]
pub(super) struct TypeBody {
    description: Option<String>,
    /// JSON Schema of the payload.
    #[schema(value_type = Value, required = false)]
    schema: Option<Box<RawValue>>,
    /// A payload that keeps to the schema.
    #[schema(value_type = Value, required = false)]
    example: Option<Box<RawValue>>,
    /// Refuse events whose payload violates the schema.
    #[serde(default)]
    validate: bool,
}

impl TypeBody {
    fn described(self, event_type: EventType) -> Result<Description, Problem> {
        let mut faults = Vec::new();
        let mut refuse = |field: &str, detail: String| faults.push(FieldFault { field: field.to_owned(), detail });
        if self.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            refuse("description", format!("\"description\" may have at most {MAX_DESCRIPTION} characters."));
        }
        for (field, raw, most) in
            [("schema", &self.schema, MAX_SCHEMA_BYTES), ("example", &self.example, MAX_EXAMPLE_BYTES)]
        {
            if raw.as_ref().is_some_and(|raw| raw.get().len() > most) {
                refuse(field, format!("\"{field}\" may have at most {most} bytes."));
            }
        }
        if self.validate && self.schema.is_none() {
            refuse("validate", "\"validate\" needs a \"schema\".".to_owned());
        }
        if !faults.is_empty() {
            return Err(Problem::fields(&faults));
        }
        let text = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().to_owned());
        Ok(Description {
            event_type,
            text: self.description,
            schema: text(self.schema),
            example: text(self.example),
            validation: if self.validate { Validation::On } else { Validation::Off },
        })
    }
}

fn admins_only(owner: &Owner) -> Result<(), Problem> {
    if owner.role.sees_all() {
        return Ok(());
    }
    Err(Problem::forbidden("Event types are everybody's: describing or deleting one needs the role admin."))
}

/// What is written down of a description that replaces `before`, or of `before` that goes; `None` when nothing is different.
fn told(action: &'static str, before: Option<&Description>, after: Option<&Description>) -> Option<Entry> {
    let subject = format!("event-type:{}", before.or(after)?.event_type);
    let became = after.map_or(Value::Null, facts);
    let entry = Entry::order(action, subject, None, became);
    let entry = match before.map(facts) {
        Some(Value::Object(was)) => Entry { was, ..entry },
        Some(_) | None => entry,
    };
    (before != after).then_some(entry)
}

fn facts(description: &Description) -> Value {
    json!({
        "description": description.text,
        "schema": description.schema,
        "example": description.example,
        "validate": description.validation == Validation::On,
    })
}

/// Registers a type, or describes one anew, also a built-in one. Its schema has to be one, and its example has to keep to it.
#[utoipa::path(
    put, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "put_event_type",
    params(("name" = String, Path, description = "The event type")),
    request_body(content = TypeBody, example = json!({
        "description": "A parcel was weighed", "validate": true,
        "schema": {"type": "object", "required": ["id"]}, "example": {"id": 73, "grams": 1200}
    })),
    responses(
        (status = 200, description = "It is described anew", body = TypeView),
        (status = 201, description = "It is registered", body = TypeView),
        BadBody, Forbidden, Always,
    ),
)]
pub(super) async fn put(
    state: Data<State>,
    Caller(owner): Caller,
    name: Path<String>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    admins_only(&owner)?;
    let event_type =
        EventType::parse(&name).map_err(|error| Problem::invalid(format!("The name is refused: {error}.")))?;
    if event_type.object() == OWN_PREFIX {
        return Err(Problem::reserved_event_type(event_type.as_str()));
    }
    let description = read_json::<TypeBody>(&body)?.described(event_type)?;
    let fault = |field: &str, detail: String| Problem::fields(&[FieldFault { field: field.to_owned(), detail }]);
    let validator = compile(&description).map_err(|error| fault("schema", format!("\"schema\" is none: {error}.")))?;
    if let (Some(validator), Some(example)) = (&validator, &description.example) {
        let example = serde_json::from_str(example).map_err(|error| Problem::internal(&error))?;
        if let Some(error) = validator.iter_errors(&example).next() {
            let detail =
                format!("\"example\" violates the schema at {:?}: {error}.", error.instance_path().to_string());
            return Err(fault("example", detail));
        }
    }
    let _turn = state.catalogue.turn().await;
    let before = state.catalogue.find(&name).ok().and_then(|known| known.description.clone());
    let (now, stored) = (state.clock.now(), description.clone());
    let author = Author::from(&*owner);
    let work = move |connection: &mut _| {
        let put = |connection: &mut _| event_types::put(connection, &stored, now);
        let told = |put: &Put| match put {
            Put::Added => told("event-type.add", before.as_ref(), Some(&stored)),
            Put::Replaced => told("event-type.change", before.as_ref(), Some(&stored)),
            Put::Full => None,
        };
        audited(connection, &author, now, put, told)
    };
    let put = state.store.run(Lane::Write, work).await?;
    let status = match put {
        Put::Added => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
        Put::Full => return Err(Problem::invalid(format!("At most {MAX_TYPES} event types can be described."))),
    };
    state.catalogue.put(description, validator);
    let known = state.catalogue.find(&name)?;
    Ok(HttpResponse::build(status).json(TypeView::new(&known, now)))
}

/// Forgets a type that somebody registered and no active subscription has any more: nothing is published under it from now on. What
/// was published stays.
#[utoipa::path(
    delete, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "delete_event_type",
    params(("name" = String, Path, description = "The event type")),
    responses((status = 204, description = "It is forgotten"), Forbidden, Missing, TypeStays, Always),
)]
pub(super) async fn delete(
    state: Data<State>,
    Caller(owner): Caller,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    admins_only(&owner)?;
    let _turn = state.catalogue.turn().await;
    let missing = || Problem::not_found("There is no event type of this name.");
    let known = state.catalogue.find(&name).map_err(|_| missing())?;
    let event_type = known.event_type.clone();
    if origin_of(&event_type) == Origin::BuiltIn {
        return Err(Problem::built_in_type(event_type.as_str()));
    }
    let (author, now, gone) = (Author::from(&*owner), state.clock.now(), event_type.clone());
    let work = move |connection: &mut _| {
        let told = |removed: &Removed| match removed {
            Removed::Gone => told("event-type.delete", known.description.as_ref(), None),
            Removed::InUse(_) | Removed::Unknown => None,
        };
        audited(connection, &author, now, |connection| event_types::remove(connection, &gone), told)
    };
    match state.store.run(Lane::Write, work).await? {
        Removed::Gone => {
            state.catalogue.remove(&event_type);
            Ok(HttpResponse::NoContent().finish())
        }
        Removed::InUse(subscription) => Err(Problem::type_in_use(event_type.as_str(), subscription)),
        Removed::Unknown => Err(missing()),
    }
}
