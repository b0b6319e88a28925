//! Whether somebody else works on the database.

#[cfg(feature = "mysql")]
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};

use crate::store::{AnyConnection, Queried};

/// Whether another program has this database open, as far as can be told: an engine keeps its connections open. On a server
/// only connections of the same user are seen. To be asked on the only connection of this process.
///
/// # Errors
/// None of its own.
pub fn others_are_connected(connection: &mut AnyConnection) -> Queried<bool> {
    match connection {
        #[cfg(feature = "mysql")]
        AnyConnection::Mysql(connection) => on_server(connection),
        #[cfg(feature = "sqlite")]
        AnyConnection::Sqlite(connection) => on_file(connection),
    }
}

#[cfg(feature = "mysql")]
fn on_server(connection: &mut diesel::MysqlConnection) -> Queried<bool> {
    #[derive(QueryableByName)]
    struct Others {
        #[diesel(sql_type = BigInt)]
        others: i64,
    }
    let query = "SELECT COUNT(*) AS others FROM information_schema.PROCESSLIST \
                 WHERE DB = DATABASE() AND ID <> CONNECTION_ID()";
    Ok(sql_query(query).get_result::<Others>(connection)?.others > 0)
}

/// Whoever has a file in WAL mode open holds a lock, without which the mode cannot be left.
#[cfg(feature = "sqlite")]
fn on_file(connection: &mut diesel::SqliteConnection) -> Queried<bool> {
    use diesel::connection::SimpleConnection;
    connection.batch_execute("PRAGMA busy_timeout = 0")?;
    let is_alone = connection.batch_execute("PRAGMA journal_mode = DELETE").is_ok();
    connection.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL")?;
    Ok(!is_alone)
}
