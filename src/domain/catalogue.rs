//! What is known of an event type beside its name.

use super::event_type::{EventType, OMS_EVENT_TYPES};

/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2_000;
/// The largest JSON Schema, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The largest example, in bytes.
pub const MAX_EXAMPLE_BYTES: usize = 64 * 1024;
/// The most types that can be described.
pub const MAX_TYPES: i64 = 1_000;

/// Where a type comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Every installation has it.
    BuiltIn,
    /// This installation registered it.
    Own,
}

/// Whether payloads are held to the schema when they are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// They are not.
    Off,
    /// They are: what violates the schema is refused.
    On,
}

/// An event type as somebody described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The type.
    pub event_type: EventType,
    /// For people.
    pub text: Option<String>,
    /// A JSON Schema of its payloads, as JSON.
    pub schema: Option<String>,
    /// A payload, as JSON.
    pub example: Option<String>,
    /// What the schema is used for.
    pub validation: Validation,
}

/// Where `event_type` comes from.
#[must_use]
pub fn origin_of(event_type: &EventType) -> Origin {
    if OMS_EVENT_TYPES.contains(&event_type.as_str()) { Origin::BuiltIn } else { Origin::Own }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_types_are_known_by_their_exact_names() {
        let origin = |name| origin_of(&EventType::parse(name).expect("a name"));
        assert_eq!(origin("package.created"), Origin::BuiltIn);
        assert_eq!(origin("Package.created"), Origin::Own);
    }
}
