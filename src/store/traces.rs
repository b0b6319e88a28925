//! What attempts met on their way: columns of their rows, and a table of what requests have in common.
//!
//! A subscription's requests differ in few headers, so what they have in common has a row of its own, once for each change
//! of the subscription, and attempts name it by its digest. Nobody holds the two together: an attempt whose row of
//! `request_heads` is gone tells no request.

use std::{collections::HashMap, sync::Arc, time::Duration};

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, insert_or_ignore_into};

use super::{
    AnyConnection, Queried,
    connection::insert_rows,
    record::{Record, record_attempts},
    schema::{attempts, request_heads},
    transaction::in_transaction,
    values::corrupt,
};
use crate::domain::{
    id::SubscriptionId,
    time::Timestamp,
    trace::{RequestHead, ResponseHeaders, Trace},
};

/// The columns of a [`Trace`] in the row of its attempt, but for [`StageColumns`].
#[derive(Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
pub(super) struct TraceColumns<'a> {
    remote_address: Option<String>,
    first_byte_us: Option<i64>,
    response_headers: Option<&'a str>,
    response_headers_cut: Option<bool>,
    request_head: Option<i64>,
}

impl<'a> From<&'a Trace> for TraceColumns<'a> {
    fn from(trace: &'a Trace) -> Self {
        Self {
            remote_address: trace.remote.map(|remote| remote.to_string()),
            first_byte_us: micros(trace.first_byte),
            response_headers: trace.response.as_ref().map(ResponseHeaders::json),
            response_headers_cut: trace.response.as_ref().map(ResponseHeaders::is_cut),
            request_head: trace.request.as_ref().map(|head| head.digest()),
        }
    }
}

/// The columns of what comes before a request on a connection: nothing, when it was there already.
#[expect(clippy::struct_field_names, reason = "so the columns are called")]
#[derive(Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
pub(super) struct StageColumns {
    dns_us: Option<i64>,
    connect_us: Option<i64>,
    tls_us: Option<i64>,
}

impl StageColumns {
    pub(super) const fn are_none(&self) -> bool {
        matches!(self, Self { dns_us: None, connect_us: None, tls_us: None })
    }
}

impl From<&Trace> for StageColumns {
    fn from(trace: &Trace) -> Self {
        Self { dns_us: micros(trace.dns), connect_us: micros(trace.connect), tls_us: micros(trace.tls) }
    }
}

fn micros(stage: Option<Duration>) -> Option<i64> {
    stage.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
}

/// The columns of a [`Trace`] as they are read.
pub(super) type TraceRow =
    (Option<String>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<String>, Option<bool>, Option<i64>);

/// The columns of [`TraceRow`].
pub(super) const COLUMNS: (
    attempts::remote_address,
    attempts::dns_us,
    attempts::connect_us,
    attempts::tls_us,
    attempts::first_byte_us,
    attempts::response_headers,
    attempts::response_headers_cut,
    attempts::request_head,
) = (
    attempts::remote_address,
    attempts::dns_us,
    attempts::connect_us,
    attempts::tls_us,
    attempts::first_byte_us,
    attempts::response_headers,
    attempts::response_headers_cut,
    attempts::request_head,
);

/// Heads of one subscription's requests, by digest.
pub(super) type Heads = HashMap<i64, Arc<RequestHead>>;

pub(super) fn trace_from(row: TraceRow, heads: &Heads) -> Queried<Trace> {
    let (remote, dns, connect, tls, first_byte, response, is_cut, head) = row;
    let stage = |micros: Option<i64>| micros.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or_default()));
    let address = |text: String| text.parse().map_err(|_| corrupt(format!("{text:?} is no address of an attempt")));
    Ok(Trace {
        remote: remote.map(address).transpose()?,
        dns: stage(dns),
        connect: stage(connect),
        tls: stage(tls),
        first_byte: stage(first_byte),
        request: head.and_then(|digest| heads.get(&digest).cloned()),
        response: response.map(|json| ResponseHeaders::of(json, is_cut.unwrap_or_default())),
    })
}

/// Those heads of `subscription` that have one of `digests`. One query, or none without digests.
pub(super) fn heads_of(
    connection: &mut AnyConnection,
    subscription: SubscriptionId,
    mut digests: Vec<i64>,
) -> Queried<Heads> {
    use request_heads::dsl;
    digests.sort_unstable();
    digests.dedup();
    if digests.is_empty() {
        return Ok(Heads::new());
    }
    let rows: Vec<(i64, String, String)> = dsl::request_heads
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::digest.eq_any(digests))
        .select((dsl::digest, dsl::url, dsl::headers))
        .load(connection)?;
    let read = |(digest, url, headers): (i64, String, String)| {
        let headers =
            serde_json::from_str(&headers).map_err(|error| corrupt(format!("a head of requests: {error}")))?;
        Ok((digest, Arc::new(RequestHead::of(url, headers))))
    };
    rows.into_iter().map(read).collect()
}

/// What requests of a subscription have in common, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHead {
    /// Whose.
    pub subscription: SubscriptionId,
    /// What.
    pub head: Arc<RequestHead>,
}

#[derive(Insertable)]
#[diesel(table_name = request_heads)]
struct HeadRow<'a> {
    subscription_id: i32,
    digest: i64,
    url: &'a str,
    headers: String,
}

impl<'a> From<&'a NewHead> for HeadRow<'a> {
    fn from(NewHead { subscription, head }: &'a NewHead) -> Self {
        let headers = serde_json::to_string(head.headers()).expect("texts are JSON");
        Self { subscription_id: subscription.as_raw(), digest: head.digest(), url: head.url(), headers }
    }
}

/// The same as [`record_attempts`], and before it stores `heads`, unless they are. One transaction.
///
/// # Errors
/// None of its own.
pub fn record_with_heads(
    connection: &mut AnyConnection,
    heads: &[NewHead],
    records: &[Record],
    now: Timestamp,
) -> Queried<()> {
    if heads.is_empty() {
        return record_attempts(connection, records, now);
    }
    in_transaction(connection, |connection| {
        let rows: Vec<HeadRow<'_>> = heads.iter().map(HeadRow::from).collect();
        insert_rows!(&mut *connection, insert_or_ignore_into(request_heads::table), &rows[..])?;
        record_attempts(connection, records, now)
    })
}

/// Forgets the heads of a subscription. Part of a transaction.
pub(super) fn forget_heads(connection: &mut AnyConnection, subscription: SubscriptionId) -> Queried<()> {
    let of_subscription = request_heads::subscription_id.eq(subscription.as_raw());
    diesel::delete(request_heads::table.filter(of_subscription)).execute(connection).map(drop)
}
