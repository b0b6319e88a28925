//! Owners as requests name them: by name or by id.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{State, problem::Problem};
use crate::{
    domain::{
        id::OwnerId,
        owner::{Owner, Scope},
    },
    store::{Lane, owners::find_by_name},
};

/// An owner by name or by id.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum OwnerName {
    Id(i32),
    Name(String),
}

/// The owner that `caller` means. Who is there is an admin's business: others can name themselves only.
///
/// # Errors
/// 403 for another owner, 422 for a name that nobody has.
pub(super) async fn owner_named(state: &State, caller: &Owner, named: OwnerName) -> Result<OwnerId, Problem> {
    let is_self = match &named {
        OwnerName::Id(id) => *id == caller.id.as_raw(),
        OwnerName::Name(name) => *name == caller.name,
    };
    match (caller.scope(), named) {
        _ if is_self => Ok(caller.id),
        (Scope::Of(_), _) => Err(Problem::forbidden("Only an admin may name another owner.")),
        (Scope::All, OwnerName::Id(id)) => Ok(OwnerId::from_raw(id)),
        (Scope::All, OwnerName::Name(name)) => {
            let unknown = Problem::invalid(format!("There is no owner {name:?}."));
            let found = state.store.run(Lane::Read, move |connection| find_by_name(connection, &name)).await?;
            found.map(|owner| owner.id).ok_or(unknown)
        }
    }
}
