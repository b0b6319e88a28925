//! `/admin`: who may use the engine, and how it was set when it started. For admins.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Pages,
    answer::{Refusal, page},
    form::Filled,
    layout::{Section, shell},
    orders::{answer, body, caller},
    parts::{
        badge::{Tone, badge},
        field::{Field, alert, csrf},
        figure::number,
        table,
        time::exact,
    },
    session::{Posted, Visitor},
};
use crate::{
    domain::{
        id::OwnerId,
        owner::{Role, Standing},
        time::Timestamp,
    },
    http::{State, problem::Problem, users},
    store::{
        Lane, audit,
        owners::{self, Listed},
    },
};

/// Users on a page, and changes below them.
const PAGE: i64 = 50;
const CHANGES: usize = 20;

/// Which page.
#[derive(Deserialize)]
pub(super) struct After {
    after: Option<OwnerId>,
}

/// # Errors
/// 403 for everybody but an admin.
pub(super) fn is_admin(visitor: &Visitor) -> Result<(), Problem> {
    if visitor.sees_all() { Ok(()) } else { Err(Problem::forbidden("This page needs the role admin.")) }
}

/// The page.
pub(super) async fn show(
    state: Data<State>,
    pages: Data<Pages>,
    visitor: Visitor,
    query: Query<After>,
) -> Result<HttpResponse, Refusal> {
    render(&state, &pages, &visitor, query.after, StatusCode::OK, &Filled::default()).await
}

/// Adds a user, whose token is shown this once.
pub(super) async fn add(state: Data<State>, pages: Data<Pages>, posted: Posted) -> Result<HttpResponse, Refusal> {
    let Posted { visitor, form } = posted;
    is_admin(&visitor)?;
    let mut members = form.texts(&["role", "token"]);
    // Blanks around a name are refused, not taken away.
    members.insert("name".to_owned(), form.raw("name").unwrap_or_default().into());
    match answer(users::add(state.clone(), caller(&visitor), body(members)).await).await {
        Ok(user) => {
            let path = format!("/admin/users/{}", user["id"]);
            let body = html! {
                h1 { (user["name"].as_str().unwrap_or_default()) " may use the engine" }
                (token(&user))
                p { a.button.primary href=(path) { "To the user" } }
            };
            Ok(page(StatusCode::CREATED, shell(&visitor, Section::Admin, "User added", body)))
        }
        Err(problem) => {
            let status = problem.status();
            render(&state, &pages, &visitor, None, status, &Filled::refused(form, problem)).await
        }
    }
}

/// A token that was made, this once.
pub(super) fn token(answer: &Value) -> Markup {
    html! {
        section.panel aria-label="The token" {
            @if let Some(token) = answer["token"].as_str() {
                p { "This token is shown this once; only its digest is stored." }
                pre.secret id="token" { (token) }
                button type="button" data-copy="token" hidden { "Copy" }
            } @else { p { "The token that was brought along holds." } }
        }
    }
}

async fn render(
    state: &State,
    pages: &Pages,
    visitor: &Visitor,
    after: Option<OwnerId>,
    status: StatusCode,
    filled: &Filled,
) -> Result<HttpResponse, Refusal> {
    is_admin(visitor)?;
    let scope = visitor.scope();
    let from = after.unwrap_or(OwnerId::from_raw(0));
    let work = move |connection: &mut _| {
        let changes = audit::Filter { scope, actor: None, action: None, subject: None, before: None, limit: CHANGES };
        Ok((owners::page(connection, from, PAGE)?, audit::list(connection, &changes)?.found))
    };
    let (users, changes): (Vec<Listed>, Vec<audit::Listed>) = state.store.run(Lane::Read, work).await?;
    let is_full = i64::try_from(users.len()).is_ok_and(|count| count == PAGE);
    let (next, now) = (users.last().filter(|_| is_full).map(|last| last.owner.id), state.clock.now());
    let body = html! {
        div.head { h1 { "Admin" } }
        section.panel aria-labelledby="users" {
            h2 id="users" { "Users" }
            (list(&users))
            nav.pager aria-label="Pages of the list" {
                @if after.is_some() { a href="/admin" { "From the start" } }
                @if let Some(next) = next { a href={ "/admin?after=" (next) } { "Next page" } }
            }
            details open[filled.is_refused()] {
                summary { "Add a user" }
                (form(visitor, filled))
            }
        }
        (settings(pages))
        (audit(&changes, now))
    };
    Ok(page(status, shell(visitor, Section::Admin, "Admin", body)))
}

fn list(users: &[Listed]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "State" } th.number scope="col" { "Tokens" } th scope="col" { "Since" } } }
            tbody {
                @for user in users {
                    tr {
                        th.wrap scope="row" { a href={ "/admin/users/" (user.owner.id) } { (user.owner.name) } }
                        td data-label="Role" { (user.owner.role.as_str()) }
                        td data-label="State" { (standing(user.owner.standing)) }
                        td.number data-label="Tokens" { (number(user.tokens.into())) }
                        td data-label="Since" { (exact(user.created_at)) }
                    }
                }
            }
        }
    }
}

/// Whether an owner's tokens are honoured.
pub(super) fn standing(standing: Standing) -> Markup {
    match standing {
        Standing::Active => badge(Tone::Good, "active"),
        Standing::Inactive => badge(Tone::Calm, "inactive"),
    }
}

/// Roles to choose from.
pub(super) const ROLES: [(&str, &str); 3] = [
    (Role::Subscriber.as_str(), "Subscriber: subscriptions of their own"),
    (Role::Publisher.as_str(), "Publisher: may publish, too"),
    (Role::Admin.as_str(), "Admin: everything"),
];

fn form(visitor: &Visitor, filled: &Filled) -> Markup {
    html! {
        form.stack method="post" action="/admin" {
            (csrf(visitor)) (alert(filled))
            (Field::new("name", "Name").required().render(filled, ""))
            (Field::new("role", "Role").choice(filled, Role::Subscriber.as_str(), &ROLES))
            (Field::new("token", "Token").secret().autocomplete("new-password").hint("Empty to have one made, which is shown once.").render(filled, ""))
            button.primary type="submit" { "Add" }
        }
    }
}

fn settings(pages: &Pages) -> Markup {
    html! {
        section.panel aria-labelledby="settings" {
            h2 id="settings" { "Retention and settings" }
            p.soft { "As the engine was started; they are changed by its flags or its environment." }
            dl.facts { @for (name, value) in &*pages.settings { dt { (name) } dd { (value) } } }
        }
    }
}

fn audit(changes: &[audit::Listed], now: Timestamp) -> Markup {
    html! {
        section.panel aria-labelledby="audit" {
            h2 id="audit" { "What people changed" }
            (table::changes(changes, now))
        }
    }
}
