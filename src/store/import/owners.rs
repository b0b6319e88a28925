//! Owners and their tokens from elsewhere.

use super::Mode;
use crate::{
    domain::{
        owner::{Owner, Role, Standing},
        time::Timestamp,
        token::TokenDigest,
    },
    store::{
        AnyConnection, Queried,
        owners::{find_by_name, find_by_token, insert_owner, insert_token},
    },
};

/// An owner from elsewhere, with the digests of their tokens.
#[derive(Clone, Debug)]
pub struct IncomingOwner {
    /// By which they are known here, too.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether their tokens are honoured.
    pub standing: Standing,
    /// Their tokens.
    pub tokens: Vec<TokenDigest>,
}

/// What becomes of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerFate {
    /// Who was there under this name already, and stays as they are.
    pub present: Option<Owner>,
    /// One for each token, in their order.
    pub tokens: Vec<TokenFate>,
}

/// What becomes of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFate {
    /// It is new.
    New,
    /// The owner has it already.
    Present,
    /// It belongs to somebody else; nothing is written.
    Taken,
    /// The owner of this name may do more here than where the token comes from; nothing is written.
    TooPowerful,
}

/// Brings owners with their tokens. One transaction.
///
/// # Errors
/// None of its own.
pub fn import_owners(
    connection: &mut AnyConnection,
    incoming: &[IncomingOwner],
    mode: Mode,
    now: Timestamp,
) -> Queried<Vec<OwnerFate>> {
    mode.run(connection, |connection| incoming.iter().map(|owner| import_owner(connection, owner, mode, now)).collect())
}

fn import_owner(
    connection: &mut AnyConnection,
    incoming: &IncomingOwner,
    mode: Mode,
    now: Timestamp,
) -> Queried<OwnerFate> {
    let present = find_by_name(connection, &incoming.name)?;
    let id = match (&present, mode) {
        (Some(owner), _) => Some(owner.id),
        (None, Mode::Write) => {
            Some(insert_owner(connection, &incoming.name, incoming.role, incoming.standing, now)?.id)
        }
        (None, Mode::DryRun) => None,
    };
    let is_too_powerful = present.as_ref().is_some_and(|owner| may_more(owner, incoming));
    let mut tokens = Vec::with_capacity(incoming.tokens.len());
    for token in &incoming.tokens {
        let fate = match find_by_token(connection, token)? {
            Some(owner) if Some(owner.id) == id => TokenFate::Present,
            Some(_) => TokenFate::Taken,
            None if is_too_powerful => TokenFate::TooPowerful,
            None => TokenFate::New,
        };
        if let (TokenFate::New, Mode::Write, Some(id)) = (fate, mode, id) {
            insert_token(connection, id, token, now)?;
        }
        tokens.push(fate);
    }
    Ok(OwnerFate { present, tokens })
}

/// Whether a token of `incoming` would open more here than it did.
fn may_more(present: &Owner, incoming: &IncomingOwner) -> bool {
    (present.role.sees_all() && !incoming.role.sees_all())
        || (present.standing == Standing::Active && incoming.standing == Standing::Inactive)
}
