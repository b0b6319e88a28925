//! The event types that events may have, in memory: asked for each event that is published.
//!
//! Schemas are compiled once, when a type is described or the engine starts. Nothing that a schema refers to is fetched, and
//! its patterns run in linear time.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::problem::Problem;
use crate::{
    domain::{
        catalogue::{Description, Validation},
        event_type::{EventType, OMS_EVENT_TYPES},
    },
    store::{Lane, Store, StoreError, event_types},
};

/// Violations that are told at once.
const MAX_VIOLATIONS: usize = 10;
/// Names of types that a refusal tells.
const MAX_NAMES: usize = 100;
/// The longest text of one violation, in bytes: it may quote the payload.
const MAX_TEXT: usize = 500;

/// A type that events may have.
pub(super) struct Known {
    pub(super) event_type: EventType,
    /// What somebody said of it.
    pub(super) description: Option<Description>,
    /// What payloads are held to.
    validator: Option<Validator>,
}

/// See the module; cloning shares it.
#[derive(Clone)]
pub struct Catalogue {
    known: Arc<RwLock<BTreeMap<EventType, Arc<Known>>>>,
    /// Held from the transaction to what follows from it here, so that store and memory change in one order.
    changing: Arc<Mutex<()>>,
}

impl Catalogue {
    /// The built-in types, and what `store` knows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let catalogue = Self::built_in();
        for description in store.run(Lane::Read, event_types::all).await? {
            let name = description.event_type.clone();
            let validator = compile(&description).unwrap_or_else(|error| {
                log::error!(event_type:% = name, error = error.as_str(); "a schema cannot be used; payloads pass unseen");
                None
            });
            catalogue.put(description, validator);
        }
        Ok(catalogue)
    }

    pub(super) fn built_in() -> Self {
        let known = OMS_EVENT_TYPES.iter().filter_map(|name| EventType::parse(name).ok());
        let entry = |event_type: EventType| {
            (event_type.clone(), Arc::new(Known { event_type, description: None, validator: None }))
        };
        Self { known: Arc::new(RwLock::new(known.map(entry).collect())), changing: Arc::default() }
    }

    /// Waits for one's turn to change what is stored and what is known.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// The type of this name, compared exactly.
    ///
    /// # Errors
    /// 422 when there is none.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Known>, Problem> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = known.keys().take(MAX_NAMES).map(EventType::as_str).collect();
            Problem::unknown_event_type(name, &names)
        })
    }

    /// The names of all, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.all().iter().map(|known| known.event_type.as_str().to_owned()).collect()
    }

    /// All of them, in the order of their names.
    pub(super) fn all(&self) -> Vec<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Takes what was stored.
    pub(super) fn put(&self, description: Description, validator: Option<Validator>) {
        let event_type = description.event_type.clone();
        let known = Known { event_type: event_type.clone(), description: Some(description), validator };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(event_type, Arc::new(known));
    }

    /// Forgets what is not stored any more.
    pub(super) fn remove(&self, event_type: &EventType) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(event_type);
    }
}

/// What payloads are held to; `None` when they are not.
///
/// # Errors
/// Why the schema is none.
pub(super) fn compile(description: &Description) -> Result<Option<Validator>, String> {
    let Some(schema) = &description.schema else { return Ok(None) };
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    // Also one that is not used: it is to be valid when it is switched on.
    let validator = jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|error| shortened(&error.to_string()))?;
    Ok((description.validation == Validation::On).then_some(validator))
}

impl Known {
    /// Holds `payload` to the schema, if there is one that counts.
    ///
    /// # Errors
    /// 422 with what violates it and where.
    pub(super) fn check(&self, payload: &str) -> Result<(), Problem> {
        let Some(validator) = &self.validator else { return Ok(()) };
        let payload: Value = serde_json::from_str(payload)
            .map_err(|error| Problem::malformed(format!("The payload cannot be read: {error}.")))?;
        let violations: Vec<Value> = validator
            .iter_errors(&payload)
            .take(MAX_VIOLATIONS)
            .map(|error| json!({ "path": error.instance_path().to_string(), "detail": shortened(&error.to_string()) }))
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(Problem::schema_violation(&self.event_type, violations)) }
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(schema: &str, validation: Validation) -> Result<Known, String> {
        let event_type = EventType::parse("order.placed").expect("a name");
        let description = Description {
            event_type: event_type.clone(),
            text: None,
            schema: Some(schema.to_owned()),
            example: None,
            validation,
        };
        let validator = compile(&description)?;
        Ok(Known { event_type, description: Some(description), validator })
    }

    #[test]
    fn a_violation_names_its_path() {
        let schema = r#"{"type":"object","properties":{"lines":{"items":{"required":["sku"]}}}}"#;
        let known = described(schema, Validation::On).expect("a schema");
        assert!(known.check(r#"{"lines":[{"sku":1}]}"#).is_ok());
        let refused = known.check(r#"{"lines":[{"sku":1},{}]}"#).expect_err("one has no sku");
        assert_eq!((refused.status().as_u16(), &refused.body()["errors"][0]["path"]), (422, &json!("/lines/1")));
        assert!(described(schema, Validation::Off).expect("a schema").check("5").is_ok());
    }

    #[test]
    fn what_is_no_schema_or_lies_elsewhere_is_refused() {
        for schema in
            [r#"{"type":"objekt"}"#, r#"{"$ref":"https://a.example/s.json"}"#, r#"{"$ref":"file:///etc/passwd"}"#]
        {
            assert!(described(schema, Validation::Off).is_err(), "{schema}");
        }
    }
}
