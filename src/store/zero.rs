//! A zero that stands in the text of a statement, so that nothing is bound for it: each value costs an allocation here and a
//! conversion at the server.

use std::marker::PhantomData;

use diesel::{
    AppearsOnTable, Expression, QueryResult,
    backend::Backend,
    expression::{TypedExpressionType, ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
};

/// 0 for a column of this SQL type.
pub(super) struct Zero<ST>(PhantomData<ST>);

impl<ST> Zero<ST> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<ST: TypedExpressionType> Expression for Zero<ST> {
    type SqlType = ST;
}

impl<ST, QS> AppearsOnTable<QS> for Zero<ST> where Self: Expression {}

impl<ST, GB> ValidGrouping<GB> for Zero<ST> {
    type IsAggregate = is_aggregate::Never;
}

impl<ST: 'static> QueryId for Zero<ST> {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<ST, DB: Backend> QueryFragment<DB> for Zero<ST> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("0");
        Ok(())
    }
}
