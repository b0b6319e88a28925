//! `GET /api/v1/audit`: what people changed, by which way they came.

use actix_web::{
    HttpResponse,
    web::{Data, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    auth::Caller,
    openapi::{Always, BadQuery},
    problem::Problem,
    subscriptions::checked_limit,
    time::rfc3339,
};
use crate::store::{
    Lane,
    audit::{self, Filter, Listed},
};

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    /// The name of whoever did it.
    actor: Option<String>,
    #[param(example = "subscription.change")]
    action: Option<String>,
    #[param(example = "subscription:1")]
    subject: Option<String>,
    /// Older than this one.
    before: Option<i32>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// One change, by whom, of what, from what to what.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct EntryView<'a> {
    id: i32,
    #[schema(format = DateTime)]
    at: String,
    actor: &'a str,
    actor_id: Option<i32>,
    action: &'a str,
    subject: &'a str,
    #[schema(value_type = Value)]
    before: Option<&'a Value>,
    #[schema(value_type = Value)]
    after: Option<&'a Value>,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage<'a> {
    items: Vec<EntryView<'a>>,
    /// The `before` of the next page; null at the end.
    next: Option<i32>,
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
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "users", operation_id = "list_audit", params(FilterQuery),
    responses((status = 200, description = "A page", body = AuditPage), BadQuery, Always),
)]
pub(super) async fn list(
    state: Data<State>,
    Caller(owner): Caller,
    query: Query<FilterQuery>,
) -> Result<HttpResponse, Problem> {
    let FilterQuery { actor, action, subject, before, limit } = query.into_inner();
    let limit = usize::from(checked_limit(limit)?);
    let filter = Filter { scope: owner.scope(), actor, action, subject, before, limit };
    let page = state.store.run(Lane::Read, move |connection| audit::list(connection, &filter)).await?;
    let items = page.found.iter().map(EntryView::from).collect();
    Ok(HttpResponse::Ok().json(AuditPage { items, next: page.next }))
}
