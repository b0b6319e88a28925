//! Subscriptions that bring their ids along.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, RunQueryDsl, insert_into};

use super::row::{NewRow, OpenTerms, SealedTerms};
use crate::{
    domain::{
        id::{OwnerId, SubscriptionId},
        subscription::Terms,
        time::Timestamp,
    },
    store::{AnyConnection, Queried, connection::on_each, keyring::Keyring, schema::subscriptions, sealed::Place},
};

#[derive(Insertable)]
#[diesel(table_name = subscriptions)]
struct NumberedRow {
    id: i32,
    #[diesel(embed)]
    row: NewRow,
}

/// Inserts the first version of a subscription in this place; the ids that the database gives go on behind it.
pub(in crate::store) fn insert_numbered(
    connection: &mut AnyConnection,
    keys: &Keyring,
    place: Place,
    terms: &Terms,
    created_at: Timestamp,
    modified_at: Timestamp,
) -> Queried<()> {
    let row = NewRow {
        owner_id: place.owner.as_raw(),
        version: 1,
        terms: OpenTerms::from(terms)?,
        sealed: SealedTerms::from(terms, keys, place)?,
        created_at: created_at.as_micros(),
        modified_at: modified_at.as_micros(),
    };
    let row = NumberedRow { id: place.id.as_raw(), row };
    on_each!(connection, c => insert_into(subscriptions::table).values(&row).execute(c).map(drop))
}

/// What a subscription is known by beside its id: its owner, its endpoint and its event type.
pub(in crate::store) fn registration_of(
    connection: &mut AnyConnection,
    id: SubscriptionId,
) -> Queried<Option<(OwnerId, String, String)>> {
    use subscriptions::dsl;
    let found: Option<(i32, String, String)> = dsl::subscriptions
        .filter(dsl::id.eq(id.as_raw()))
        .select((dsl::owner_id, dsl::target_url, dsl::event_type))
        .first(connection)
        .optional()?;
    Ok(found.map(|(owner, target_url, event_type)| (OwnerId::from_raw(owner), target_url, event_type)))
}
