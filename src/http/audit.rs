//! `GET /api/v1/audit`: what people changed, by which way they came.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{State, auth::Caller, problem::Problem, subscriptions::checked_limit, time::rfc3339};
use crate::store::{
    Lane,
    audit::{self, Filter, Listed},
};

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterQuery {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    before: Option<i32>,
    limit: Option<u16>,
}

/// An entry as the API shows it.
#[derive(Serialize)]
struct EntryView<'a> {
    id: i32,
    at: String,
    actor: &'a str,
    actor_id: Option<i32>,
    action: &'a str,
    subject: &'a str,
    before: Option<&'a Value>,
    after: Option<&'a Value>,
}

impl<'a> From<&'a Listed> for EntryView<'a> {
    fn from(entry: &'a Listed) -> Self {
        Self {
            id: entry.id,
            at: rfc3339(entry.changed_at),
            actor: &entry.author.name,
            actor_id: entry.author.id.map(crate::domain::id::OwnerId::as_raw),
            action: &entry.action,
            subject: &entry.subject,
            before: entry.was.as_ref(),
            after: entry.became.as_ref(),
        }
    }
}

/// Changes, the newest first. Who is no admin sees those of their own affairs, whoever made them.
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<FilterQuery>,
) -> Result<HttpResponse, Problem> {
    let FilterQuery { actor, action, subject, before, limit } = query.into_inner();
    let limit = usize::from(checked_limit(limit)?);
    let filter = Filter { scope: owner.scope(), actor, action, subject, before, limit };
    let page = state.store.run(Lane::Read, move |connection| audit::list(connection, &filter)).await?;
    let items: Vec<_> = page.found.iter().map(EntryView::from).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items, "next": page.next })))
}
