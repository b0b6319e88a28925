//! A subscription as its row has it. Four columns may hold secrets: they go through [`super::super::sealed`].

use diesel::{Insertable, Queryable, Selectable, result::Error as DieselError};
use std::{num::NonZeroU32, time::Duration};

use crate::{
    domain::{
        event_type::EventType,
        hold::{Hold, HoldMode, Ramp},
        id::{DeliveryId, OwnerId, SubscriptionId},
        queue::Rate,
        secret::{Retiring, Secret},
        subscription::{Config, Flow, MAX_MAX_IN_FLIGHT, Subscription, Terms},
        time::Timestamp,
    },
    store::{
        Queried,
        keyring::Keyring,
        schema::subscriptions,
        sealed::{Column, Place},
        values::{corrupt, hold_mode_from, ordering_from, ordering_number},
    },
};

/// What is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = subscriptions)]
pub(in crate::store) struct Row {
    id: i32,
    owner_id: i32,
    version: i64,
    event_type: String,
    target_url: String,
    is_active: bool,
    secret_key: Option<String>,
    retiring_secrets: Option<String>,
    retry_countdown_config: String,
    callback: Option<String>,
    additional_headers: String,
    config: String,
    max_in_flight: i32,
    held_since: Option<i64>,
    held_until: Option<i64>,
    held_reason: Option<String>,
    held_by: Option<String>,
    held_mode: Option<i16>,
    resume_per_second: Option<i32>,
    resume_up_to: Option<i64>,
    created_at: i64,
    modified_at: i64,
    ordering: i16,
    rate_per_second: Option<i32>,
    rate_burst: Option<i32>,
    max_age_seconds: Option<i64>,
}

impl Row {
    pub(in crate::store) const fn id(&self) -> i32 {
        self.id
    }

    pub(in crate::store) fn into_subscription(self, keys: &Keyring) -> Queried<Subscription> {
        Ok(Subscription {
            id: SubscriptionId::from_raw(self.id),
            owner: OwnerId::from_raw(self.owner_id),
            version: self.version,
            hold: self.hold()?,
            ramp: self.ramp(),
            created_at: Timestamp::from_micros(self.created_at),
            modified_at: Timestamp::from_micros(self.modified_at),
            terms: self.into_terms(keys)?,
        })
    }

    fn into_terms(self, keys: &Keyring) -> Queried<Terms> {
        let place = Place { owner: OwnerId::from_raw(self.owner_id), id: SubscriptionId::from_raw(self.id) };
        let open = |column, stored: &str| {
            keys.open(place, column, stored).map_err(|error| DieselError::DeserializationError(Box::new(error)))
        };
        // What stands in a column of secrets is not repeated: serde's errors may quote it.
        let sealed_json = |column: Column, error: &serde_json::Error| {
            let (column, place) = (column.as_str(), (error.line(), error.column()));
            corrupt(format!("subscription {}, {column}: no such JSON at {place:?}", self.id))
        };
        let unreadable = |column: &str, error: String| corrupt(format!("subscription {}, {column}: {error}", self.id));
        let secret = self.secret_key.as_deref().map(|stored| open(Column::SecretKey, stored)).transpose()?;
        let retiring = match self.retiring_secrets.as_deref() {
            None => Vec::new(),
            Some(stored) => serde_json::from_str::<Vec<Retiring>>(&open(Column::RetiringSecrets, stored)?)
                .map_err(|error| sealed_json(Column::RetiringSecrets, &error))?,
        };
        let config = serde_json::from_str(&open(Column::Config, &self.config)?)
            .map_err(|error| sealed_json(Column::Config, &error))?;
        let additional_headers = serde_json::from_str(&open(Column::AdditionalHeaders, &self.additional_headers)?)
            .map_err(|error| sealed_json(Column::AdditionalHeaders, &error))?;
        Ok(Terms {
            event_type: EventType::parse(&self.event_type).map_err(|e| unreadable("event_type", e.to_string()))?,
            retry: serde_json::from_str(&self.retry_countdown_config)
                .map_err(|error| unreadable("retry_countdown_config", error.to_string()))?,
            config: Config::new(config).map_err(|error| unreadable("config", error.to_string()))?,
            flow: self.flow()?,
            secret: secret.map(Secret::new),
            target_url: self.target_url,
            is_active: self.is_active,
            callback: self.callback,
            additional_headers,
            retiring,
        })
    }

    fn flow(&self) -> Queried<Flow> {
        let positive = |number: i32| u32::try_from(number).unwrap_or(1).max(1);
        Ok(Flow {
            max_in_flight: u16::try_from(self.max_in_flight).unwrap_or(1).clamp(1, MAX_MAX_IN_FLIGHT),
            ordering: ordering_from(self.ordering)?,
            rate: self.rate_per_second.map(|per_second| Rate {
                per_second: positive(per_second),
                burst: self.rate_burst.map_or(1, positive),
            }),
            max_age: self
                .max_age_seconds
                .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default())),
        })
    }

    fn hold(&self) -> Queried<Option<Hold>> {
        let Some(since) = self.held_since else { return Ok(None) };
        Ok(Some(Hold {
            since: Timestamp::from_micros(since),
            until: self.held_until.map(Timestamp::from_micros),
            mode: self.held_mode.map_or(Ok(HoldMode::Keep), hold_mode_from)?,
            reason: self.held_reason.clone(),
            by: self.held_by.clone().unwrap_or_default(),
        }))
    }

    fn ramp(&self) -> Option<Ramp> {
        let per_second =
            self.resume_per_second.and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new)?;
        Some(Ramp { per_second, up_to: self.resume_up_to.map(DeliveryId::from_raw)? })
    }
}

/// The columns that an owner decides about, but for those that are sealed.
#[derive(Insertable, diesel::AsChangeset)]
#[diesel(table_name = subscriptions, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct OpenTerms {
    event_type: String,
    target_url: String,
    is_active: bool,
    retry_countdown_config: String,
    callback: Option<String>,
    max_in_flight: i32,
    ordering: i16,
    rate_per_second: Option<i32>,
    rate_burst: Option<i32>,
    max_age_seconds: Option<i64>,
}

/// The columns with secrets, sealed for one row. Before the row has an id they are empty.
#[derive(Insertable, diesel::AsChangeset, Default)]
#[diesel(table_name = subscriptions, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct SealedTerms {
    secret_key: Option<String>,
    retiring_secrets: Option<String>,
    additional_headers: String,
    config: String,
}

fn json(result: serde_json::Result<String>) -> Queried<String> {
    result.map_err(|error| DieselError::SerializationError(Box::new(error)))
}

impl OpenTerms {
    pub(super) fn from(terms: &Terms) -> Queried<Self> {
        Ok(Self {
            event_type: terms.event_type.to_string(),
            target_url: terms.target_url.clone(),
            is_active: terms.is_active,
            retry_countdown_config: json(serde_json::to_string(&terms.retry))?,
            callback: terms.callback.clone(),
            max_in_flight: i32::from(terms.flow.max_in_flight),
            ordering: ordering_number(terms.flow.ordering),
            rate_per_second: terms.flow.rate.map(|rate| i32::try_from(rate.per_second).unwrap_or(i32::MAX)),
            rate_burst: terms.flow.rate.map(|rate| i32::try_from(rate.burst).unwrap_or(i32::MAX)),
            max_age_seconds: terms.flow.max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
        })
    }
}

impl SealedTerms {
    pub(super) fn from(terms: &Terms, keys: &Keyring, place: Place) -> Queried<Self> {
        let seal = |column, text: &str| keys.seal(place, column, text);
        let retiring =
            (!terms.retiring.is_empty()).then(|| json(serde_json::to_string(&terms.retiring))).transpose()?;
        let headers = json(serde_json::to_string(&terms.additional_headers))?;
        Ok(Self {
            secret_key: terms.secret.as_ref().map(|secret| seal(Column::SecretKey, secret.reveal())),
            retiring_secrets: retiring.map(|text| seal(Column::RetiringSecrets, &text)),
            additional_headers: seal(Column::AdditionalHeaders, &headers),
            config: seal(Column::Config, &json(serde_json::to_string(terms.config.raw()))?),
        })
    }
}

/// A row to be.
#[derive(Insertable)]
#[diesel(table_name = subscriptions)]
pub(super) struct NewRow {
    pub(super) owner_id: i32,
    pub(super) version: i64,
    #[diesel(embed)]
    pub(super) terms: OpenTerms,
    #[diesel(embed)]
    pub(super) sealed: SealedTerms,
    pub(super) created_at: i64,
    pub(super) modified_at: i64,
}
