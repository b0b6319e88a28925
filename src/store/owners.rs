//! Owners and their tokens. Of a token only the SHA-256 is stored.

use std::collections::HashSet;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, insert_into, result::Error as DieselError};

use super::{
    AnyConnection, Queried,
    connection::on_each,
    schema::{owners, tokens},
    transaction::in_transaction,
    values::{role_from, role_number},
};
use crate::domain::{
    id::OwnerId,
    owner::{Owner, Role, Standing},
    time::Timestamp,
    token::TokenDigest,
};

/// What became of adding an owner or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    Owner(Owner),
    /// There is an owner of this name already.
    NameTaken,
    /// The token belongs to somebody already.
    TokenTaken,
}

/// An owner and the number of their tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The owner.
    pub owner: Owner,
    /// How many tokens.
    pub tokens: u32,
    /// When the owner was added.
    pub created_at: Timestamp,
}

type Row = (i32, String, i16, bool);

fn owner_from((id, name, role, is_active): Row) -> Queried<Owner> {
    let standing = if is_active { Standing::Active } else { Standing::Inactive };
    Ok(Owner { id: OwnerId::from_raw(id), name, role: role_from(role)?, standing })
}

/// Adds an owner with one token. One transaction.
///
/// # Errors
/// None of its own.
pub fn add_owner(
    connection: &mut AnyConnection,
    name: &str,
    role: Role,
    standing: Standing,
    token: &TokenDigest,
    now: Timestamp,
) -> Queried<Added> {
    in_transaction(connection, |connection| {
        if find_by_name(connection, name)?.is_some() {
            return Ok(Added::NameTaken);
        }
        if find_by_token(connection, token)?.is_some() {
            return Ok(Added::TokenTaken);
        }
        let owner = insert_owner(connection, name, role, standing, now)?;
        insert_token(connection, owner.id, token, now)?;
        Ok(Added::Owner(owner))
    })
}

/// Gives an owner one more token. One transaction.
///
/// # Errors
/// `NotFound` when there is no owner of this name.
pub fn add_token(connection: &mut AnyConnection, name: &str, token: &TokenDigest, now: Timestamp) -> Queried<Added> {
    in_transaction(connection, |connection| {
        let owner = find_by_name(connection, name)?.ok_or(DieselError::NotFound)?;
        if find_by_token(connection, token)?.is_some() {
            return Ok(Added::TokenTaken);
        }
        insert_token(connection, owner.id, token, now)?;
        Ok(Added::Owner(owner))
    })
}

pub(super) fn insert_owner(
    connection: &mut AnyConnection,
    name: &str,
    role: Role,
    standing: Standing,
    now: Timestamp,
) -> Queried<Owner> {
    let row = (
        owners::name.eq(name),
        owners::role.eq(role_number(role)),
        owners::is_active.eq(standing == Standing::Active),
        owners::created_at.eq(now.as_micros()),
    );
    on_each!(connection, c => insert_into(owners::table).values(row).execute(c).map(drop))?;
    find_by_name(connection, name)?.ok_or(DieselError::NotFound)
}

pub(super) fn insert_token(
    connection: &mut AnyConnection,
    owner: OwnerId,
    token: &TokenDigest,
    now: Timestamp,
) -> Queried<()> {
    let row = (
        tokens::owner_id.eq(owner.as_raw()),
        tokens::digest.eq(token.as_slice()),
        tokens::created_at.eq(now.as_micros()),
    );
    on_each!(connection, c => insert_into(tokens::table).values(row).execute(c).map(drop))
}

/// The owner of a name. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn find_by_name(connection: &mut AnyConnection, name: &str) -> Queried<Option<Owner>> {
    let row: Option<Row> = owners::table
        .filter(owners::name.eq(name))
        .select((owners::id, owners::name, owners::role, owners::is_active))
        .first(connection)
        .optional()?;
    row.map(owner_from).transpose()
}

/// Whose token this is. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn find_by_token(connection: &mut AnyConnection, token: &TokenDigest) -> Queried<Option<Owner>> {
    let row: Option<Row> = tokens::table
        .inner_join(owners::table)
        .filter(tokens::digest.eq(token.as_slice()))
        .select((owners::id, owners::name, owners::role, owners::is_active))
        .first(connection)
        .optional()?;
    row.map(owner_from).transpose()
}

/// Every owner, in the order of their ids.
///
/// # Errors
/// A row that this version cannot read.
pub fn list(connection: &mut AnyConnection) -> Queried<Vec<Listed>> {
    let rows: Vec<(i32, String, i16, bool, i64)> = owners::table
        .order(owners::id)
        .select((owners::id, owners::name, owners::role, owners::is_active, owners::created_at))
        .load(connection)?;
    let counts: Vec<(i32, i64)> = tokens::table
        .group_by(tokens::owner_id)
        .select((tokens::owner_id, diesel::dsl::count_star()))
        .load(connection)?;
    listed(rows, &counts)
}

fn listed(rows: Vec<(i32, String, i16, bool, i64)>, counts: &[(i32, i64)]) -> Queried<Vec<Listed>> {
    rows.into_iter()
        .map(|(id, name, role, is_active, created_at)| {
            let count = counts.iter().find(|(owner, _)| *owner == id).map_or(0, |(_, count)| *count);
            Ok(Listed {
                owner: owner_from((id, name, role, is_active))?,
                tokens: u32::try_from(count).unwrap_or(u32::MAX),
                created_at: Timestamp::from_micros(created_at),
            })
        })
        .collect()
}

/// Owners after `after` in the order of their ids, at most `limit`. Two queries.
///
/// # Errors
/// A row that this version cannot read.
pub fn page(connection: &mut AnyConnection, after: OwnerId, limit: i64) -> Queried<Vec<Listed>> {
    let rows: Vec<(i32, String, i16, bool, i64)> = owners::table
        .filter(owners::id.gt(after.as_raw()))
        .order(owners::id)
        .limit(limit)
        .select((owners::id, owners::name, owners::role, owners::is_active, owners::created_at))
        .load(connection)?;
    let ids: Vec<i32> = rows.iter().map(|row| row.0).collect();
    let counts: Vec<(i32, i64)> = tokens::table
        .filter(tokens::owner_id.eq_any(ids))
        .group_by(tokens::owner_id)
        .select((tokens::owner_id, diesel::dsl::count_star()))
        .load(connection)?;
    listed(rows, &counts)
}

/// The owner of an id. One query.
///
/// # Errors
/// A row that this version cannot read.
pub fn get(connection: &mut AnyConnection, id: OwnerId) -> Queried<Option<Owner>> {
    let row: Option<Row> = owners::table
        .filter(owners::id.eq(id.as_raw()))
        .select((owners::id, owners::name, owners::role, owners::is_active))
        .first(connection)
        .optional()?;
    row.map(owner_from).transpose()
}

/// Changes what an owner may do and whether their tokens are honoured; gives the owner before and after. One transaction.
///
/// # Errors
/// `NotFound` when there is no such owner.
pub fn change(
    connection: &mut AnyConnection,
    id: OwnerId,
    role: Option<Role>,
    standing: Option<Standing>,
) -> Queried<(Owner, Owner)> {
    in_transaction(connection, |connection| {
        let before = get(connection, id)?.ok_or(DieselError::NotFound)?;
        let after = Owner {
            role: role.unwrap_or(before.role),
            standing: standing.unwrap_or(before.standing),
            ..before.clone()
        };
        diesel::update(owners::table.find(id.as_raw()))
            .set((owners::role.eq(role_number(after.role)), owners::is_active.eq(after.standing == Standing::Active)))
            .execute(connection)?;
        Ok((before, after))
    })
}

/// The rows of an owner's tokens, at most `limit`: id and when it was added. One query.
///
/// # Errors
/// None of its own.
pub fn tokens_of(connection: &mut AnyConnection, owner: OwnerId, limit: i64) -> Queried<Vec<(i32, Timestamp)>> {
    let rows: Vec<(i32, i64)> = tokens::table
        .filter(tokens::owner_id.eq(owner.as_raw()))
        .order(tokens::id)
        .limit(limit)
        .select((tokens::id, tokens::created_at))
        .load(connection)?;
    Ok(rows.into_iter().map(|(id, at)| (id, Timestamp::from_micros(at))).collect())
}

/// Takes the token of this row away from `owner`; gives whether it was there. One statement.
///
/// # Errors
/// None of its own.
pub fn revoke_token_of(connection: &mut AnyConnection, owner: OwnerId, token: i32) -> Queried<bool> {
    let row = tokens::table.filter(tokens::id.eq(token)).filter(tokens::owner_id.eq(owner.as_raw()));
    Ok(diesel::delete(row).execute(connection)? > 0)
}

/// Those who see everything. One query.
///
/// # Errors
/// None of its own.
pub fn admins(connection: &mut AnyConnection) -> Queried<HashSet<OwnerId>> {
    let admins = owners::table.filter(owners::role.eq(role_number(Role::Admin)));
    let ids: Vec<i32> = admins.select(owners::id).load(connection)?;
    Ok(ids.into_iter().map(OwnerId::from_raw).collect())
}

/// Takes a token away; gives whether it was there. One statement.
///
/// # Errors
/// None of its own.
pub fn revoke_token(connection: &mut AnyConnection, token: &TokenDigest) -> Queried<bool> {
    Ok(diesel::delete(tokens::table.filter(tokens::digest.eq(token.as_slice()))).execute(connection)? > 0)
}

/// Takes every token of an owner away; gives how many there were. One transaction.
///
/// # Errors
/// `NotFound` when there is no owner of this name.
pub fn revoke_all(connection: &mut AnyConnection, name: &str) -> Queried<usize> {
    in_transaction(connection, |connection| {
        let owner = find_by_name(connection, name)?.ok_or(DieselError::NotFound)?;
        diesel::delete(tokens::table.filter(tokens::owner_id.eq(owner.id.as_raw()))).execute(connection)
    })
}
