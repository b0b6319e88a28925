//! `/api/v1/users`: who may use the API, and their tokens. For admins.

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    auth::Caller,
    body::{Body, read_json, read_optional_json},
    openapi::{Always, BadBody, BadQuery, Forbidden, Missing, Taken},
    problem::Problem,
    subscriptions::checked_limit,
    time::rfc3339,
};
use crate::{
    domain::{
        audit::{Author, Entry},
        id::OwnerId,
        owner::{Owner, Role, Standing, check_name},
        secret::Secret,
        token::{check_token, token_digest, token_from},
    },
    store::{
        Lane, StoreError,
        audit::audited,
        owners::{self, Added},
    },
};

/// Tokens of one owner that are listed.
const MAX_TOKENS: i64 = 1_000;

/// # Errors
/// 403 for everybody but an admin.
fn is_admin(owner: &Owner) -> Result<(), Problem> {
    if owner.role.sees_all() { Ok(()) } else { Err(Problem::forbidden("Users are an admin's business.")) }
}

fn no_such_user(error: StoreError) -> Problem {
    match error {
        StoreError::NotFound => Problem::not_found("There is no user with this id."),
        StoreError::Unavailable(_) | StoreError::Conflict(_) | StoreError::Sealed(_) | StoreError::Corrupt(_) => {
            error.into()
        }
    }
}

/// Who may use the API.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView<'a> {
    #[schema(value_type = i32)]
    id: OwnerId,
    name: &'a str,
    #[schema(pattern = "^(subscriber|publisher|admin)$")]
    role: &'static str,
    is_active: bool,
    /// How many tokens they have; in lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// A token that was made, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> UserView<'a> {
    fn new(owner: &'a Owner) -> Self {
        Self {
            id: owner.id,
            name: &owner.name,
            role: owner.role.as_str(),
            is_active: owner.standing == Standing::Active,
            tokens: None,
            created_at: None,
            token: None,
        }
    }
}

/// A page of users.
#[derive(Serialize, ToSchema)]
pub(super) struct UserPage<'a> {
    items: Vec<UserView<'a>>,
    /// The `after` of the next page; null at the end.
    #[schema(value_type = Option<i32>)]
    next: Option<OwnerId>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Behind this one.
    #[param(value_type = Option<i32>)]
    after: Option<OwnerId>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Users in the order of their ids; `next` is the `after` of the next page.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", operation_id = "list_users", params(PageQuery),
    responses((status = 200, description = "A page", body = UserPage), BadQuery, Forbidden, Always),
)]
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let (after, limit) = (query.after.unwrap_or(OwnerId::from_raw(0)), checked_limit(query.limit)?);
    let work = move |connection: &mut _| owners::page(connection, after, i64::from(limit));
    let page = state.store.run(Lane::Read, work).await?;
    let next = page.last().filter(|_| page.len() == usize::from(limit)).map(|last| last.owner.id);
    let view = |listed| {
        let listed: &owners::Listed = listed;
        let (tokens, created_at) = (Some(listed.tokens), Some(rfc3339(listed.created_at)));
        UserView { tokens, created_at, ..UserView::new(&listed.owner) }
    };
    Ok(HttpResponse::Ok().json(UserPage { items: page.iter().map(view).collect(), next }))
}

/// A user to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(super) struct UserBody {
    #[schema(min_length = 1, max_length = 150)]
    name: String,
    /// `subscriber` (the default), `publisher` or `admin`.
    #[schema(pattern = "^(subscriber|publisher|admin)$")]
    role: Option<String>,
    /// One is made without it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    token: Option<Secret>,
}

fn named_role(name: &str) -> Result<Role, Problem> {
    let allowed = || Role::ALL.map(Role::as_str).to_vec();
    Role::named(name).ok_or_else(|| Problem::invalid(format!("{name:?} is no role.")).with("allowed", allowed()))
}

/// A token that was brought along, or one that is made; the latter is shown.
struct NewToken {
    secret: Secret,
    is_made: bool,
}

impl NewToken {
    fn of(brought: Option<Secret>) -> Result<Self, Problem> {
        let Some(secret) = brought else { return Ok(Self { secret: token_from(&rand::random()), is_made: true }) };
        check_token(secret.reveal()).map_err(|error| Problem::invalid(format!("\"token\": {error}.")))?;
        Ok(Self { secret, is_made: false })
    }

    fn shown(&self) -> Option<&str> {
        self.is_made.then(|| self.secret.reveal())
    }
}

/// Adds a user with one token. Without `token` one is made and shown in this answer only; without `role` it is a subscriber.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", operation_id = "add_user",
    request_body(content = UserBody, example = json!({"name": "oms", "role": "publisher"})),
    responses(
        (status = 201, description = "The user", body = UserView,
            headers(("Location" = String, description = "Where the user can be changed"))),
        BadBody, Forbidden, Taken, Always,
    ),
)]
pub(crate) async fn add(state: Data<State>, Caller(owner): Caller, Body(body): Body) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let UserBody { name, role, token } = read_json(&body)?;
    check_name(&name).map_err(|error| Problem::invalid(format!("\"name\": {error}.")))?;
    let role = role.as_deref().map_or(Ok(Role::Subscriber), named_role)?;
    let token = NewToken::of(token)?;
    let (digest, now, author) = (token_digest(token.secret.reveal()), state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        let add = |connection: &mut _| owners::add_owner(connection, &name, role, Standing::Active, &digest, now);
        let told = |added: &Added| match added {
            Added::Owner(owner) => Some(Entry::owner("user.add", None, owner)),
            Added::NameTaken | Added::TokenTaken => None,
        };
        audited(connection, &author, now, add, told)
    };
    let added = added(state.store.run(Lane::Write, work).await?)?;
    let location = format!("/api/v1/users/{}", added.id);
    let view = UserView { token: token.shown(), ..UserView::new(&added) };
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(view))
}

fn added(added: Added) -> Result<Owner, Problem> {
    match added {
        Added::Owner(owner) => Ok(owner),
        Added::NameTaken => Err(Problem::taken("There is a user of this name already.")),
        Added::TokenTaken => Err(Problem::taken("This token belongs to somebody already.")),
    }
}

/// What changes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(super) struct ChangeBody {
    #[schema(pattern = "^(subscriber|publisher|admin)$")]
    role: Option<String>,
    is_active: Option<bool>,
}

/// Changes what a user may do, or whether their tokens are honoured. Their subscriptions flow on.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "users", operation_id = "change_user",
    params(("id" = i32, Path, description = "The user")),
    request_body(content = ChangeBody, example = json!({"is_active": false})),
    responses((status = 200, description = "The user", body = UserView), BadBody, Forbidden, Missing, Always),
)]
pub(crate) async fn change(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<OwnerId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let ChangeBody { role, is_active } = read_json(&body)?;
    let role = role.as_deref().map(named_role).transpose()?;
    let standing = is_active.map(|is_active| if is_active { Standing::Active } else { Standing::Inactive });
    let id = id.into_inner();
    if id == owner.id && (standing == Some(Standing::Inactive) || role.is_some_and(|role| !role.sees_all())) {
        return Err(Problem::invalid("Nobody can lock themselves out: ask another admin."));
    }
    let (now, author) = (state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        let change = |connection: &mut _| owners::change(connection, id, role, standing);
        let told = |(before, after): &(Owner, Owner)| {
            (before != after).then(|| Entry::owner("user.change", Some(before), after))
        };
        audited(connection, &author, now, change, told)
    };
    let (_, after) = state.store.run(Lane::Write, work).await.map_err(no_such_user)?;
    state.tokens.forget();
    Ok(HttpResponse::Ok().json(UserView::new(&after)))
}

async fn find(state: &State, id: OwnerId) -> Result<Owner, Problem> {
    let found = state.store.run(Lane::Read, move |connection| owners::get(connection, id)).await?;
    found.ok_or_else(|| no_such_user(StoreError::NotFound))
}

/// A token; what it is, is not stored.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    id: i32,
    #[schema(format = DateTime)]
    created_at: String,
}

/// All tokens of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenPage {
    items: Vec<TokenView>,
    #[schema(value_type = Option<i32>)]
    next: Option<()>,
}

/// A token that was given.
#[derive(Serialize, ToSchema)]
#[schema(as = GivenToken)]
pub(super) struct GivenView<'a> {
    #[schema(value_type = i32)]
    user: OwnerId,
    /// The one that was made, this once; null when it was brought along.
    token: Option<&'a str>,
}

/// The tokens of a user: which there are, not what they are.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/tokens", tag = "users", operation_id = "list_tokens",
    params(("id" = i32, Path, description = "The user")),
    responses((status = 200, description = "All of them", body = TokenPage), Forbidden, Missing, Always),
)]
pub(super) async fn tokens(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<OwnerId>,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let id = find(&state, id.into_inner()).await?.id;
    let work = move |connection: &mut _| owners::tokens_of(connection, id, MAX_TOKENS);
    let tokens = state.store.run(Lane::Read, work).await?;
    let view = |(id, at): &_| TokenView { id: *id, created_at: rfc3339(*at) };
    Ok(HttpResponse::Ok().json(TokenPage { items: tokens.iter().map(view).collect(), next: None }))
}

/// A token to be.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewToken)]
pub(super) struct TokenBody {
    /// One is made without it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    token: Option<Secret>,
}

/// Gives a user a further token. One that is made is shown in this answer only.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/tokens", tag = "users", operation_id = "add_token",
    params(("id" = i32, Path, description = "The user")),
    request_body(content = Option<TokenBody>, example = json!({})),
    responses((status = 201, description = "It holds", body = GivenView), BadBody, Forbidden, Missing, Taken, Always),
)]
pub(crate) async fn add_token(
    state: Data<State>,
    Caller(owner): Caller,
    id: Path<OwnerId>,
    Body(body): Body,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let TokenBody { token } = read_optional_json(&body)?;
    let token = NewToken::of(token)?;
    let user = find(&state, id.into_inner()).await?;
    let (digest, now, author) = (token_digest(token.secret.reveal()), state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        let add = |connection: &mut _| owners::add_token(connection, &user.name, &digest, now);
        let told = |added: &Added| match added {
            Added::Owner(owner) => Some(told_of("token.create", owner)),
            Added::NameTaken | Added::TokenTaken => None,
        };
        audited(connection, &author, now, add, told)
    };
    let user = added(state.store.run(Lane::Write, work).await?)?;
    Ok(HttpResponse::Created().json(GivenView { user: user.id, token: token.shown() }))
}

/// Takes one token of a user away; it is refused at once.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}/tokens/{token}", tag = "users", operation_id = "revoke_token",
    params(("id" = i32, Path, description = "The user"), ("token" = i32, Path, description = "The token")),
    responses((status = 204, description = "It is gone"), Forbidden, Missing, Always),
)]
pub(crate) async fn revoke(
    state: Data<State>,
    Caller(owner): Caller,
    path: Path<(OwnerId, i32)>,
) -> Result<HttpResponse, Problem> {
    is_admin(&owner)?;
    let (id, token) = path.into_inner();
    let user = find(&state, id).await?;
    let (now, author) = (state.clock.now(), Author::from(&*owner));
    let work = move |connection: &mut _| {
        let revoke = |connection: &mut _| owners::revoke_token_of(connection, user.id, token);
        let told = |was_there: &bool| was_there.then(|| told_of("token.revoke", &user));
        audited(connection, &author, now, revoke, told)
    };
    if !state.store.run(Lane::Write, work).await? {
        return Err(Problem::not_found("The user has no token with this id."));
    }
    state.tokens.forget();
    Ok(HttpResponse::NoContent().finish())
}

fn told_of(action: &'static str, user: &Owner) -> Entry {
    Entry::order(action, format!("user:{}", user.id), Some(user.id), json!({ "name": user.name }))
}
