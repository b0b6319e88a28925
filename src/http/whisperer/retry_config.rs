//! `retry_countdown_config`: a choice and the numbers it needs (contract, section 4).

use super::{
    errors::{Fault, Faults},
    json::{Json, Object},
    rules::{Blank, NO_JSON, NULL, REQUIRED, integer, no_choice, text},
};
use crate::domain::retry::{Limit, RetryPolicy};

/// The policy that `value`, which is not null, describes.
///
/// # Errors
/// Those of `choice` and a missing `kwargs` together; those of the numbers only when both are there and the choice is known.
pub(super) fn read(value: &Json) -> Result<RetryPolicy, Faults> {
    let object = dictionary(value)?;
    let mut faults = Faults::default();
    let choice = match object.get("choice") {
        None => Err(Fault::text(REQUIRED)),
        Some(Json::Null) => Err(Fault::text(NULL)),
        Some(value) => text(value, None, Blank::Refused).and_then(|name| Choice::named(&name)),
    };
    let kwargs = match object.get("kwargs") {
        None => Err(Fault::text(REQUIRED)),
        Some(Json::Null) => Err(Fault::text(NULL)),
        Some(value) if !value.is_finite() => Err(Fault::text(NO_JSON)),
        Some(value) => Ok(value),
    };
    let choice = choice.map_err(|fault| faults.add("choice", fault));
    let kwargs = kwargs.map_err(|fault| faults.add("kwargs", fault));
    let (Ok(choice), Ok(kwargs)) = (choice, kwargs) else { return Err(faults) };
    choice.read(kwargs).map_err(|faults| Faults::of("kwargs", Fault::Nested(faults)))
}

/// The object that `value` has to be.
///
/// # Errors
/// One error of the whole.
pub(super) fn dictionary(value: &Json) -> Result<&Object, Faults> {
    match value {
        Json::Object(object) => Ok(object),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Float(_) | Json::Text(_) | Json::List(_) => {
            let found = value.type_name();
            Err(Faults::of_the_whole(format!("Invalid data. Expected a dictionary, but got {found}.")))
        }
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Fixed,
    Linear,
    Exponential,
    Random,
}

impl Choice {
    fn named(name: &str) -> Result<Self, Fault> {
        match name {
            "fixed" => Ok(Self::Fixed),
            "linear" => Ok(Self::Linear),
            "exponential" => Ok(Self::Exponential),
            "random" => Ok(Self::Random),
            _ => Err(no_choice(name)),
        }
    }

    fn read(self, kwargs: &Json) -> Result<RetryPolicy, Faults> {
        let mut numbers = Numbers { object: dictionary(kwargs)?, faults: Faults::default() };
        let policy = match self {
            Self::Fixed => RetryPolicy::Fixed { seconds: numbers.required("seconds") },
            Self::Linear => RetryPolicy::Linear { base: numbers.required("base"), limit: numbers.limit() },
            Self::Exponential => RetryPolicy::Exponential {
                base: numbers.required("base"),
                factor: numbers.factor(),
                limit: numbers.limit(),
            },
            Self::Random => RetryPolicy::Random {
                min_value: numbers.required("min_value"),
                max_value: numbers.required("max_value"),
            },
        };
        if !numbers.faults.is_empty() {
            return Err(numbers.faults);
        }
        match policy {
            RetryPolicy::Random { min_value, max_value } if min_value >= max_value => {
                Err(Faults::of_the_whole("'max_value' must be greater than 'min_value'."))
            }
            RetryPolicy::Fixed { .. }
            | RetryPolicy::Linear { .. }
            | RetryPolicy::Exponential { .. }
            | RetryPolicy::Random { .. } => Ok(policy),
        }
    }
}

/// Reads the numbers of `kwargs` and gathers what is wrong with them; a number with a fault reads as 0.
struct Numbers<'a> {
    object: &'a Object,
    faults: Faults,
}

impl Numbers<'_> {
    fn required(&mut self, name: &'static str) -> u32 {
        let read = match self.object.get(name) {
            None => Err(Fault::text(REQUIRED)),
            Some(value) => not_null(value, 0),
        };
        self.or_zero(name, read)
    }

    fn factor(&mut self) -> u32 {
        let read = self.object.get("factor").map_or(Ok(1), |value| not_null(value, 1));
        self.or_zero("factor", read)
    }

    fn limit(&mut self) -> Limit {
        match self.object.get("limit") {
            None => Limit::Unstated,
            Some(Json::Null) => Limit::Null,
            Some(value) => Limit::Seconds(self.or_zero("limit", integer(value, 0))),
        }
    }

    fn or_zero(&mut self, name: &'static str, read: Result<u32, Fault>) -> u32 {
        read.unwrap_or_else(|fault| {
            self.faults.add(name, fault);
            0
        })
    }
}

fn not_null(value: &Json, min: u32) -> Result<u32, Fault> {
    if *value == Json::Null { Err(Fault::text(NULL)) } else { integer(value, min) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<String, String> {
        let read = read(&Json::parse(text.as_bytes()).expect(text));
        read.map(|policy| json(&policy)).map_err(|faults| json(&faults))
    }

    fn json(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).expect("it serialises")
    }

    #[test]
    fn a_policy_is_stored_as_the_contract_says() {
        for (given, stored) in [
            (r#"{"choice":"fixed","kwargs":{"seconds":"60"}}"#, r#"{"choice":"fixed","kwargs":{"seconds":60}}"#),
            (r#"{"choice":" linear ","kwargs":{"base":1.0}}"#, r#"{"choice":"linear","kwargs":{"base":1}}"#),
            (
                r#"{"kwargs":{"limit":null,"base":0},"choice":"linear"}"#,
                r#"{"choice":"linear","kwargs":{"base":0,"limit":null}}"#,
            ),
            (
                r#"{"choice":"exponential","kwargs":{"base":2}}"#,
                r#"{"choice":"exponential","kwargs":{"base":2,"factor":1}}"#,
            ),
            (
                r#"{"choice":"exponential","kwargs":{"limit":0,"base":2,"factor":3,"x":1},"y":2}"#,
                r#"{"choice":"exponential","kwargs":{"base":2,"factor":3,"limit":0}}"#,
            ),
            (
                r#"{"choice":"random","kwargs":{"min_value":1,"max_value":5}}"#,
                r#"{"choice":"random","kwargs":{"min_value":1,"max_value":5}}"#,
            ),
        ] {
            assert_eq!(read_text(given), Ok(stored.to_owned()), "{given}");
        }
    }

    #[test]
    fn faults_are_nested_where_they_belong() {
        let dictionary = |found: &str| {
            format!(r#"{{"non_field_errors":["Invalid data. Expected a dictionary, but got {found}."]}}"#)
        };
        for (given, faults) in [
            ("{}", r#"{"choice":["This field is required."],"kwargs":["This field is required."]}"#.to_owned()),
            ("[]", dictionary("list")),
            ("5", dictionary("int")),
            ("5.5", dictionary("float")),
            ("\"fixed\"", dictionary("str")),
            ("true", dictionary("bool")),
            (r#"{"choice":null,"kwargs":null}"#, format!(r#"{{"choice":["{NULL}"],"kwargs":["{NULL}"]}}"#)),
            (r#"{"choice":"","kwargs":{}}"#, r#"{"choice":["This field may not be blank."]}"#.to_owned()),
            (
                r#"{"choice":"weird"}"#,
                r#"{"choice":["\"weird\" is not a valid choice."],"kwargs":["This field is required."]}"#.to_owned(),
            ),
            (r#"{"choice":"Fixed","kwargs":[]}"#, r#"{"choice":["\"Fixed\" is not a valid choice."]}"#.to_owned()),
            (r#"{"choice":5,"kwargs":{}}"#, r#"{"choice":["\"5\" is not a valid choice."]}"#.to_owned()),
            (r#"{"choice":["fixed"],"kwargs":{}}"#, r#"{"choice":["Not a valid string."]}"#.to_owned()),
            (r#"{"choice":"fixed","kwargs":3}"#, format!(r#"{{"kwargs":{}}}"#, dictionary("int"))),
            (r#"{"choice":"fixed","kwargs":{}}"#, format!(r#"{{"kwargs":{{"seconds":["{REQUIRED}"]}}}}"#)),
            (r#"{"choice":"linear","kwargs":{"base":null}}"#, format!(r#"{{"kwargs":{{"base":["{NULL}"]}}}}"#)),
            (
                r#"{"choice":"exponential","kwargs":{"factor":0,"limit":-1}}"#,
                format!(
                    r#"{{"kwargs":{{"base":["{REQUIRED}"],"factor":["Ensure this value is greater than or equal to 1."],"limit":["Ensure this value is greater than or equal to 0."]}}}}"#
                ),
            ),
            (
                r#"{"choice":"exponential","kwargs":{"base":1,"factor":null}}"#,
                format!(r#"{{"kwargs":{{"factor":["{NULL}"]}}}}"#),
            ),
            (
                r#"{"choice":"weird","kwargs":[1e400]}"#,
                r#"{"choice":["\"weird\" is not a valid choice."],"kwargs":["Value must be valid JSON."]}"#.to_owned(),
            ),
            (
                r#"{"choice":"random","kwargs":{"min_value":5,"max_value":5}}"#,
                r#"{"kwargs":{"non_field_errors":["'max_value' must be greater than 'min_value'."]}}"#.to_owned(),
            ),
        ] {
            assert_eq!(read_text(given), Err(faults), "{given}");
        }
    }
}
