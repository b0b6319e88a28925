//! A subscription as the contract shows it: a hook (section 3).

use serde::Serialize;

use super::format::date;
use crate::domain::{
    headers::AdditionalHeaders,
    retry::RetryPolicy,
    secret::Secret,
    subscription::{Members, Subscription},
};

/// The keys of a hook in their order. The secret and the passwords in `config` are shown: only the owner and admins see this.
#[derive(Serialize)]
pub(super) struct Webhook<'a> {
    id: i32,
    retry_countdown_config: &'a RetryPolicy,
    created_date: String,
    modified_date: String,
    target_url: &'a str,
    is_active: bool,
    secret_key: Option<&'a str>,
    event_type: &'a str,
    callback: Option<&'a str>,
    additional_headers: &'a AdditionalHeaders,
    config: &'a Members,
}

impl<'a> From<&'a Subscription> for Webhook<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let terms = &subscription.terms;
        Self {
            id: subscription.id.as_raw(),
            retry_countdown_config: &terms.retry,
            created_date: date(subscription.created_at),
            modified_date: date(subscription.modified_at),
            target_url: &terms.target_url,
            is_active: terms.is_active,
            secret_key: terms.secret.as_ref().map(Secret::reveal),
            event_type: terms.event_type.as_str(),
            callback: terms.callback.as_deref(),
            additional_headers: &terms.additional_headers,
            config: terms.config.raw(),
        }
    }
}
