//! `additional_headers` and `config`: objects that the domain checks (contract, sections 0 and 9).

use serde_json::value::RawValue;

use super::{
    errors::Fault,
    json::{Json, Object, Text, float_repr},
    rules::{NO_JSON, no_surrogate},
};
use crate::domain::{
    headers::AdditionalHeaders,
    subscription::{Config, Members},
};

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
    Config::new(members(object(value)?)?).map_err(|error| Fault::text(error.to_string()))
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

fn members(object: &Object) -> Result<Members, Fault> {
    let member = |(name, value): (&Text, &Json)| {
        let text = RawValue::from_string(written(value)?).expect("what is written is JSON");
        Ok((valid(name)?, text))
    };
    object.iter().map(member).collect()
}

/// `value` in JSON, as Python writes it: with all digits.
fn written(value: &Json) -> Result<String, Fault> {
    Ok(match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Int(digits) => digits.as_str().to_owned(),
        Json::Float(value) if value.is_finite() => float_repr(*value),
        Json::Float(_) => return Err(Fault::text(NO_JSON)),
        Json::Text(text) => quoted(text)?,
        Json::List(items) => format!("[{}]", joined(items.iter().map(written))?),
        Json::Object(object) => {
            let member = |(name, value)| Ok(format!("{}:{}", quoted(name)?, written(value)?));
            format!("{{{}}}", joined(object.iter().map(member))?)
        }
    })
}

fn quoted(text: &Text) -> Result<String, Fault> {
    Ok(serde_json::Value::String(valid(text)?).to_string())
}

fn joined(parts: impl Iterator<Item = Result<String, Fault>>) -> Result<String, Fault> {
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn order_and_numbers_survive() {
        let text = concat!(
            r#"{"z":1,"a":[1.0,-5,18446744073709551616,{"y":null,"x":"ş\\\""},[],{}],"m":0.1,"#,
            r#""b":-12345678901234567890123,"c":1e+22,"d":-0.0,"auth":{"auth_type":"x","n":12345678901234567890123}}"#
        );
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
