//! Statements that stay prepared, whatever number of rows they have.
//!
//! diesel prepares a statement each time when it sees no end of the forms that it may take, and a statement for hundreds of
//! rows takes the server longer to read than to carry out. Here the number of rows is one of a few.

use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    internal::derives::multiconnection::AstPassHelper,
    query_builder::{AstPass, QueryBuilder, QueryFragment, QueryId},
};

/// Up to so many rows an insert has a form for each number; beyond, for powers of two up to [`MOST`]. `SQLite` is given one row
/// at a time.
#[cfg(any(feature = "mysql", test))]
const FORMS: usize = 32;
/// The most rows of one insert: enough that the trip to the server is cheap for each.
#[cfg(any(feature = "mysql", test))]
const MOST: usize = 256;

/// A statement of which the connection keeps each form prepared. Whoever makes it sees to it that these are few: values that
/// vary are bound, and the number of rows comes from [`fitting`] or [`padded`]. It works on the real connection only: the derived
/// one asks what is inside.
pub(super) struct Kept<Q>(pub(super) Q);

impl<Q> QueryId for Kept<Q> {
    type QueryId = ();
    /// It is known by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB, Q> QueryFragment<DB> for Kept<Q>
where
    DB: Backend,
    DB::QueryBuilder: Default,
    Q: QueryFragment<DB>,
{
    /// What is inside is asked for its values and for its text, and not whether that may be kept.
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if pass.bind_collector().is_some() || pass.debug_binds().is_some() {
            return self.0.walk_ast(pass);
        }
        let mut text = DB::QueryBuilder::default();
        self.0.to_sql(&mut text, pass.backend())?;
        pass.push_sql(&text.finish());
        Ok(())
    }
}

impl<Q, C> RunQueryDsl<C> for Kept<Q> {}

/// How many of `rows` go into the next insert, so that there are few forms of it; 0 only when there are none.
#[cfg(any(feature = "mysql", test))]
pub(super) const fn fitting(rows: usize) -> usize {
    match rows {
        0..=FORMS => rows,
        MOST.. => MOST,
        _ => 1 << rows.ilog2(),
    }
}

/// The ids, and the last one again, until they are as many as a power of two: for a list in which more than once is once.
pub(super) fn padded(mut ids: Vec<i64>) -> Vec<i64> {
    if let Some(last) = ids.last().copied() {
        ids.resize(ids.len().next_power_of_two(), last);
    }
    ids
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_divided_into_few_forms() {
        let parts = |mut rows: usize| {
            let mut parts = Vec::new();
            while rows > 0 {
                parts.push(fitting(rows));
                rows -= fitting(rows);
            }
            parts
        };
        assert_eq!(parts(0), Vec::<usize>::new());
        assert_eq!(parts(31), [31]);
        assert_eq!(parts(61), [32, 29]);
        assert_eq!(parts(500), [256, 128, 64, 32, 20]);
        assert_eq!(parts(1_000), [256, 256, 256, 128, 64, 32, 8]);
        let forms: BTreeSet<_> = (1..=2_000).flat_map(parts).collect();
        assert_eq!(forms.len(), FORMS + 3);
    }

    #[test]
    fn a_list_of_ids_is_as_long_as_a_power_of_two_and_says_the_same() {
        assert_eq!(padded(vec![7, 8, 9]), [7, 8, 9, 9]);
        assert_eq!(padded(vec![7, 8]), [7, 8]);
        assert_eq!(padded(vec![]), [0; 0]);
    }
}
