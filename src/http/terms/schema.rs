//! What the fields look like, for the document. What is right is decided by the readers beside this.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::http::naming::OwnerName;

/// What is written of a subscription. `null` means the default, or none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionChange)]
#[expect(dead_code, reason = "read by the derive only")]
pub(in crate::http) struct SubscriptionFields {
    #[schema(value_type = String, required = false, max_length = 124)]
    event_type: Option<String>,
    /// Absolute, `http` or `https`, without user and password.
    #[schema(value_type = String, required = false, max_length = 255)]
    endpoint: Option<String>,
    #[schema(value_type = bool, required = false)]
    is_active: Option<bool>,
    /// Signs deliveries; null for no signature.
    #[schema(min_length = 1, max_length = 124)]
    secret: Option<String>,
    retry: Option<RetrySchema>,
    /// How long an attempt may take in all.
    #[schema(minimum = 1, maximum = 60)]
    timeout_seconds: Option<f64>,
    basic_auth: Option<BasicAuthFields>,
    /// Sent with each delivery; a header that is null is left out.
    headers: Option<BTreeMap<String, Option<String>>>,
    /// Attempts at once.
    #[schema(minimum = 1, maximum = 1_000)]
    max_in_flight: Option<u16>,
    /// `key`: deliveries of one ordering key arrive in the order of acceptance.
    #[schema(pattern = "^(none|key|subscription)$")]
    ordering: Option<String>,
    rate: Option<RateFields>,
    /// What is older is not attempted any more.
    #[schema(minimum = 1, maximum = 315_360_000)]
    max_age_seconds: Option<u64>,
}

/// How many attempts may start in a second.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRate)]
#[expect(dead_code, reason = "read by the derive only")]
struct RateFields {
    #[schema(minimum = 1, maximum = 100_000)]
    per_second: u32,
    /// As many as in a second by default.
    #[schema(value_type = u32, required = false, minimum = 1, maximum = 100_000)]
    burst: Option<u32>,
}

/// As whom deliveries are sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BasicAuth)]
#[expect(dead_code, reason = "read by the derive only")]
struct BasicAuthFields {
    username: String,
    password: String,
}

/// When a failed delivery is attempted again: seconds, up to 30 days each.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "choice", content = "kwargs", rename_all = "snake_case")]
#[schema(as = RetryPolicy)]
#[expect(dead_code, reason = "read by the derive only")]
pub(in crate::http) enum RetrySchema {
    /// Always the same wait.
    Fixed {
        #[schema(maximum = 2_592_000)]
        seconds: u32,
    },
    /// `base` more for each retry, at most `limit`.
    Linear {
        #[schema(maximum = 2_592_000)]
        base: u32,
        #[schema(maximum = 2_592_000)]
        limit: Option<u32>,
    },
    /// `base` to the power of the retry, times `factor`, at most `limit`.
    Exponential {
        #[schema(maximum = 2_592_000)]
        base: u32,
        /// 1 by default.
        #[schema(value_type = u32, required = false, minimum = 1, maximum = 2_592_000)]
        factor: Option<u32>,
        #[schema(maximum = 2_592_000)]
        limit: Option<u32>,
    },
    /// Anything between the two.
    Random {
        #[schema(maximum = 2_592_000)]
        min_value: u32,
        #[schema(maximum = 2_592_000)]
        max_value: u32,
    },
}

/// A subscription to be: the same fields, two of which have to be there, and whose it is.
pub(in crate::http) struct NewSubscription;

impl ToSchema for NewSubscription {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        SubscriptionFields::schemas(schemas);
        schemas.push((OwnerName::name().into_owned(), OwnerName::schema()));
    }
}

impl PartialSchema for NewSubscription {
    fn schema() -> RefOr<Schema> {
        let mut schema = SubscriptionFields::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.description = Some("A subscription to be.".to_owned());
            object.required.extend([super::EVENT_TYPE.to_owned(), super::ENDPOINT.to_owned()]);
            let owner = utoipa::openapi::Ref::from_schema_name(OwnerName::name());
            object.properties.insert("owner".to_owned(), owner.into());
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_knows_the_fields_that_can_be_written_and_none_else() {
        let RefOr::T(Schema::Object(object)) = SubscriptionFields::schema() else { panic!("it is an object") };
        let mut told: Vec<&str> = object.properties.keys().map(String::as_str).collect();
        let mut read: Vec<&str> = crate::http::terms::FIELDS.iter().map(|field| field.name).collect();
        told.sort_unstable();
        read.sort_unstable();
        assert_eq!(told, read);
    }
}
