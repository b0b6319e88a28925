//! `additional_headers` and `config`: objects that the domain checks (contract, sections 0 and 9).

use serde_json::{Map, Number, Value};

use super::{
    errors::Fault,
    json::{Json, Object, Text},
    rules::{NO_JSON, no_surrogate},
};
use crate::domain::{headers::AdditionalHeaders, subscription::Config};

/// Header names and their values, strings or null.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn headers(value: &Json) -> Result<AdditionalHeaders, Fault> {
    let mut headers = Vec::new();
    for (name, value) in object(value)?.iter() {
        let name = valid(name)?;
        let value = match value {
            Json::Null => None,
            Json::Text(text) => Some(valid(text)?),
            Json::Bool(_) | Json::Int(_) | Json::Float(_) | Json::List(_) | Json::Object(_) => {
                return Err(Fault::text(format!("The value of header \"{name}\" must be a string or null.")));
            }
        };
        headers.push((name, value));
    }
    AdditionalHeaders::new(headers).map_err(|error| Fault::text(error.to_string()))
}

/// The settings of a hook.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn config(value: &Json) -> Result<Config, Fault> {
    Config::new(map(object(value)?)?).map_err(|error| Fault::text(error.to_string()))
}

fn object(value: &Json) -> Result<&Object, Fault> {
    match value {
        Json::Object(object) => Ok(object),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Float(_) | Json::Text(_) | Json::List(_) => {
            let found = value.type_name();
            Err(Fault::text(format!("Expected a dictionary of items but got type \"{found}\".")))
        }
    }
}

fn valid(text: &Text) -> Result<String, Fault> {
    text.surrogate.map_or_else(|| Ok(text.text.clone()), |unit| Err(Fault::text(no_surrogate(unit))))
}

fn map(object: &Object) -> Result<Map<String, Value>, Fault> {
    object.iter().map(|(name, value)| Ok((valid(name)?, stored(value)?))).collect()
}

/// `value` as it is stored. An integer beyond 64 bits becomes the nearest double.
fn stored(value: &Json) -> Result<Value, Fault> {
    let number = |number: Option<Number>| number.map(Value::Number).ok_or_else(|| Fault::text(NO_JSON));
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Int(digits) => match (digits.as_str().parse::<i64>(), digits.as_str().parse::<u64>()) {
            (Ok(value), _) => Value::Number(value.into()),
            (_, Ok(value)) => Value::Number(value.into()),
            (Err(_), Err(_)) => number(digits.as_str().parse().ok().and_then(Number::from_f64))?,
        },
        Json::Float(value) => number(Number::from_f64(*value))?,
        Json::Text(text) => Value::String(valid(text)?),
        Json::List(items) => Value::Array(items.iter().map(stored).collect::<Result<_, _>>()?),
        Json::Object(object) => Value::Object(map(object)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn order_and_numbers_survive() {
        let text = r#"{"z":1,"a":[1.0,-5,18446744073709551615,{"y":null,"x":"ş"}],"m":0.1}"#;
        let config = config(&json(text)).expect("a config");
        assert_eq!(serde_json::to_string(config.raw()).expect("it serialises"), text);
        let text = r#"{"X-B":"2","User-Agent":null,"X-A":"1"}"#;
        assert_eq!(serde_json::to_string(&headers(&json(text)).expect("headers")).expect("it serialises"), text);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_when_it_is_written() {
        for text in [
            "[]",
            "5",
            "false",
            "\"X-A: 1\"",
            r#"{"X-A":5}"#,
            r#"{"X-A":{"a":1}}"#,
            r#"{"X-A":["a"]}"#,
            r#"{"X-A":"a\r\nX-Evil: 1"}"#,
            r#"{"X-A":" a"}"#,
            r#"{"X-A":"\u015f"}"#,
            r#"{"X-A":"\ud800"}"#,
            r#"{"":"a"}"#,
            r#"{"X A":"a"}"#,
            r#"{"content-length":"5"}"#,
            r#"{"Transfer-Encoding":null}"#,
        ] {
            assert!(headers(&json(text)).is_err(), "{text}");
        }
        for text in [
            "[]",
            "0",
            "\"x\"",
            "false",
            r#"{"auth":"x"}"#,
            r#"{"auth":{"auth_type":"basic","username":"ş"}}"#,
            r#"{"timeout":61}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"\udc00":1}"#,
            r#"{"a":1e400}"#,
        ] {
            assert!(config(&json(text)).is_err(), "{text}");
        }
    }
}
