//! What is wrong with the fields of a body: an object of lists of sentences, all of them at once.

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Where an error goes that belongs to no field.
const NON_FIELD: &str = "non_field_errors";

/// Errors of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Fault {
    /// Sentences.
    Texts(Vec<String>),
    /// Errors of the fields inside.
    Nested(Faults),
}

/// Errors of an object's fields, in the order in which they are answered. Nothing is wrong when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(Vec<(&'static str, Fault)>);

impl Fault {
    /// One sentence.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Texts(vec![text.into()])
    }
}

impl Faults {
    /// The one error of an object as a whole.
    pub(super) fn of_the_whole(text: impl Into<String>) -> Self {
        Self::of(NON_FIELD, Fault::text(text))
    }

    /// The errors of one field.
    pub(super) fn of(field: &'static str, fault: Fault) -> Self {
        Self(vec![(field, fault)])
    }

    /// Adds the errors of a field behind those that are there.
    pub(super) fn add(&mut self, field: &'static str, fault: Fault) {
        self.0.push((field, fault));
    }

    /// Puts the errors into the order that `rank` gives their fields.
    pub(super) fn sort_by(&mut self, rank: impl Fn(&str) -> usize) {
        self.0.sort_by_key(|(field, _)| rank(field));
    }

    /// Whether nothing is wrong.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, fault) in &self.0 {
            map.serialize_entry(field, fault)?;
        }
        map.end()
    }
}
