//! Attempts added up: a row per subscription and sweep, written once and never changed.

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, dsl::min, insert_into};

use super::{AnyConnection, Queried, connection::insert_rows, schema::rollups, transaction::in_transaction};
use crate::domain::{
    id::SubscriptionId,
    rollup::{BUCKETS, Rollup},
    time::Timestamp,
};

/// Rows in one statement: far below both databases' bounds on placeholders.
const ROWS_PER_INSERT: usize = 500;
/// Rows that are read for a drawing: an hour of 100 subscriptions, by the usual sweep of a minute.
const MOST_PIECES: i64 = 6_000;

#[derive(Insertable)]
#[diesel(table_name = rollups)]
struct NewRow {
    subscription_id: i32,
    until_at: i64,
    succeeded: i64,
    failed: i64,
    delivered: i64,
    dead: i64,
    expired: i64,
    latencies: Vec<u8>,
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Four bytes for each bucket, the lowest first; trailing zeros are left out.
fn packed(latencies: &[u64; BUCKETS]) -> Vec<u8> {
    let used = latencies.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    latencies[..used].iter().flat_map(|count| u32::try_from(*count).unwrap_or(u32::MAX).to_le_bytes()).collect()
}

fn unpacked(bytes: &[u8]) -> [u64; BUCKETS] {
    let mut latencies = [0; BUCKETS];
    let (counts, _) = bytes.as_chunks();
    for (bucket, count) in latencies.iter_mut().zip(counts) {
        *bucket = u64::from(u32::from_le_bytes(*count));
    }
    latencies
}

/// Writes down what came together up to `now`. One transaction; run again it changes nothing.
///
/// # Errors
/// None of its own.
pub fn write(connection: &mut AnyConnection, sums: &[(SubscriptionId, Rollup)], now: Timestamp) -> Queried<()> {
    use rollups::dsl;
    in_transaction(connection, |connection| {
        for sums in sums.chunks(ROWS_PER_INSERT) {
            let ids = sums.iter().map(|(id, _)| id.as_raw());
            let again = dsl::rollups.filter(dsl::subscription_id.eq_any(ids)).filter(dsl::until_at.eq(now.as_micros()));
            diesel::delete(again).execute(connection)?;
            let rows: Vec<NewRow> = sums
                .iter()
                .map(|(id, sum)| NewRow {
                    subscription_id: id.as_raw(),
                    until_at: now.as_micros(),
                    succeeded: number(sum.succeeded),
                    failed: number(sum.failed),
                    delivered: number(sum.delivered),
                    dead: number(sum.dead),
                    expired: number(sum.expired),
                    latencies: packed(&sum.latencies),
                })
                .collect();
            insert_rows!(connection, insert_into(rollups::table), rows.as_slice())?;
        }
        Ok(())
    })
}

type Row = (i32, i64, i64, i64, i64, i64, i64, Vec<u8>);

fn rollup_from((_, _, succeeded, failed, delivered, dead, expired, latencies): Row) -> Rollup {
    Rollup {
        succeeded: count(succeeded),
        failed: count(failed),
        delivered: count(delivered),
        dead: count(dead),
        expired: count(expired),
        latencies: unpacked(&latencies),
    }
}

/// What was written down of these subscriptions after `since`, piece by piece: whose, when it was written, and what it is. At
/// most [`MOST_PIECES`]; those of the last ones are left out first. One query of the primary key.
///
/// # Errors
/// None of its own.
pub fn series(
    connection: &mut AnyConnection,
    of: &[SubscriptionId],
    since: Timestamp,
) -> Queried<Vec<(SubscriptionId, Timestamp, Rollup)>> {
    use rollups::dsl;
    let rows: Vec<Row> = dsl::rollups
        .filter(dsl::subscription_id.eq_any(of.iter().map(|id| id.as_raw())))
        .filter(dsl::until_at.gt(since.as_micros()))
        .order((dsl::subscription_id, dsl::until_at))
        .limit(MOST_PIECES)
        .load(connection)?;
    let piece = |row: Row| (SubscriptionId::from_raw(row.0), Timestamp::from_micros(row.1), rollup_from(row));
    Ok(rows.into_iter().map(piece).collect())
}

/// What was written down of `subscription` after `since`, added up. One query of the primary key.
///
/// # Errors
/// None of its own.
pub fn sum(connection: &mut AnyConnection, subscription: SubscriptionId, since: Timestamp) -> Queried<Rollup> {
    use rollups::dsl;
    let rows: Vec<Row> = dsl::rollups
        .filter(dsl::subscription_id.eq(subscription.as_raw()))
        .filter(dsl::until_at.gt(since.as_micros()))
        .load(connection)?;
    let mut sum = Rollup::default();
    for row in rows {
        sum.merge(&rollup_from(row));
    }
    Ok(sum)
}

/// Deletes the oldest rows from before `before`, those of one sweep; gives whether there were any. Two statements of the index.
///
/// # Errors
/// None of its own.
pub fn prune(connection: &mut AnyConnection, before: Timestamp) -> Queried<bool> {
    use rollups::dsl;
    let oldest: Option<i64> = dsl::rollups.select(min(dsl::until_at)).first(connection)?;
    let Some(oldest) = oldest.filter(|oldest| *oldest < before.as_micros()) else { return Ok(false) };
    diesel::delete(dsl::rollups.filter(dsl::until_at.eq(oldest))).execute(connection).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_come_back_as_they_were() {
        let mut latencies = [0; BUCKETS];
        assert_eq!((packed(&latencies), unpacked(&[])), (Vec::new(), latencies));
        latencies[0] = 70_000;
        latencies[BUCKETS - 1] = 1;
        assert_eq!(unpacked(&packed(&latencies)), latencies);
        latencies[BUCKETS - 1] = 0;
        assert_eq!(packed(&latencies).len(), 4);
    }
}
