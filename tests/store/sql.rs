//! Plain SQL, for what the store offers no function for.

use diesel::{QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::Text};
use postrider::store::{AnyConnection, DatabaseUrl, Queried};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    value: String,
}

/// What `query` gives in its one column of text, which is named `value`.
pub(crate) fn values(connection: &mut AnyConnection, query: &str) -> Queried<Vec<String>> {
    let rows: Vec<Row> = match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => sql_query(query).load(connection)?,
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => sql_query(query).load(connection)?,
    };
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// The one number that `expression` comes to over `from`, a table with its filter.
pub(crate) fn number(connection: &mut AnyConnection, expression: &str, from: &str) -> Queried<i64> {
    let values = values(connection, &format!("SELECT CAST({expression} AS CHAR) AS value FROM {from}"))?;
    Ok(values.first().and_then(|value| value.parse().ok()).unwrap_or_default())
}

/// Runs statements without results.
pub(crate) fn execute(connection: &mut AnyConnection, statements: &str) -> Queried<()> {
    connection.batch_execute(statements)
}

/// A connection beside those of the store: another process, as far as the database can tell.
pub(crate) fn connect(url: &DatabaseUrl) -> AnyConnection {
    url.connect().expect("the database is there")
}
