//! `/admin/users/{id}`: one user: what they may do, and their tokens. For admins.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    admin::{ROLES, is_admin, standing, token},
    answer::{Refusal, page, see_other},
    form::{Filled, Form},
    layout::{Section, shell},
    orders::{answer, body, caller},
    parts::{
        field::{Field, alert, csrf, tick},
        time::exact,
    },
    session::{Posted, Visitor},
    told::telling,
};
use crate::{
    domain::{
        id::OwnerId,
        owner::{Owner, Standing},
        time::Timestamp,
    },
    http::{State, problem::Problem, users},
    store::{Lane, owners},
};

/// Tokens that are listed.
const MOST_TOKENS: i64 = 200;

/// The page.
pub(super) async fn show(state: Data<State>, visitor: Visitor, id: Path<OwnerId>) -> Result<HttpResponse, Refusal> {
    render(&state, &visitor, id.into_inner(), StatusCode::OK, &Filled::default(), None).await
}

/// Changes the user, gives a token or takes one away, as `do` says.
pub(super) async fn order(state: Data<State>, posted: Posted, id: Path<OwnerId>) -> Result<HttpResponse, Refusal> {
    let (id, Posted { visitor, form }) = (id.into_inner(), posted);
    is_admin(&visitor)?;
    match carry_out(&state, &visitor, id, &form).await {
        Ok(Done::Told(name)) => Ok(see_other(&telling(&format!("/admin/users/{id}"), name))),
        Ok(Done::Token(made)) => {
            render(&state, &visitor, id, StatusCode::CREATED, &Filled::default(), Some(token(&made))).await
        }
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(problem.into()),
        Err(problem) => {
            let status = problem.status();
            render(&state, &visitor, id, status, &Filled::refused(form, problem), None).await
        }
    }
}

/// What came of an order.
enum Done {
    Told(&'static str),
    Token(Value),
}

async fn carry_out(state: &Data<State>, visitor: &Visitor, id: OwnerId, form: &Form) -> Result<Done, Problem> {
    let (data, who) = (state.clone(), caller(visitor));
    match form.raw("do").unwrap_or_default() {
        "change" => {
            let mut members = form.texts(&["role"]);
            members.insert("is_active".to_owned(), form.all("is_active").next().is_some().into());
            users::change(data, who, Path::from(id), body(members)).await.map(|_| Done::Told("user-changed"))
        }
        "token" => {
            let members = form.texts(&["token"]);
            answer(users::add_token(data, who, Path::from(id), body(members)).await).await.map(Done::Token)
        }
        "revoke" => {
            let token = form.text("row").and_then(|row| row.parse().ok()).unwrap_or_default();
            users::revoke(data, who, Path::from((id, token))).await.map(|_| Done::Told("revoked"))
        }
        _ => Err(Problem::malformed("The form does not say what to do.")),
    }
}

async fn render(
    state: &State,
    visitor: &Visitor,
    id: OwnerId,
    status: StatusCode,
    filled: &Filled,
    made: Option<Markup>,
) -> Result<HttpResponse, Refusal> {
    is_admin(visitor)?;
    let work =
        move |connection: &mut _| Ok((owners::get(connection, id)?, owners::tokens_of(connection, id, MOST_TOKENS)?));
    let (user, tokens) = state.store.run(Lane::Read, work).await?;
    let user = user.ok_or_else(|| Problem::not_found("There is no user with this id."))?;
    let body = html! {
        p.crumbs { a href="/admin" { "Admin" } " / user #" (id) }
        div.head { div { h1 { (user.name) } p { (standing(user.standing)) " " span.soft { (user.role.as_str()) } } } }
        (alert(filled))
        @if let Some(made) = made { (made) }
        div.columns {
            (change(visitor, &user, filled))
            (list(visitor, &user, &tokens, filled))
        }
    };
    let title = format!("User {}", user.name);
    Ok(page(status, shell(visitor, Section::Admin, &title, body)))
}

fn change(visitor: &Visitor, user: &Owner, filled: &Filled) -> Markup {
    html! {
        section.panel aria-labelledby="may" {
            h2 id="may" { "What they may do" }
            form method="post" action={ "/admin/users/" (user.id) } {
                (csrf(visitor))
                (Field::new("role", "Role").choice(filled, user.role.as_str(), &ROLES))
                fieldset { (tick("is_active", "true", "Their tokens are honoured", user.standing == Standing::Active)) }
                p.hint { "Their subscriptions flow on, whatever is chosen." }
                button.primary type="submit" name="do" value="change" { "Save" }
            }
        }
    }
}

fn list(visitor: &Visitor, user: &Owner, tokens: &[(i32, Timestamp)], filled: &Filled) -> Markup {
    let path = format!("/admin/users/{}", user.id);
    html! {
        section.panel aria-labelledby="tokens" {
            h2 id="tokens" { "Tokens" }
            @if tokens.is_empty() { p.empty { "There are none." } } @else {
                table {
                    thead { tr { th scope="col" { "Token" } th scope="col" { "Since" } th scope="col" { "Orders" } } }
                    tbody {
                        @for (row, at) in tokens {
                            tr {
                                th scope="row" { "#" (row) }
                                td { (exact(*at)) }
                                td {
                                    form.actions method="post" action=(path) data-confirm="Take this token away? It is refused at once." {
                                        (csrf(visitor))
                                        input type="hidden" name="row" value=(row);
                                        button.small.danger type="submit" name="do" value="revoke" aria-label={ "Revoke token " (row) } { "Revoke" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            details open[filled.fault_of("token").is_some()] {
                summary { "Give a further one" }
                form method="post" action=(path) {
                    (csrf(visitor))
                    (Field::new("token", "Token").secret().autocomplete("new-password").hint("Empty to have one made, which is shown once.").render(filled, ""))
                    button.primary type="submit" name="do" value="token" { "Give it" }
                }
            }
        }
    }
}
